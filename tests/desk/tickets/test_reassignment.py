"""Leads with many tickets at once: a list reassigned, a leaver handed over, nothing lost on the way."""

import threading
import time
from datetime import timedelta

import pytest
import sqlalchemy as sa

from include.database import DESK_ROLE, engine
from include.desk.tickets import contacts, life_cycle, reassignment
from include.desk.tickets.reassignment import Wish
from include.desk.tickets.transaction import Actor
from include.domain.errors import Refused
from include.stages.release import release
from tests.fixtures.work import FRIDAY, fill_cycle, hire, snapshot

MONDAY = FRIDAY + timedelta(days=3)


@pytest.fixture
def people(db):
    return hire(db)


@pytest.fixture
def tickets(db, config, people):
    """Six released tickets: four of them the agent's, two the colleague's."""
    ids = fill_cycle(db, 6)
    release(db=db, config=config, now=FRIDAY)
    put(
        db, "update tickets set assignee_id = :who where ticket_id = any(:ids)", who=people.agent, ids=ids[:4]
    )
    put(
        db,
        "update tickets set assignee_id = :who where ticket_id = any(:ids)",
        who=people.colleague,
        ids=ids[4:],
    )
    return ids


def put(db, statement, **values):
    with db.begin():
        db.execute(sa.text(statement), values)


def rows(db, statement, **values):
    with db.begin():
        return [tuple(row) for row in db.execute(sa.text(statement), values)]


def assignees(db):
    return [who for (who,) in rows(db, "select assignee_id from tickets order by ticket_id")]


def test_a_list_is_reassigned_in_one_go_and_each_refusal_is_told(db, desk, people, tickets):
    bystander = snapshot(db, tickets[5])
    wishes = [
        Wish(tickets[0], 2, people.colleague),
        Wish(tickets[1], 1, people.colleague),
        Wish(tickets[2], 2, people.stranger),
        Wish(tickets[3], 2, people.agent),
        Wish(999_999, 2, people.colleague),
    ]
    told = reassignment.bulk_reassign(desk, staff_id=people.lead, wishes=wishes, now=MONDAY)
    assert [each.ticket_id for each in told] == [wish.ticket_id for wish in wishes]
    assert (told[0].why_not, told[0].version) == (None, 3)
    assert "changed meanwhile" in str(told[1].why_not)
    assert "not active in its team" in str(told[2].why_not)
    assert "theirs already" in str(told[3].why_not)
    assert "does not exist or is not of your team" in str(told[4].why_not)
    assert assignees(db)[:4] == [people.colleague, people.agent, people.agent, people.agent]
    assert rows(
        db, "select ticket_id, staff_id, details ->> 'to' from ticket_events where kind = 'reassign'"
    ) == [(tickets[0], people.lead, str(people.colleague))]
    assert snapshot(db, tickets[5]) == bystander


def test_reassigning_restarts_no_clock(db, desk, people, tickets):
    before = rows(db, "select * from ticket_clocks order by ticket_id, clock")
    reassignment.bulk_reassign(
        desk, staff_id=people.lead, wishes=[Wish(tickets[0], 2, people.colleague)], now=MONDAY
    )
    assert rows(db, "select * from ticket_clocks order by ticket_id, clock") == before


def test_an_agent_reassigns_nothing_and_a_ticket_is_listed_once(desk, people, tickets):
    wish = Wish(tickets[0], 2, people.colleague)
    with pytest.raises(Refused, match="by a lead or manager, not by agent"):
        reassignment.bulk_reassign(desk, staff_id=people.agent, wishes=[wish], now=MONDAY)
    with pytest.raises(Refused, match="listed twice"):
        reassignment.bulk_reassign(desk, staff_id=people.lead, wishes=[wish, wish], now=MONDAY)


def test_a_leavers_tickets_go_to_the_squad_and_the_account_ends(db, desk, config, people, tickets):
    put(db, "update staff set airflow_username = 'wang.fang' where staff_id = :who", who=people.agent)
    third = rows(
        db, "insert into staff (staff_code, name, role, team, contacts_per_day)"
        " values ('third', 'third', 'agent', 'mid_high', 4) returning staff_id",
    )[0][0]  # fmt: skip
    told = reassignment.hand_over(
        desk, staff_id=people.lead, leaver_id=people.agent, because="resigned", now=MONDAY
    )
    assert told.tickets == sum(told.heirs.values()) == 4
    assert told.airflow_username == "wang.fang"
    # by load: the colleague held two already
    assert {who: assignees(db).count(who) for who in (people.colleague, third)} == {
        people.colleague: 3,
        third: 3,
    }
    assert rows(db, "select is_active from staff where staff_id = :who", who=people.agent) == [(False,)]
    assert rows(db, "select count(*) from ticket_events where kind = 'reassign'") == [(4,)]
    assert rows(db, "select subject from audit_log where action = 'hand_over'") == [("staff agent",)]


