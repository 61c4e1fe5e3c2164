"""The watcher: warns, breaches and escalates each clock once, catches up, and leaves bystanders alone."""

import threading
from datetime import date, datetime, timedelta

import pytest
import sqlalchemy as sa

from include.database import engine
from include.desk import contacts, work
from include.desk.acting import Actor
from include.domain.months import ZONE
from include.stages import sla
from include.stages.release import release
from tests.fixtures.work import FRIDAY, fill_cycle, hire, snapshot

MONDAY_15 = datetime(2026, 11, 9, 15, tzinfo=ZONE)
MONDAY_18 = datetime(2026, 11, 9, 18, tzinfo=ZONE)
WEDNESDAY_18 = datetime(2026, 11, 11, 18, tzinfo=ZONE)
TICK = timedelta(minutes=15)


@pytest.fixture
def people(db):
    return hire(db)


@pytest.fixture
def tickets(db, config, people):
    """Two tickets released on Friday; their contact is due on Monday, their plan on Wednesday."""
    ids = fill_cycle(db, 2)
    release(db=db, config=config, now=FRIDAY)
    return ids


def notices(db):
    with db.begin():
        return [
            tuple(row)
            for row in db.execute(sa.text("select kind, audience, ticket_id from notices order by 1, 2, 3"))
        ]


def clocks(db, name):
    with db.begin():
        return db.execute(
            sa.text("select * from ticket_clocks where clock = :n order by ticket_id"), {"n": name}
        ).all()


def test_a_quiet_tick_changes_nothing_but_the_heartbeat(db, config, tickets):
    before = [snapshot(db, ticket) for ticket in tickets]
    told = sla.watch(db=db, config=config, now=FRIDAY + TICK)
    assert (told["warned"], told["breached"], told["escalated"]) == (0, 0, 0)
    assert [snapshot(db, ticket) for ticket in tickets] == before
    assert notices(db) == []
    with db.begin():
        assert (
            db.execute(sa.text("select ticked_at from heartbeats where name = 'watch_sla'")).scalar()
            == FRIDAY + TICK
        )


def test_a_warning_is_given_once_to_the_assignee(db, config, tickets):
    assert sla.watch(db=db, config=config, now=MONDAY_15 - TICK)["warned"] == 0
    assert sla.watch(db=db, config=config, now=MONDAY_15)["warned"] == 2
    assert sla.watch(db=db, config=config, now=MONDAY_15 + TICK)["warned"] == 0
    assert notices(db) == [("clock_warned", "assignee", ticket) for ticket in tickets]


def test_a_breach_bears_the_deadline_and_the_tick_that_noticed_it(db, config, tickets):
    assert sla.watch(db=db, config=config, now=MONDAY_18)["breached"] == 0
    assert sla.watch(db=db, config=config, now=MONDAY_18 + TICK)["breached"] == 2
    clock = clocks(db, "first_contact")[0]
    assert (clock.breached_at, clock.noticed_at) == (MONDAY_18, MONDAY_18 + TICK)


def test_twice_the_same_tick_is_once(db, config, tickets):
    for _ in range(2):
        sla.watch(db=db, config=config, now=MONDAY_18 + TICK)
    assert notices(db) == [("clock_breached", "assignee", ticket) for ticket in tickets]


def test_a_breach_of_a_ticket_nobody_has_is_the_leads_at_once(db, config):
    fill_cycle(db, 1)
    release(db=db, config=config, now=FRIDAY)
    sla.watch(db=db, config=config, now=MONDAY_18 + TICK)
    assert {(kind, audience) for kind, audience, _ in notices(db)} == {("clock_breached", "lead")}


def test_a_breach_climbs_from_assignee_to_lead_to_branch_manager(db, config, tickets):
    for days in (0, 1, 2, 3):
        sla.watch(db=db, config=config, now=MONDAY_18 + TICK + timedelta(days=days))
    mine = [
        audience
        for kind, audience, ticket in notices(db)
        if kind == "clock_breached" and ticket == tickets[0]
    ]
    assert sorted(set(mine)) == ["assignee", "branch_manager", "lead"]
    assert clocks(db, "first_contact")[0].escalated_to == "branch_manager"


def test_after_an_outage_only_the_highest_due_escalation_is_sent(db, config, tickets):
    sla.watch(db=db, config=config, now=MONDAY_18 + timedelta(days=10))
    told = {(kind, audience) for kind, audience, _ in notices(db)}
    assert told == {("clock_breached", "branch_manager")}
    assert clocks(db, "plan")[0].breached_at == WEDNESDAY_18


def test_a_met_clock_never_breaches(db, config, people, tickets):
    with db.begin():
        row = db.execute(
            sa.text("select version, assignee_id from tickets where ticket_id = :id"), {"id": tickets[0]}
        ).one()
    actor = Actor(db, config, row.assignee_id, tickets[0], row.version, MONDAY_15)
    contacts.record_contact(actor, channel="call", result="no_answer")
    sla.watch(db=db, config=config, now=MONDAY_18 + TICK)
    first, second = clocks(db, "first_contact")
    assert (first.breached_at, second.breached_at) == (None, MONDAY_18)


def test_a_paused_clock_goes_by_its_moved_deadline(db, config, people, tickets):
    with db.begin():
        row = db.execute(
            sa.text("select version, assignee_id from tickets where ticket_id = :id"), {"id": tickets[0]}
        ).one()
    actor = Actor(db, config, row.assignee_id, tickets[0], row.version, MONDAY_15)
    version = contacts.record_contact(
        actor, channel="call", result="call_back", call_back_at=datetime(2026, 11, 12, 10, tzinfo=ZONE)
    )
    work.pause(
        Actor(db, config, row.assignee_id, tickets[0], version, MONDAY_15),
        call_back_on=date(2026, 11, 12),
    )
    sla.watch(db=db, config=config, now=WEDNESDAY_18 + TICK)
    mine, other = clocks(db, "plan")
    assert (mine.breached_at, other.breached_at) == (None, WEDNESDAY_18)


def test_eight_watchers_at_once_leave_one_notice_each(db, config, tickets, role_url):
    def tick():
        made = engine(role_url("churn_loop"))
        with made.connect() as own:
            sla.watch(db=own, config=config, now=MONDAY_18 + TICK)
        made.dispose()

    threads = [threading.Thread(target=tick) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert notices(db) == [("clock_breached", "assignee", ticket) for ticket in tickets]
