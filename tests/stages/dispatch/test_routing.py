"""Routing: to the teams, to the subscriber's manager or seller where they are on the staff, or into a pool."""

from dataclasses import replace
from datetime import datetime

import polars as pl
import pytest
import sqlalchemy as sa

from include.clocks.capacity import read_capacity
from include.domain.dispatch.assignment import TREATED, Candidate, Decision, Route
from include.domain.periods.months import ZONE
from include.stages.dispatch import Choices, dispatch, plan_size
from include.stages.dispatch.routing import find_routes, routes
from include.stages.dispatch.run import Dispatching
from tests.fixtures.graded import CAMPAIGN, MONTH, Warned, graded_cycle, put
from tests.fixtures.pools import POOL, with_campaign
from tests.fixtures.runs import run_of
from tests.fixtures.work import hire

NOW = datetime(2026, 11, 5, 6, 30, tzinfo=ZONE)
CODES = {"subscriber_id": pl.String, "manager_code": pl.String, "seller_code": pl.String}
#: Their managers: an agent of mid_high, one of vip, a lead, nobody known, none.
PEOPLE = ["S1", "S2", "S3", "S4", "S5"]


def rows(db, statement, **values):
    with db.begin():
        return [tuple(row) for row in db.execute(sa.text(statement), values)]


@pytest.fixture
def profiles(lake):
    managers = ["agent", "stranger", "lead", "M99", None]
    told = [
        {"subscriber_id": who, "manager_code": manager, "seller_code": f"shop-{who}"}
        for who, manager in zip(PEOPLE, managers, strict=True)
    ]
    put(lake, "subscribers", MONTH, told, CODES)


def found(db, lake, config, **routing):
    """The routes of everybody by the routing of the campaign."""
    config = with_campaign(config, CAMPAIGN, routing=routing)
    asked = [{"subscriber_id": who, "value_yuan": 80, "tenure_months": 24} for who in PEOPLE]
    with db.begin():
        return find_routes(run_of(db=db, lake=lake, config=config, campaign=CAMPAIGN, month=MONTH), asked)


def test_without_routing_the_team_rules_decide(db, lake, config, profiles):
    hire(db)
    assert found(db, lake, config) == dict.fromkeys(PEOPLE, Route("mid_high"))


def test_a_manager_on_the_staff_leads_and_their_team_has_the_ticket(db, lake, config, profiles):
    hire(db)
    assert found(db, lake, config, by="manager") == {
        "S1": Route("mid_high", led_by="agent"), "S2": Route("vip", led_by="stranger"),
        "S3": Route("mid_high"), "S4": Route("mid_high"), "S5": Route("mid_high"),
    }  # fmt: skip


def test_a_manager_who_left_leads_nobody(db, lake, config, profiles):
    hire(db)
    with db.begin():
        db.execute(sa.text("update staff set is_active = false where staff_code = 'stranger'"))
    assert found(db, lake, config, by="manager")["S2"] == Route("mid_high")


def test_the_seller_shares_the_figure_whether_on_the_staff_or_not(db, lake, config, profiles):
    hire(db)
    shared = found(db, lake, config, by="manager", shared_by="seller")
    assert shared["S1"] == Route("mid_high", led_by="agent", shared_by="shop-S1")
    assert {each.shared_by for each in shared.values()} == {f"shop-{who}" for who in PEOPLE}
    assert found(db, lake, config, by="seller", shared_by="manager")["S2"] == Route(
        "mid_high", shared_by="stranger"
    )


def test_a_pool_has_all_tickets_in_its_team(db, lake, config, profiles):
    assert found(db, lake, config, **POOL | {"team": "vip"}) == dict.fromkeys(
        PEOPLE, Route("vip", is_pool=True)
    )


