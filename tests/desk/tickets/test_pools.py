"""Pools: the next ticket is given by rank, to one person, up to their quota; nobody chooses."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from include.database import DESK_ROLE, engine
from include.desk.calls import phones
from include.desk.tickets import contacts, life_cycle, next_ticket, reassignment
from include.desk.tickets.transaction import Actor
from include.domain.errors import Refused
from include.stages.release import release
from tests.desk.tickets.test_concurrency import at_once
from tests.fixtures.desk import MONDAY, RULES
from tests.fixtures.pools import POOL, move_into, with_campaign
from tests.fixtures.work import FRIDAY, fill_cycle, hire

TICKETS = 8


@pytest.fixture
def pooled(config):
    """The configuration with a pool from which each takes two of a cycle."""
    return with_campaign(config, "coaching", routing=POOL)


@pytest.fixture
def people(db):
    return hire(db, contacts_per_day=20)


@pytest.fixture
def lying(db, pooled, people):
    """Eight released tickets of the pool, best rank first."""
    fill_cycle(db, TICKETS)
    ids = move_into(db, "coaching", range(1, TICKETS + 1), is_pool=True)
    release(db=db, config=pooled, now=FRIDAY)
    return ids


@pytest.fixture
def take(desk, pooled):
    """What a person gets who asks for the next ticket of a pool."""

    def one(staff_id, config=pooled, now=MONDAY):
        return next_ticket.claim_from_pool(desk, RULES, config, staff_id=staff_id, now=now)

    return one


def rows(db, statement, **values):
    with db.begin():
        return [tuple(row) for row in db.execute(sa.text(statement), values)]


def put(db, statement, **values):
    with db.begin():
        db.execute(sa.text(statement), values)


def actor(db, desk, config, staff_id, ticket_id):
    (version,) = rows(db, "select version from tickets where ticket_id = :id", id=ticket_id)[0]
    return Actor(desk, config, staff_id, ticket_id, version, MONDAY)


def test_the_next_of_a_pool_is_the_best_ranked_and_theirs_for_good(db, people, lying, take):
    assert (take(people.agent), take(people.colleague)) == tuple(lying[:2])
    assert rows(db, "select assignee_id, version, state from tickets where ticket_id = :id", id=lying[0]) == [
        (people.agent, 3, "assigned")
    ]
    told = "select kind, version, staff_id, actor, from_state, to_state, details from ticket_events"
    assert rows(db, f"{told} where ticket_id = :id order by version desc limit 1", id=lying[0]) == [
        ("claim", 3, people.agent, "agent", "assigned", "assigned", {"pool": True})
    ]


def test_pools_go_by_precedence_then_cycle_then_rank(db, people, lying, take):
    put(db, "update tickets set cycle = '2026-09' where ticket_id = :id", id=lying[5])
    put(db, "update tickets set precedence = 1 where ticket_id = :id", id=lying[7])
    assert [take(who) for who in (people.agent, people.colleague, people.lead)] == [
        lying[7],
        lying[5],
        lying[0],
    ]


def test_the_own_and_the_teams_other_tickets_come_before_the_pool(db, desk, pooled, people, lying):
    def take_next():
        return next_ticket.take_next(desk, RULES, pooled, staff_id=people.agent, now=MONDAY)

    put(db, "update tickets set is_pool = false where ticket_id = :id", id=lying[6])
    assert take_next() == lying[6]
    put(db, "update tickets set is_pool = true where ticket_id = :id", id=lying[6])
    assert take_next() == lying[0]
    assert take_next() == lying[0]  # theirs, until it is worked
    assert rows(db, "select count(*) from ticket_events where kind = 'claim'") == [(1,)]


def test_beyond_the_quota_of_the_cycle_a_person_gets_no_more_and_a_colleague_does(db, people, lying, take):
    assert [take(people.agent), take(people.agent)] == lying[:2]
    with pytest.raises(
        Refused, match="Your quota of campaign 'coaching' for this cycle is used up: 2"
    ) as refused:
        take(people.agent)
    assert refused.value.code == "quota_reached"
    assert take(people.colleague) == lying[2]


def test_the_quota_is_of_a_cycle_and_counts_what_was_given_away_since(db, desk, pooled, people, lying, take):
    first, _ = take(people.agent), take(people.agent)
    life_cycle.hand_back(actor(db, desk, pooled, people.agent, first), reason="speaks Uyghur")
    assert take(people.colleague) == first
    with pytest.raises(Refused, match="is used up"):
        take(people.agent)
    put(db, "update tickets set cycle = '2026-11' where ticket_id = :id", id=lying[4])
    assert take(people.agent) == lying[4]


def test_what_a_person_handed_back_does_not_come_to_them_again(db, desk, pooled, people, lying, take):
    put(db, "update tickets set team = 'vip' where ticket_id = any(:ids)", ids=lying[1:])
    first = take(people.agent)
    life_cycle.hand_back(actor(db, desk, pooled, people.agent, first), reason="speaks Uyghur")
    assert take(people.agent) is None
    assert take(people.colleague) == first


def test_one_that_was_tried_rests_and_a_promise_that_is_due_goes_before_every_rank(
    db, desk, pooled, people, lying, take
):
    for ticket, result, promised in (
        (lying[0], "no_answer", None), (lying[1], "call_back", MONDAY + timedelta(hours=2)),
    ):  # fmt: skip
        assert take(people.agent) == ticket
        seen = actor(db, desk, pooled, people.agent, ticket)
        tried = contacts.record_contact(seen, channel="call", result=result, call_back_at=promised)
        life_cycle.hand_back(replace(seen, version=tried), reason="ill")
    assert take(people.colleague) == lying[2]
    assert take(people.colleague, now=MONDAY + timedelta(hours=3)) == lying[1]
    assert take(people.lead, now=MONDAY + timedelta(days=1)) == lying[0]


def test_frozen_limited_and_other_teams_tickets_are_not_given(db, people, lying, take):
    put(db, "update tickets set frozen_at = now(), frozen_because = 'x' where ticket_id = :id", id=lying[0])
    put(db, "update tickets set team = 'vip' where ticket_id = :id", id=lying[1])
    put(
        db,
        "insert into standing_limits (subscriber_id, customer_key, kind, valid_from, month, recorded_at)"
        " select subscriber_id, customer_key, 'red_list', '2026-11-01', '2026-11', now() from tickets"
        " where ticket_id = :id",
        id=lying[2],
    )
    assert take(people.agent) == lying[3]
    assert take(people.stranger) == lying[1]


def test_a_manager_takes_nothing_and_a_broken_campaign_gives_nothing(config, pooled, people, lying, take):
    assert take(people.manager) is None
    assert take(people.agent, config=config) is None
    assert take(people.agent) == lying[0]


def test_what_still_lies_in_a_campaign_that_is_no_pool_any_more_is_given_without_a_quota(
    config, people, lying, take
):
    config = with_campaign(config, "coaching")
    assert [take(people.agent, config=config) for _ in range(4)] == lying[:4]


@pytest.mark.parametrize("who", ["agent", "lead"])
def test_a_chosen_ticket_of_a_pool_is_not_claimed(db, desk, pooled, people, lying, who):
    with pytest.raises(Refused, match="lies in a pool, which gives the next one by rank") as refused:
        life_cycle.claim(actor(db, desk, pooled, getattr(people, who), lying[3]))
    assert refused.value.code == "pool_gives_the_next"


@pytest.mark.parametrize("use", ["call", "reveal"])
def test_nor_is_it_taken_by_working_on_it_or_its_number_shown(db, desk, pooled, people, lying, use):
    chosen = actor(db, desk, pooled, people.agent, lying[3])
    for work_on in (
        lambda: contacts.record_contact(chosen, channel="call", result="reached"),
        lambda: phones.use_number(chosen, RULES, use),
    ):
        with pytest.raises(Refused, match="nobody chooses"):
            work_on()
    assert rows(db, "select version, assignee_id from tickets where ticket_id = :id", id=lying[3]) == [
        (2, None)
    ]


def test_a_refusal_is_kept_on_a_ticket_of_a_pool_and_a_lead_may_give_one_away(
    db, desk, pooled, people, lying, take
):
    contacts.do_not_call(actor(db, desk, pooled, people.agent, lying[0]), words="never again")
    life_cycle.reassign(actor(db, desk, pooled, people.lead, lying[5]), people.agent)
    given = rows(db, "select state, assignee_id from tickets where ticket_id = :id", id=lying[5])
    assert given == [("assigned", people.agent)]
    assert [take(people.agent), take(people.agent)] == lying[1:3]  # what was given is none of their quota


def test_what_a_leaver_took_is_spread_over_the_team_and_counts_for_nobody_else(db, desk, people, lying, take):
    taken = [take(people.agent), take(people.agent)]
    told = reassignment.hand_over(
        desk, staff_id=people.lead, leaver_id=people.agent, because="resigned", now=MONDAY
    )
    assert (told.tickets, dict(told.heirs)) == (2, {people.colleague: 2})
    held = rows(
        db, "select ticket_id from tickets where assignee_id = :who order by rank", who=people.colleague
    )
    assert [ticket for (ticket,) in held] == taken
    assert [take(people.colleague), take(people.colleague)] == lying[2:4]


def test_people_who_ask_at_once_get_different_tickets_and_nobody_passes_the_quota(
    role_url, db, pooled, people, lying
):
    made = engine(role_url(DESK_ROLE), role=DESK_ROLE, pool_size=18, max_overflow=0)
    given: list[tuple[int, int]] = []
    refused: list[int] = []

    def asking(staff_id):
        def job():
            with made.connect() as own:
                try:
                    found = next_ticket.claim_from_pool(own, RULES, pooled, staff_id=staff_id, now=MONDAY)
                except Refused:
                    refused.append(staff_id)
                else:
                    given.append((found, staff_id))

        return job

    at_once([asking(who) for who in (people.agent, people.colleague, people.lead) for _ in range(6)])
    made.dispose()
    assert Counter(staff for _, staff in given) == {people.agent: 2, people.colleague: 2, people.lead: 2}
    assert Counter(refused) == {people.agent: 4, people.colleague: 4, people.lead: 4}
    assert sorted(ticket for ticket, _ in given) == lying[:6]
    assert rows(
        db, "select ticket_id, assignee_id from tickets where assignee_id is not null order by 1"
    ) == sorted(given)
    assert rows(db, "select count(*) from ticket_events where kind = 'claim'") == [(6,)]


def test_a_claim_that_was_killed_before_its_end_took_nothing(
    role_url, db, as_admin, pooled, people, lying, take
):
    made = engine(role_url(DESK_ROLE), role=DESK_ROLE, poolclass=sa.NullPool)
    with made.connect() as own:
        pid = own.execute(sa.text("select pg_backend_pid()")).scalar_one()
        assert next_ticket.claim_from_pool(own, RULES, pooled, staff_id=people.agent, now=MONDAY) == lying[0]
        assert take(people.colleague) == lying[1]  # does not wait for it
        as_admin("select pg_terminate_backend(:pid)", pid=pid)
        own.invalidate()
    assert [take(people.agent), take(people.agent)] == [lying[0], lying[2]]
    assert rows(db, "select count(*) from ticket_events where kind = 'claim'") == [(3,)]
