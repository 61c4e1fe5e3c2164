"""One customer, many campaigns: one calling ticket, ghosts of either arm, who yields to whom, caps, shared draws."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from include.config import Config
from include.domain.periods.months import ZONE
from include.stages.dispatch import Choices, dispatch
from tests.fixtures.beside import with_campaign, with_draws
from tests.fixtures.graded import Warned, graded_cycle
from tests.fixtures.runs import run_of

NOW = datetime(2026, 11, 5, 6, 30, tzinfo=ZONE)
FIRST, SECOND = "churn_warning", "renewal"


@pytest.fixture(scope="module")
def both(config: Config) -> Config:
    """churn_warning with precedence 10 and a campaign with a draw of its own and precedence 20."""
    return with_campaign(config, SECOND, precedence=20, measure="contract_renewal")


@pytest.fixture(scope="module")
def treating(both: Config) -> Config:
    """The same, holding nobody out, so that who gets a ticket can be foreseen."""
    return with_draws(both, churn_warning={"share": 0.0}, contract_renewal={"share": 0.0})


def rows(db: sa.Connection, statement: str, **values: Any) -> list[Any]:
    with db.begin():
        return [tuple(row) for row in db.execute(sa.text(statement), values)]


def graded(db, lake, config, campaign: str, warned: Sequence[Warned], month: str = "2026-10", **more: Any):
    return graded_cycle(db, lake, config.of(campaign), warned, month, campaign=campaign, **more)


def reasons(db: sa.Connection, campaign: str) -> dict[str, str | None]:
    """The reason of whoever is left out, else the decision."""
    found = rows(
        db,
        "select subscriber_id, coalesce(reason, decision) from dispatch_decisions where campaign = :campaign",
        campaign=campaign,
    )
    return dict(found)


def tickets(db: sa.Connection) -> list[Any]:
    return rows(db, "select campaign, subscriber_id from tickets order by ticket_id")


def finish(db: sa.Connection) -> None:
    """Cancel every ticket: unfinished ones bar by themselves."""
    rows(
        db,
        "with gone as (update tickets set state = 'cancelled', closed_at = now(), version = version + 1"
        " where state in ('waiting', 'assigned') returning ticket_id, version)"
        " insert into ticket_events (ticket_id, version, kind, from_state, to_state, actor, occurred_at)"
        " select ticket_id, version, 'cancel', 'assigned', 'cancelled', 'x', now() from gone returning 1",
    )


BOTH = [Warned("S1")]


def test_the_better_placed_campaign_dispatched_first_has_the_customer(db, lake, treating):
    given = [graded(db, lake, treating, name, BOTH) for name in (FIRST, SECOND)]
    dispatch(run_of(**given[0], now=NOW))
    told = dispatch(run_of(**given[1], now=NOW))
    assert tickets(db) == [(FIRST, "S1")]
    assert told["ineligible"] == {"unfinished_ticket": 1}
    assert rows(
        db,
        "select t.campaign from dispatch_decisions as d join tickets as t on t.ticket_id = d.linked_ticket_id",
    ) == [(FIRST,)]


def test_the_other_one_has_the_customer_where_the_better_placed_was_not_graded_yet(db, lake, treating):
    dispatch(run_of(**graded(db, lake, treating, SECOND, BOTH), now=NOW))
    told = dispatch(run_of(**graded(db, lake, treating, FIRST, BOTH), now=NOW))
    assert tickets(db) == [(SECOND, "S1")]
    assert told["ineligible"] == {"unfinished_ticket": 1}


def test_a_campaign_yields_to_a_better_placed_one_that_is_graded_and_not_dispatched(db, lake, treating):
    given = {name: graded(db, lake, treating, name, BOTH) for name in (FIRST, SECOND)}
    told = dispatch(run_of(**given[SECOND], now=NOW))
    assert (told["ineligible"], told["yields_to"]) == ({"yields": 1}, {FIRST: 1})
    assert rows(db, "select reason, yields_to from dispatch_decisions") == [("yields", FIRST)]
    assert dispatch(run_of(**given[FIRST], now=NOW))["treated"] == 1
    assert tickets(db) == [(FIRST, "S1")]


def test_nothing_of_one_campaign_is_fixed_read_or_replaced_by_the_other(db, lake, both):
    """Of the same month and as_of, with other people."""
    own, others = [Warned(f"A{n}") for n in range(20)], [Warned(f"B{n}") for n in range(20)]
    given = {
        name: graded(db, lake, both, name, people, everybody=[*own, *others])
        for name, people in ((FIRST, own), (SECOND, others))
    }
    dispatch(run_of(**given[FIRST], now=NOW))
    assert rows(db, "select campaign from cycles where fixed_at is null") == [(SECOND,)]
    rows(db, f"delete from warnings where campaign = '{SECOND}' and subscriber_id = 'B0' returning 1")
    with pytest.raises(sa.exc.IntegrityError, match="fixed since its first dispatch"):
        rows(db, f"delete from warnings where campaign = '{FIRST}' and subscriber_id = 'A0' returning 1")
    kept = "select * from {} where {} = 'churn_warning' order by 1, 2, 3"
    tables = {
        "arms": "measure",
        "subscriber_arms": "measure",
        "assignments": "campaign",
        "cycles": "campaign",
    }
    tables |= {"dispatch_decisions": "campaign", "tickets": "campaign"}
    before = [rows(db, kept.format(*each)) for each in tables.items()]
    told = dispatch(run_of(**given[SECOND], now=NOW))
    assert told["rows_in"] == 19
    assert [rows(db, kept.format(*each)) for each in tables.items()] == before
    assert rows(db, "select distinct measure from arms order by measure") == [
        ("churn_warning",),
        ("contract_renewal",),
    ]


def test_of_equal_precedence_the_name_decides_who_yields(db, lake, config):
    equal = with_campaign(config, "a_campaign", precedence=10, measure={"because": "test"})
    for name in (FIRST, "a_campaign"):
        graded(db, lake, equal, name, BOTH)
    given = graded(db, lake, equal, FIRST, [Warned("S2")], month="2026-09")
    assert dispatch(run_of(**given, now=datetime(2026, 10, 8, tzinfo=ZONE)))["yields_to"] == {}
    given = graded(db, lake, equal, FIRST, BOTH, month="2026-08")
    assert dispatch(run_of(**given, now=NOW), Choices(dispatch_late=True))["yields_to"] == {"a_campaign": 1}


def test_nobody_yields_to_a_cycle_that_is_late_in_the_shadow_or_fixed(db, lake, treating):
    graded(db, lake, treating, FIRST, BOTH, month="2026-08")  # late since October
    shadow = with_campaign(treating, "shadowy", precedence=1, shadow=True, measure={"because": "test"})
    graded(db, lake, shadow, "shadowy", BOTH)
    given = graded(db, lake, treating, FIRST, [Warned("S2")])
    dispatch(run_of(**given, now=NOW))
    assert dispatch(run_of(**graded(db, lake, treating, SECOND, BOTH), now=NOW))["treated"] == 1


def test_a_campaign_never_yields_to_itself(db, lake, treating):
    graded(db, lake, treating, SECOND, BOTH, month="2026-09")
    with db.begin():
        db.execute(sa.text("update cycles set precedence = 5, dispatch_ends_at = '2027-01-01'"))
    assert dispatch(run_of(**graded(db, lake, treating, SECOND, BOTH), now=NOW))["treated"] == 1


def test_both_numbers_of_a_customer_are_one_customer_in_every_campaign(db, lake, treating):
    dispatch(run_of(**graded(db, lake, treating, FIRST, [Warned("S1", "C1"), Warned("S3", "C3")]), now=NOW))
    # S3 has come to somebody else since; its ticket is still in work
    told = dispatch(
        run_of(**graded(db, lake, treating, SECOND, [Warned("S2", "C1"), Warned("S3", "C9")]), now=NOW)
    )
    assert told["ineligible"] == {"unfinished_ticket": 2}


def test_either_arm_of_another_campaign_bars_until_its_horizon_ends(db, lake, both):
    people = [Warned(f"S{n:03}") for n in range(60)]
    dispatch(run_of(**graded(db, lake, both, FIRST, people), now=NOW))
    finish(db)
    given = graded(db, lake, both, SECOND, people, everybody=people)
    assert dispatch(run_of(**given, now=NOW))["ineligible"] == {"assigned_elsewhere": 60}
    later = graded(db, lake, both, SECOND, people, month="2026-11", everybody=people)
    told = dispatch(
        run_of(**later, now=datetime(2026, 12, 5, 7, tzinfo=ZONE))
    )  # the horizon of October ended on 1 December
    assert told["ineligible"] == {}


def test_what_was_recalled_bars_no_other_campaign(db, lake, treating):
    dispatch(run_of(**graded(db, lake, treating, FIRST, BOTH), now=NOW))
    finish(db)
    with db.begin():
        db.execute(sa.text("update assignments set is_recalled = true, recalled_at = now()"))
    assert dispatch(run_of(**graded(db, lake, treating, SECOND, BOTH), now=NOW))["treated"] == 1


def test_two_campaigns_that_both_allow_it_call_the_same_customer(db, lake, config):
    beside = with_campaign(config, "one", beside_others=True, precedence=5, measure={"because": "test"})
    beside = with_campaign(beside, "two", beside_others=True, precedence=6, measure={"because": "test"})
    beside = with_campaign(beside, "alone", precedence=7, measure={"because": "test"})
    given = {name: graded(db, lake, beside, name, BOTH) for name in ("one", "two", "alone")}
    assert dispatch(run_of(**given["two"], now=NOW))["treated"] == 1  # nor does it yield
    assert dispatch(run_of(**given["one"], now=NOW))["treated"] == 1
    assert dispatch(run_of(**given["alone"], now=NOW))["ineligible"] == {"unfinished_ticket": 1}
    again = graded(db, lake, beside, "one", BOTH, month="2026-11")
    told = dispatch(run_of(**again, now=datetime(2026, 12, 5, 7, tzinfo=ZONE)))
    assert told["ineligible"] == {"unfinished_ticket": 1}  # of its own campaign one is enough


def test_a_cap_counts_what_every_campaign_did_in_a_month_and_in_a_quarter(db, lake, config):
    for number in range(6):
        config = with_campaign(config, f"c_{number}", beside_others=True, measure={"because": "test"})
    given = [graded(db, lake, config, f"c_{number}", BOTH) for number in range(4)]
    told = [_capped(each, NOW, month=3, quarter=4) for each in given]
    assert told == [{}, {}, {}, {"cap_month": 1}]
    later = NOW + timedelta(days=40)
    given = [graded(db, lake, config, f"c_{number}", BOTH, month="2026-11") for number in (4, 5)]
    assert [_capped(each, later, month=3, quarter=4) for each in given] == [{}, {"cap_quarter": 1}]


def test_a_message_counts_for_the_cap_too_and_once_for_customer_and_number(db, lake, config):
    config = with_campaign(config, "alone", measure={"because": "test"}, cooling_off_days=0)
    given = graded(db, lake, config, "alone", [Warned("S1", "C1"), Warned("S2", "C2"), Warned("S3", "C1")])
    item = (
        "insert into outreach_items (campaign, cycle, subscriber_id, customer_key, rank, grade, decision, strategy,"
        " offer, channel, probability_of_assignment, listed_at) values ('alone', '2026-10', :number, :customer, 1,"
        " 'mid', :decision, 'x', 'x', 'sms', 0.1, :at) returning 1"
    )
    for number, customer, decision in (("S1", "C1", "listed"), ("S2", "C2", "held_out")):
        at = NOW + timedelta(days=3)
        rows(db, item, number=number, customer=customer, decision=decision, at=at)
    assert _capped(given, NOW + timedelta(days=4), month=2, quarter=9) == {"same_customer": 1}
    finish(db)
    given = graded(db, lake, config, "alone", [Warned("S1"), Warned("S4", "C2")], month="2026-11")
    assert _capped(given, NOW + timedelta(days=30), month=2, quarter=9) == {"cap_month": 2}


def _capped(given: dict[str, Any], now: datetime, month: int, quarter: int, **changes: Any) -> dict[str, int]:
    """Who is left out with these caps."""
    contact = given["config"].contact
    caps = contact.caps.model_copy(update={"month": month, "quarter": quarter})
    capped = replace(given["config"], contact=contact.model_copy(update={"caps": caps}))
    return dispatch(run_of(**given | {"config": capped} | changes, now=now))["ineligible"]


def test_campaigns_of_one_measure_hold_the_same_customers_out(db, lake, config):
    shared = with_campaign(config, SECOND, measure="churn_warning", beside_others=True)
    beside = with_campaign(shared, "third", measure="churn_warning", beside_others=True)
    people = [Warned(f"S{n:03}") for n in range(80)]
    for name in (SECOND, "third"):
        dispatch(run_of(**graded(db, lake, beside, name, people), now=NOW))
    held_out = rows(
        db,
        "select campaign, array_agg(subscriber_id order by subscriber_id) from assignments where arm = 'held_out'"
        " group by campaign order by campaign",
    )
    assert held_out[0][1] == held_out[1][1] and len(held_out[0][1]) > 5
    assert rows(db, "select count(*), count(distinct measure) from arms") == [(80, 1)]


def test_whom_another_span_of_the_same_draw_holds_out_is_left_alone_beside_others_too(db, lake, config):
    beside = with_campaign(config, SECOND, measure="churn_warning", beside_others=True)
    beside = with_campaign(
        beside, "by_day", cadence="daily", horizon_months=None, horizon_days=30, measure="churn_warning",
        beside_others=True,
    )  # fmt: skip
    people = [Warned(f"S{n:03}") for n in range(80)]
    january = datetime(2027, 1, 6, 7, tzinfo=ZONE)
    dispatch(run_of(**graded(db, lake, beside, SECOND, people, month="2026-12"), now=january))
    dispatch(run_of(**graded(db, lake, beside, "by_day", people, month="2027-01-06"), now=january))
    held_out = rows(
        db, "select subscriber_id from assignments where campaign = :first and arm = 'held_out'", first=SECOND
    )
    assert len(held_out) > 5
    assert {reasons(db, "by_day")[name] for (name,) in held_out} == {"assigned_elsewhere"}


def test_a_campaign_without_a_measure_treats_everybody_and_draws_nothing(db, lake, config):
    alone = with_campaign(config, SECOND, measure={"because": "a service, owed to everybody"})
    told = dispatch(run_of(**graded(db, lake, alone, SECOND, [Warned(f"S{n}") for n in range(30)]), now=NOW))
    assert (told["treated"], told["held_out"]) == (30, 0)
    assert rows(db, "select distinct measure, epoch, arm, probability_of_assignment from assignments") == [
        (None, "2026H2", "treated", 1.0)
    ]
    assert rows(db, "select (select count(*) from arms) + (select count(*) from subscriber_arms)") == [(0,)]


def test_an_arm_holds_for_the_span_of_its_measure(db, lake, config):
    quarterly = with_draws(config, churn_warning={"epoch": "quarter"})
    dispatch(run_of(**graded(db, lake, quarterly, FIRST, [Warned("S1")]), now=NOW))
    assert rows(db, "select epoch from arms union all select epoch from assignments") == [("2026Q4",)] * 2
