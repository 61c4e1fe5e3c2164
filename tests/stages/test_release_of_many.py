"""Release of many campaigns: least shares first, then precedence; tickets for somebody; what lies in a pool."""

from collections import Counter
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from include.stages.release import release
from tests.fixtures.pools import move_into, with_campaign
from tests.fixtures.work import FRIDAY, fill_cycle, hire

MONDAY = FRIDAY + timedelta(days=3)


def rows(db, statement, **values):
    with db.begin():
        return [tuple(row) for row in db.execute(sa.text(statement), values)]


def released(db):
    """How many tickets of each campaign were given out."""
    return dict(rows(db, "select campaign, count(*) from tickets where state = 'assigned' group by campaign"))


@pytest.fixture
def two(db, config):
    """Two agents with ten contacts a day, thirty tickets each of a campaign and of one placed behind it."""
    people = hire(db, contacts_per_day=10)
    fill_cycle(db, 60)
    move_into(db, "churn_warning", range(1, 31), precedence=10)
    move_into(db, "renewal", range(31, 61), precedence=50)
    return people


def test_without_a_share_the_better_placed_campaign_takes_the_whole_day(db, config, two):
    release(db=db, config=with_campaign(config, "renewal", precedence=50), now=FRIDAY)
    assert released(db) == {"churn_warning": 20}


def test_a_campaign_has_its_least_share_of_the_day_best_rank_first(db, config, two):
    config = with_campaign(config, "renewal", precedence=50, capacity_share=0.25)
    release(db=db, config=config, now=FRIDAY)
    assert released(db) == {"churn_warning": 15, "renewal": 5}
    given = rows(db, "select rank from tickets where state = 'assigned' order by rank")
    assert [rank for (rank,) in given] == [*range(1, 16), *range(31, 36)]
    assert Counter(rows(db, "select assignee_id from tickets where state = 'assigned'")) == {
        (two.agent,): 10, (two.colleague,): 10,
    }  # fmt: skip


def test_a_share_that_is_not_used_goes_to_the_others(db, config, two):
    config = with_campaign(config, "renewal", precedence=50, capacity_share=0.5)
    with db.begin():
        db.execute(sa.text("update tickets set frozen_at = now(), frozen_because = 'x' where rank > 33"))
    release(db=db, config=config, now=FRIDAY)
    assert released(db) == {"churn_warning": 17, "renewal": 3}


def test_a_broken_campaign_has_no_share_and_is_released_by_the_precedence_of_its_tickets(db, config, two):
    move_into(db, "renewal", range(31, 61), precedence=5)
    config = with_campaign(config, "churn_warning", capacity_share=0.2)
    release(db=db, config=config, now=FRIDAY)  # no campaign 'renewal' is configured
    assert released(db) == {"churn_warning": 4, "renewal": 16}


def test_released_twice_a_day_neither_day_nor_share_is_given_twice(db, config, two):
    config = with_campaign(config, "renewal", precedence=50, capacity_share=0.25)
    release(db=db, config=config, now=FRIDAY)
    assert release(db=db, config=config, now=FRIDAY + timedelta(hours=4))["released"] == 0
    with db.begin():  # twelve contacts more have come since, of 32 a quarter is 8
        db.execute(sa.text("update staff set contacts_per_day = 16 where role = 'agent'"))
    release(db=db, config=config, now=FRIDAY + timedelta(hours=5))
    assert released(db) == {"churn_warning": 24, "renewal": 8}


def test_a_share_is_of_each_team_by_itself(db, config, two):
    move_into(db, "renewal", range(56, 61), team="vip")
    config = with_campaign(config, "renewal", precedence=50, capacity_share=0.25)
    release(db=db, config=config, now=FRIDAY)
    given = rows(db, "select team, campaign, count(*) from tickets where state = 'assigned' group by 1, 2")
    assert sorted(given) == [
        ("mid_high", "churn_warning", 15),
        ("mid_high", "renewal", 5),
        ("vip", "renewal", 5),
    ]


def test_what_waits_is_expected_on_the_day_its_share_comes_to_it(db, config, two):
    config = with_campaign(config, "renewal", precedence=50, capacity_share=0.25)
    release(db=db, config=config, now=FRIDAY)
    expected = rows(db, "select ticket_id, expected_on from tickets where state = 'waiting'")
    release(db=db, config=config, now=MONDAY)
    monday = rows(db, "select ticket_id from tickets where released_at >= :at", at=MONDAY)
    assert {ticket for ticket, day in expected if day == MONDAY.date()} == {ticket for (ticket,) in monday}
    assert max(day for _, day in expected) == date(2026, 11, 10)