def test_a_promised_call_back_is_named_to_its_heir(db, desk, config, people, tickets):
    actor = Actor(desk, config, people.agent, tickets[0], 2, MONDAY)
    tomorrow = MONDAY + timedelta(days=1)
    version = contacts.record_contact(actor, channel="call", result="call_back", call_back_at=tomorrow)
    life_cycle.pause(
        Actor(desk, config, people.agent, tickets[0], version, MONDAY), call_back_on=tomorrow.date()
    )
    told = reassignment.hand_over(
        desk, staff_id=people.lead, leaver_id=people.agent, because="resigned", now=MONDAY
    )
    assert [(each.ticket_id, each.call_back_at, each.staff_id) for each in told.call_backs] == [
        (tickets[0], tomorrow, people.colleague)
    ]
    assert rows(db, "select state from tickets where ticket_id = :id", id=tickets[0]) == [("paused",)]


def test_the_last_of_a_squad_is_not_handed_over(db, desk, people, tickets):
    reassignment.hand_over(
        desk, staff_id=people.lead, leaver_id=people.colleague, because="resigned", now=MONDAY
    )
    before = [snapshot(db, ticket) for ticket in tickets]
    with pytest.raises(Refused, match="last agent of team 'mid_high'"):
        reassignment.hand_over(
            desk, staff_id=people.lead, leaver_id=people.agent, because="resigned", now=MONDAY
        )
    assert rows(db, "select is_active from staff where staff_id = :who", who=people.agent) == [(True,)]
    assert [snapshot(db, ticket) for ticket in tickets] == before


def test_the_own_branch_comes_first_and_people_on_leave_last(db, desk, people, tickets):
    put(
        db,
        "update staff set branch_code = 'B1' where staff_id in (:a, :b)",
        a=people.agent,
        b=people.colleague,
    )
    put(
        db, "insert into staff (staff_code, name, role, team, contacts_per_day)"
        " values ('x', 'x', 'agent', 'mid_high', 4)",
    )  # fmt: skip
    told = reassignment.hand_over(
        desk, staff_id=people.lead, leaver_id=people.agent, because="moved", now=MONDAY
    )
    assert set(told.heirs) == {people.colleague}


def test_nobody_hands_over_people_of_another_team(desk, people, tickets):
    with pytest.raises(Refused, match="the lead of team 'vip'"):
        reassignment.hand_over(desk, staff_id=people.lead, leaver_id=people.stranger, because="x", now=MONDAY)
    with pytest.raises(Refused, match="Only a manager"):
        reassignment.hand_over(
            desk, staff_id=people.agent, leaver_id=people.colleague, because="x", now=MONDAY
        )


def test_the_desk_role_cannot_end_accounts_by_itself(desk, people, tickets):
    with pytest.raises(sa.exc.ProgrammingError), desk.begin():
        desk.execute(sa.text("update staff set is_active = false"))
    with pytest.raises(sa.exc.ProgrammingError, match="Only a manager or the lead"), desk.begin():
        desk.execute(
            sa.text("select set_config('app.staff_id', :me, true), retire_staff(:who)"),
            {"me": str(people.agent), "who": people.colleague},
        )


def test_nothing_is_given_to_somebody_while_they_are_handed_over(db, desk, role_url, config, people, tickets):
    """A reassignment to the leaver that comes too late is refused instead of being stranded."""
    made = engine(role_url(DESK_ROLE), role=DESK_ROLE)
    told = []

    def give(leaver):
        with made.connect() as own:
            try:
                life_cycle.reassign(Actor(own, config, people.lead, tickets[4], 2, MONDAY), leaver)
            except (Refused, sa.exc.IntegrityError) as error:
                told.append(error)

    threads = [threading.Thread(target=give, args=(people.agent,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    reassignment.hand_over(desk, staff_id=people.lead, leaver_id=people.agent, because="resigned", now=MONDAY)
    for thread in threads:
        thread.join()
    made.dispose()
    assert rows(db, "select count(*) from tickets where assignee_id = :who", who=people.agent) == [(0,)]
    assert rows(db, "select count(*) from tickets where assignee_id = :who", who=people.colleague) == [(6,)]


def test_a_list_for_somebody_who_leaves_at_that_moment_is_refused_whole(db, desk, people, tickets):
    told = []

    def give():
        wishes = [Wish(ticket, 2, people.colleague) for ticket in tickets[:2]]
        try:
            reassignment.bulk_reassign(desk, staff_id=people.lead, wishes=wishes, now=MONDAY)
        except Refused as error:
            told.append(str(error))

    ((pid,),) = rows(desk, "select pg_backend_pid()")
    waiting = sa.text("select count(*) from pg_locks where pid = :pid and not granted")
    giver = threading.Thread(target=give)
    with db.begin():
        db.execute(
            sa.text("update staff set is_active = false where staff_id = :id"), {"id": people.colleague}
        )
        giver.start()
        deadline = time.monotonic() + 20
        while not db.execute(waiting, {"pid": pid}).scalar_one() and time.monotonic() < deadline:
            time.sleep(0.02)
    giver.join()
    assert [sentence[:46] for sentence in told] == ["Somebody who was to get tickets has just left;"]
    assert assignees(db)[:2] == [people.agent] * 2
