"""The watcher: warns, breaches and escalates each clock once, catches up, and leaves bystanders alone."""

import threading
from datetime import date, datetime, timedelta

import pytest
import sqlalchemy as sa

from include.config import config_from
from include.database import engine
from include.desk.tickets import contacts, life_cycle
from include.desk.tickets.transaction import Actor
from include.domain.periods.months import ZONE
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
    life_cycle.pause(
        Actor(db, config, row.assignee_id, tickets[0], version, MONDAY_15),
        call_back_on=date(2026, 11, 12),
    )
    sla.watch(db=db, config=config, now=WEDNESDAY_18 + TICK)
    mine, other = clocks(db, "plan")
    assert (mine.breached_at, other.breached_at) == (None, WEDNESDAY_18)


# ------------------------------------------------------------ many at once, and how far a breach has climbed


def at_once(role_url, config, moments):
    """Watchers side by side, one for each moment."""

    def tick(now):
        made = engine(role_url("churn_loop"))
        with made.connect() as own:
            sla.watch(db=own, config=config, now=now)
        made.dispose()

    threads = [threading.Thread(target=tick, args=(moment,)) for moment in moments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_eight_watchers_at_once_stamp_and_tell_each_thing_exactly_once(db, config, tickets, role_url):
    """Over a week of ticks: two warnings, two breaches and three escalations of each for every ticket."""
    evenings = [MONDAY_18 + timedelta(days=n) for n in range(5)]
    days = [MONDAY_15, evenings[0] + TICK, evenings[1], evenings[2] + TICK, *evenings[3:]]
    for moment in days:
        at_once(role_url, config, [moment] * 8)
    expected = [
        (kind, audience, ticket)
        for ticket in tickets
        for kind, audience, times in (
            ("clock_warned", "assignee", 2),
            ("clock_breached", "assignee", 2),
            ("clock_breached", "lead", 2),
            ("clock_breached", "branch_manager", 2),
        )
        for _ in range(times)
    ]
    sla.watch(db=db, config=config, now=days[-1] + timedelta(days=3))
    assert notices(db) == sorted(expected)
    for name, due_at in (("first_contact", MONDAY_18), ("plan", WEDNESDAY_18)):
        assert {clock.breached_at for clock in clocks(db, name)} == {due_at}
        assert {clock.escalate_at for clock in clocks(db, name)} == {None}


def test_each_level_is_told_when_the_calendar_says_and_the_next_one_is_known(db, config, tickets):
    friday_18 = datetime(2026, 11, 13, 18, tzinfo=ZONE)
    seen = []
    for now in (WEDNESDAY_18 + TICK, WEDNESDAY_18 + timedelta(days=1), friday_18):
        sla.watch(db=db, config=config, now=now)
        clock = clocks(db, "plan")[0]
        seen.append((clock.escalated_to, clock.escalate_at))
    thursday_18 = WEDNESDAY_18 + timedelta(days=1)
    assert seen == [("assignee", thursday_18), ("lead", friday_18), ("branch_manager", None)]


def test_a_branch_with_a_holiday_of_its_own_climbs_later_than_its_bystander(db, config, people):
    layered = config_from(
        config.texts
        | {
            "sla.yaml": config.texts["sla.yaml"].replace(
                "branch_layers: {}", 'branch_layers: {"45": [guangxi]}'
            )
        }
    )
    ids = fill_cycle(db, 2)
    with db.begin():
        db.execute(sa.text("update tickets set branch_code = '45' where ticket_id = :t"), {"t": ids[0]})
        db.execute(
            sa.text(
                "insert into work_days (layer, date, is_working, name, source)"
                " values ('guangxi', '2026-11-10', false, '三月三', '省政府')"
            )
        )
    release(db=db, config=layered, now=FRIDAY)
    for days in (0, 1):
        sla.watch(db=db, config=layered, now=MONDAY_18 + TICK + timedelta(days=days))
    assert [clock.escalated_to for clock in clocks(db, "first_contact")] == ["assignee", "lead"]


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("breach_clocks", "ticket_clocks_to_breach"),
        ("warn_clocks", "ticket_clocks_to_warn"),
        ("find_due_escalations", "ticket_clocks_to_escalate"),
    ],
)
def test_a_tick_reads_what_is_due_by_an_index_whatever_is_open(db, config, tickets, statement, index):
    with db.begin():
        db.execute(sa.text("set local enable_seqscan = off"))
        plan = db.execute(sa.text(f"explain {sla.Q[statement].text}"), {"now": FRIDAY}).scalars().all()
    assert any(index in line for line in plan), "\n".join(plan)