def test_a_ticket_goes_to_whom_it_is_for_and_waits_for_their_room(db, config):
    people = hire(db, contacts_per_day=2)
    ids = fill_cycle(db, 5)
    move_into(db, "churn_warning", range(1, 4), led_by="colleague", skill="silver", branch_code="far")
    release(db=db, config=config, now=FRIDAY)
    given = dict(rows(db, "select ticket_id, assignee_id from tickets"))
    assert [given[ticket] for ticket in ids] == [
        people.colleague, people.colleague, None, people.agent, people.agent,
    ]  # fmt: skip
    assert rows(db, "select state from tickets where ticket_id = :id", id=ids[2]) == [("waiting",)]


def test_while_whom_it_is_for_is_away_a_ticket_is_shared_out_like_any_other(db, config):
    people = hire(db, contacts_per_day=2)
    fill_cycle(db, 1)
    move_into(db, "churn_warning", range(1, 2), led_by="colleague")
    with db.begin():
        db.execute(sa.text("update staff set is_present = false where staff_code = 'colleague'"))
    release(db=db, config=config, now=FRIDAY)
    assert rows(db, "select assignee_id from tickets") == [(people.agent,)]


@pytest.mark.parametrize("change", ["is_active = false", "team = 'vip'", "role = 'lead'"])
def test_whoever_is_given_no_tickets_of_the_team_any_more_leads_none(db, config, change):
    people = hire(db, contacts_per_day=2)
    fill_cycle(db, 1)
    move_into(db, "churn_warning", range(1, 2), led_by="colleague")
    with db.begin():
        db.execute(sa.text(f"update staff set {change} where staff_code = 'colleague'"))
    release(db=db, config=config, now=FRIDAY)
    assert rows(db, "select assignee_id from tickets") == [(people.agent,)]


def test_all_of_a_pool_is_offered_its_clocks_start_and_it_takes_nobodys_day(db, config):
    people = hire(db, contacts_per_day=2)
    fill_cycle(db, 30)
    pooled = move_into(db, "coaching", range(11, 31), is_pool=True, precedence=1)
    told = release(db=db, config=config, now=FRIDAY)
    assert (told["released"], told["to_queue"]) == (24, 20)
    lying = rows(
        db, "select ticket_id, state, assignee_id, released_at from tickets where is_pool order by rank"
    )
    assert lying == [(ticket, "assigned", None, FRIDAY) for ticket in pooled]
    clocks = rows(
        db, "select distinct clock, started_at from ticket_clocks where ticket_id = any(:ids)", ids=pooled
    )
    assert sorted(clocks) == [("first_contact", FRIDAY), ("plan", FRIDAY)]
    with db.begin():  # taken today, it still leaves the day to the others
        db.execute(
            sa.text("update tickets set assignee_id = :who where ticket_id = any(:ids)"),
            {"who": people.agent, "ids": pooled[:5]},
        )
        db.execute(sa.text("update staff set contacts_per_day = 3 where role = 'agent'"))
    assert release(db=db, config=config, now=FRIDAY + timedelta(hours=1))["released"] == 2


def test_a_pool_waits_while_nobody_of_its_team_is_at_work_and_is_expected_the_next_day(db, config):
    hire(db, contacts_per_day=1)
    fill_cycle(db, 4)
    move_into(db, "coaching", range(1, 5), is_pool=True)
    with db.begin():
        db.execute(sa.text("update staff set is_present = false where team = 'mid_high'"))
    assert release(db=db, config=config, now=FRIDAY)["released"] == 0
    assert rows(db, "select distinct state, expected_on from tickets") == [("waiting", MONDAY.date())]
    with db.begin():
        db.execute(sa.text("update staff set is_present = true"))
    assert release(db=db, config=config, now=MONDAY)["released"] == 4


def test_a_frozen_ticket_and_one_under_a_limit_of_contact_stay_out_of_the_pool(db, config):
    hire(db)
    fill_cycle(db, 3)
    (frozen, limited, free) = move_into(db, "coaching", range(1, 4), is_pool=True)
    with db.begin():
        db.execute(
            sa.text("update tickets set frozen_at = now(), frozen_because = 'x' where ticket_id = :id"),
            {"id": frozen},
        )
        db.execute(
            sa.text(
                "insert into refusals (customer_key, subscriber_id, words, refused_at, staff_id, ticket_id)"
                " select customer_key, subscriber_id, 'never', :now, 1, ticket_id from tickets where ticket_id = :id"
            ),
            {"id": limited, "now": FRIDAY - timedelta(days=1)},
        )
    release(db=db, config=config, now=FRIDAY)
    assert rows(db, "select ticket_id from tickets where state = 'assigned'") == [(free,)]