@pytest.mark.parametrize("delivered", [None, {"subscriber_id": pl.String}])
def test_where_the_operator_delivers_no_codes_the_team_rules_decide(db, lake, config, delivered):
    hire(db)
    if delivered:
        put(lake, "subscribers", MONTH, [{"subscriber_id": who} for who in PEOPLE], delivered)
    assert found(db, lake, config, by="manager", shared_by="seller") == dict.fromkeys(
        PEOPLE, Route("mid_high")
    )


def routed(db, lake, config, decisions, **routing):
    """What the tickets of decisions are told, as dispatch writes it down."""
    config = with_campaign(config, CAMPAIGN, routing=routing)
    of_cycle = run_of(db=db, lake=lake, config=config, campaign=CAMPAIGN, month=MONTH, as_of=NOW)
    known = {
        "S1": Route("mid_high", led_by="agent", shared_by="shop-S1"),
        "S2": Route("vip", is_pool=True),
    }
    run = replace(Dispatching.by(of_cycle), routes=known)
    with db.begin():
        return routes(run, decisions, read_capacity(db, config, 3, NOW))


def treated(subscriber, team, worked_by):
    return Decision(Candidate(subscriber, subscriber, 1, team=team), TREATED, worked_by=worked_by)


def test_a_ticket_says_whom_it_is_for_unless_another_team_takes_it(db, lake, config):
    hire(db)
    own = routed(db, lake, config, [treated("S1", "mid_high", "mid_high")], by="manager")["S1"]
    assert (own["team"], own["led_by"], own["shared_by"], own["is_pool"]) == (
        "mid_high",
        "agent",
        "shop-S1",
        False,
    )
    taken_over = routed(db, lake, config, [treated("S1", "mid_high", "vip")], by="manager")["S1"]
    assert (taken_over["team"], taken_over["led_by"], taken_over["shared_by"]) == ("vip", None, "shop-S1")


def test_all_of_a_pool_is_expected_at_once(db, lake, config):
    hire(db, contacts_per_day=1)
    told = routed(db, lake, config, [treated("S2", "vip", "vip"), treated("S1", "vip", "vip")], **POOL)
    assert {each["expected_on"] for each in told.values()} == {NOW.date()}
    assert told["S2"]["is_pool"] is True


def test_dispatch_fills_the_room_of_the_managers_team_and_counts_who_has_no_manager_at_work(
    db, lake, config, profiles
):
    hire(db, contacts_per_day=1)  # vip takes three in a cycle
    config = with_campaign(config, CAMPAIGN, routing={"by": "manager"})
    draw = config.measures[CAMPAIGN].model_copy(update={"share": 1e-9})
    config = replace(config, measures={CAMPAIGN: draw})
    run = graded_cycle(db, lake, config, [Warned(who) for who in PEOPLE])
    told = dispatch(run_of(**run, now=NOW))
    assert (told["led"], told["without_leader"]) == (2, 3)
    assert rows(db, "select subscriber_id, team from tickets order by rank") == [
        ("S1", "mid_high"), ("S2", "vip"), ("S3", "mid_high"), ("S4", "mid_high"), ("S5", "mid_high"),
    ]  # fmt: skip
    assert rows(db, "select distinct team from dispatch_decisions where subscriber_id = 'S2'") == [("vip",)]


def test_the_size_of_a_dispatch_is_planned_by_the_same_routes(db, lake, config, profiles):
    hire(db, contacts_per_day=1)  # one agent of vip: room for three in three days
    pooled = with_campaign(config, CAMPAIGN, routing=POOL | {"team": "vip"})
    run = graded_cycle(db, lake, pooled, [Warned(who) for who in PEOPLE])
    planned = {name: run[name] for name in ("db", "lake", "config", "campaign", "cycle", "month")}
    assert plan_size(run_of(**planned, now=NOW), Choices())["tickets_at_most"] == 3


def test_a_campaign_of_the_teams_counts_no_managers(db, lake, config):
    told = dispatch(run_of(**graded_cycle(db, lake, config, [Warned("S1")]), now=NOW))
    assert not {"led", "without_leader"} & set(told)
