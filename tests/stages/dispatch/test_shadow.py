"""In the shadow: what would be decided is written and told, and nobody outside the campaign notices."""

from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from include.config import Config
from include.domain.periods.months import ZONE
from include.stages.dispatch import Choices, dispatch, plan_size
from include.stages.outreach import outreach
from tests.fixtures.beside import with_campaign
from tests.fixtures.graded import Warned, graded_cycle
from tests.fixtures.runs import run_of
from tests.fixtures.work import hire

NOW = datetime(2026, 11, 5, 6, 30, tzinfo=ZONE)
NAME, OTHER = "trial", "churn_warning"
EVERYTHING_ELSE = (
    "arms", "subscriber_arms", "assignments", "tickets", "ticket_events", "ticket_phones", "ticket_clocks",
    "outreach_items",
)  # fmt: skip


@pytest.fixture(scope="module")
def shadow(config: Config) -> Config:
    """A better-placed campaign in the shadow."""
    return with_campaign(config, NAME, shadow=True, precedence=1, measure="contract_renewal")


@pytest.fixture(scope="module")
def lit(config: Config) -> Config:
    """The same campaign, for real."""
    return with_campaign(config, NAME, precedence=1, measure="contract_renewal")


def graded(db, lake, config, campaign: str, n: int = 40) -> dict[str, Any]:
    warned = [Warned(f"S{number:03}") for number in range(n)]
    return graded_cycle(db, lake, config.of(campaign), warned, campaign=campaign)


def rows(db: sa.Connection, statement: str, **values: Any) -> list[Any]:
    with db.begin():
        return [tuple(row) for row in db.execute(sa.text(statement), values)]


def decisions(db: sa.Connection) -> list[Any]:
    return rows(
        db,
        "select subscriber_id, decision, reason, team from dispatch_decisions where campaign = :name order by rank",
        name=NAME,
    )


def test_nothing_is_written_but_its_decisions_and_summary(db, lake, shadow):
    hire(db, contacts_per_day=4)
    told = dispatch(run_of(**graded(db, lake, shadow, NAME), now=NOW))
    assert (told["shadow"], told["rows_out"], told["treated"]) == (True, 0, 24)
    assert told["message"].startswith("In the shadow: nothing is dispatched. ")
    counts = rows(db, " union all ".join(f"select count(*) from {table}" for table in EVERYTHING_ELSE))
    assert counts == [(0,)] * len(EVERYTHING_ELSE)
    assert rows(db, "select fixed_at, dispatch_summary -> 'shadow' from cycles") == [(None, True)]
    assert {decision for _, decision, *_ in decisions(db)} == {"treated", "held_out", "not_reached"}


def test_it_takes_no_capacity_and_bars_nobody(db, lake, shadow):
    hire(db, contacts_per_day=4)
    dispatch(run_of(**graded(db, lake, shadow, NAME), now=NOW))
    told = dispatch(run_of(**graded(db, lake, shadow, OTHER), now=NOW))
    assert (told["treated"], told["ineligible"], told["capacity_taken"]) == (24, {}, 0)


def test_a_dispatch_in_the_shadow_expires_no_ticket(db, lake, shadow):
    hire(db, contacts_per_day=4)
    dispatch(run_of(**graded(db, lake, shadow, OTHER), now=NOW))
    late = datetime(2026, 12, 30, tzinfo=ZONE)
    dispatch(run_of(**graded(db, lake, shadow, NAME), now=late), Choices(dispatch_late=True))
    assert rows(db, "select distinct state from tickets") == [("waiting",)]


def test_run_again_it_replaces_what_it_decided(db, lake, shadow):
    given = graded(db, lake, shadow, NAME, 10)
    dispatch(run_of(**given, now=NOW))
    first = decisions(db)
    dispatch(run_of(**given, now=NOW))
    assert decisions(db) == first
    rows(db, "delete from warnings where subscriber_id = 'S003' returning 1")
    dispatch(run_of(**given, now=NOW))
    assert decisions(db) == [row for row in first if row[0] != "S003"]


def test_out_of_the_shadow_the_cycle_is_dispatched_as_was_foretold(db, lake, shadow, lit):
    hire(db, contacts_per_day=4)
    given = graded(db, lake, shadow, NAME)
    dispatch(run_of(**given, now=NOW))
    foretold = decisions(db)
    told = dispatch(run_of(**given | {"config": lit.of(NAME)}, now=NOW))
    assert told["treated"] == 24 and "shadow" not in told
    assert decisions(db) == foretold
    assert rows(db, "select subscriber_id from assignments where arm = 'treated' order by rank") == [
        (who,) for who, decision, *_ in foretold if decision == "treated"
    ]


def test_arms_drawn_for_real_are_those_it_goes_by(db, lake, config, shadow):
    """In a trial that shares its draw with a running campaign, who is held out is held out by both."""
    shared = with_campaign(shadow, "shared", shadow=True, beside_others=True, measure=OTHER)
    shared = with_campaign(shared, "running", beside_others=True, measure=OTHER)
    dispatch(run_of(**graded(db, lake, shared, "running"), now=NOW))
    before = rows(db, "select count(*) from arms")
    dispatch(run_of(**graded(db, lake, shared, "shared"), now=NOW))
    assert rows(db, "select count(*) from arms") == before
    differ = (
        "select count(*) from dispatch_decisions as d join arms as a on a.customer_key = d.customer_key"
        " where d.campaign = 'shared' and d.decision <> a.arm"
    )
    assert rows(db, differ) == [(0,)]


def test_nobody_is_asked_to_approve_what_nobody_gets(db, lake, shadow):
    few = with_campaign(
        shadow,
        NAME,
        shadow=True,
        approval={"tickets": 1, "share_warned_times": 2.0},
        measure={"because": "test"},
    )
    given = {name: value for name, value in graded(db, lake, few, NAME).items() if name != "as_of"}
    told = plan_size(run_of(**given, now=NOW), Choices())
    assert (told["ask"], told["tickets_at_most"]) == (False, 40)


def test_a_fixed_cycle_gets_no_more_tickets_nor_a_list_in_the_shadow(db, lake, shadow, lit):
    given = graded(db, lake, lit, NAME)
    dispatch(run_of(**given, now=NOW), Choices(most=5))
    later = given | {"config": shadow.of(NAME)}
    assert dispatch(run_of(**later, now=NOW), Choices(top_up=True))["already_fixed"] is True
    del later["as_of"]
    assert (
        outreach(run_of(**later, now=NOW))["message"]
        == "Cycle 2026-10 was not dispatched, so nobody is written to."
    )
    assert rows(db, "select count(*) from tickets") == [(5,)]
