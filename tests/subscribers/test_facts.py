"""The facts offers are judged by, and the strategy frozen with the evidence of an assignment."""

from datetime import date, datetime

import polars as pl
import pytest
import sqlalchemy as sa

from include.config import Config
from include.desk.tickets.offers import offers_for
from include.domain.errors import Refused
from include.domain.periods.months import ZONE
from include.lake import Lake
from include.stages.dispatch import dispatch
from include.subscribers.facts import facts_of, open_faults, other_numbers
from include.subscribers.histories import Histories
from tests.fixtures.graded import MONTH, Warned, graded_cycle, put
from tests.fixtures.offers import MONDAY
from tests.fixtures.runs import run_of
from tests.fixtures.work import hire

PROFILE = {
    "subscriber_id": pl.String, "account_id": pl.String, "birth_year": pl.Int64, "network_type": pl.String,
    "arrears_yuan": pl.Decimal(14, 4), "contract_ends_on": pl.Date, "is_enterprise": pl.Boolean,
}  # fmt: skip
PEOPLE = [
    ("YOUNG", "A1", 2005, "5g", 0, None, False),
    ("SENIOR", "A2", 1950, "4g", 3.5, date(2026, 12, 1), False),
    ("CHILD", "A2", 2012, None, None, None, None),
]


@pytest.fixture
def cycle(db: sa.Connection, lake: Lake, config: Config) -> dict:
    """Three warned subscribers with profiles, and one without."""
    put(lake, "subscribers", MONTH, [dict(zip(PROFILE, row, strict=True)) for row in PEOPLE], PROFILE)
    names = [name for name, *_ in PEOPLE]
    return graded_cycle(db, lake, config, [Warned(name, value_yuan=200) for name in [*names, "UNKNOWN"]])


def test_facts_are_told_in_the_order_asked_for_and_unknown_ones_are_null(cycle, lake, config):
    rows = facts_of(lake, config, MONTH, ["UNKNOWN", "SENIOR", "YOUNG"])
    assert rows["subscriber_id"].to_list() == ["UNKNOWN", "SENIOR", "YOUNG"]
    old, young = rows.rows(named=True)[1:]
    assert (old["age_years"], old["arrears_yuan"], old["numbers_on_account"]) == (76, 3.5, 2)
    assert (old["days_to_contract_end"], young["days_to_contract_end"]) == (31, None)
    assert rows.row(0, named=True)["age_years"] is None


def test_facts_of_a_month_without_profiles_are_the_factors_alone(db, lake, config):
    graded_cycle(db, lake, config, [Warned("A")])
    assert facts_of(lake, config, MONTH, ["A"])["value_yuan"].to_list() == [80.0]


def test_faults_open_at_dispatch_are_told_newest_first_and_mended_ones_are_not(lake):
    at = datetime(2026, 11, 5, 6, tzinfo=ZONE)
    schema = {
        "event_id": pl.String, "subscriber_id": pl.String, "occurred_at": pl.Datetime("us", "UTC"), "kind": pl.String,
        "product": pl.String, "category": pl.String, "resolved_at": pl.Datetime("us", "UTC"),
    }  # fmt: skip

    def event(number, day, resolved=None, kind="fault_report", who="A"):
        return dict(
            zip(
                schema,
                (number, who, at.replace(day=day, month=10), kind, "broadband", "slow", resolved),
                strict=True,
            )
        )

    put(
        lake,
        "service_events",
        "2026-09",
        [event("0", 1) | {"occurred_at": at.replace(day=30, month=9)}],
        schema,
    )
    told = [
        event("1", 3), event("2", 9, resolved=at.replace(day=10, month=10)), event("3", 8, resolved=at.replace(day=7)),
        event("4", 4, kind="complaint"), event("5", 4, who="B"),
    ]  # fmt: skip
    put(lake, "service_events", "2026-10", told, schema)
    found = open_faults(Histories.of(lake, "2026-10"), ["2026-08", "2026-09", "2026-10"], at, ["A", "C"])
    assert [fault["day"] for fault in found["A"]] == ["2026-10-08", "2026-10-03", "2026-09-30"]
    assert found["A"][0] == {"day": "2026-10-08", "product": "broadband", "category": "slow"}
    assert found.keys() == {"A"}


def test_without_what_was_resolved_nobody_knows_what_is_open(lake):
    at = datetime(2026, 11, 5, 6, tzinfo=ZONE)
    schema = {
        "event_id": pl.String,
        "subscriber_id": pl.String,
        "occurred_at": pl.Datetime("us", "UTC"),
        "kind": pl.String,
    }
    put(
        lake,
        "service_events",
        "2026-10",
        [dict(zip(schema, ("1", "A", at, "fault_report"), strict=True))],
        schema,
    )
    assert open_faults(Histories.of(lake, "2026-10"), ["2026-09", "2026-10"], at, ["A"]) is None


def test_a_number_somebody_typed_into_a_category_is_not_told(lake):
    at = datetime(2026, 11, 5, 6, tzinfo=ZONE)
    values = {
        "event_id": "1", "subscriber_id": "A", "occurred_at": at.replace(day=3), "kind": "fault_report",
        "category": "宽带断网 联系人王五 138 1234-5678", "resolved_at": None,
    }  # fmt: skip
    schema = dict.fromkeys(values, pl.String) | dict.fromkeys(
        ("occurred_at", "resolved_at"), pl.Datetime("us", "UTC")
    )
    put(lake, "service_events", "2026-11", [values], schema)
    assert open_faults(Histories.of(lake, "2026-10"), ["2026-11"], at, ["A"]) == {
        "A": [{"day": "2026-11-03", "category": "宽带断网 联系人王五 ***"}]
    }


def test_the_other_numbers_of_a_customer_are_told_without_whose_they_are(lake):
    schema = {
        "subscriber_id": pl.String,
        "customer_id": pl.String,
        "plan_code": pl.String,
        "status": pl.String,
    }
    people = (("A", "C1", "P1"), ("B", "C1", "P2"), ("C", "C2", "P3"), ("D", None, "P4"), ("E", None, "P5"))
    put(
        lake,
        "subscribers",
        MONTH,
        [dict(zip(schema, (*each, "active"), strict=True)) for each in people],
        schema,
    )
    assert other_numbers(lake, MONTH, ["A", "C", "D"]) == {"A": [{"plan_code": "P2", "status": "active"}]}
    assert other_numbers(lake, "2020-01", ["A"]) == {}


def frozen(db: sa.Connection) -> dict[str, dict]:
    with db.begin():
        return dict(db.execute(sa.text("select subscriber_id, evidence from assignments")).all())


def test_the_strategy_chosen_and_the_runner_up_are_frozen_with_the_evidence(cycle, db):
    dispatch(run_of(**cycle, now=MONDAY))
    evidence = frozen(db)
    young, old = evidence["YOUNG"]["strategy"], evidence["SENIOR"]["strategy"]
    # what they complain of points to the price, and who is worth 200 yuan gets the custom plan, which a lead records
    assert (young["reason"], young["reasons"], young["segments"]) == (
        "price",
        ["price"],
        ["high_value", "high_value_before", "young"],
    )
    assert young["chosen"] == {"strategy": "vip_plan", "offer": "vip_custom_plan", "cost_yuan": "120"}
    assert young["runner_up"]["strategy"] == "plan_discount"
    # in arrears neither the custom plan nor the discount is open
    assert old["chosen"]["offer"] == "data_pack_discount"
    assert old["segments"] == ["elderly", "family", "high_value", "high_value_before"]
    assert evidence["SENIOR"]["profile"]["arrears_yuan"] == 3.5
    assert evidence["UNKNOWN"]["profile"]["age_years"] is None


def test_without_a_model_signs_and_rule_hits_alone_choose_and_a_symptom_chooses_nothing(
    db, lake, config: Config
):
    calls = Warned("CALLS", price_words=0, rule="long_agent_calls")
    given = graded_cycle(db, lake, config, [calls, Warned("LESS_USE", price_words=0)])
    dispatch(run_of(**given, now=MONDAY))
    chosen = {name: evidence["strategy"] for name, evidence in frozen(db).items()}
    assert (chosen["CALLS"]["reasons"], chosen["CALLS"]["chosen"]["offer"]) == (
        ["service"],
        "service_manager",
    )
    # a falling bill comes with leaving and explains nothing: the first offer that fits everybody
    assert (chosen["LESS_USE"]["reasons"], chosen["LESS_USE"]["reason"]) == ([], None)


@pytest.fixture
def shown(cycle, db, config):
    """The offers of a subscriber's ticket as a lead or agent sees them."""
    dispatch(run_of(**cycle, now=MONDAY))
    with db.begin():
        ids = dict(db.execute(sa.text("select subscriber_id, ticket_id from tickets")).all())

    def show(subscriber: str, role: str = "agent"):
        with db.begin():
            return offers_for(db, config, ids[subscriber], role=role, now=MONDAY)

    return show


def test_the_desk_shows_offers_authority_budget_and_what_to_say(shown):
    seen = shown("SENIOR")
    assert (seen.reasons[0].zh, seen.authority_yuan, seen.budget_label.zh) == ("资费", 60, "未设预算上限")
    assert seen.chosen_at_dispatch["chosen"]["offer"] == "data_pack_discount"
    first = seen.offers[0]
    assert (first.offer, first.fits, first.needs_role) == ("data_pack_discount", True, "agent")
    assert [channel.en for channel in first.channels] == ["call", "app"]  # no SMS to the elderly
    assert [reason.en for reason in first.reasons_for] == ["Price"]
    assert first.may_be_said and first.may_be_said[0].zh.startswith("您近几个月")
    dear = next(offer for offer in seen.offers if offer.offer == "vip_custom_plan")
    assert [against.zh for against in dear.against] == [
        "不可办理：欠费",
        "超出本人权限，须由以下人员登记：班组长",
    ]
    assert dear.internal[0].en == "To be recorded by a lead."


def test_a_lead_may_offer_what_an_agent_may_not(shown):
    assert shown("YOUNG", "lead").offers[0].offer == "vip_custom_plan"
    assert shown("YOUNG").offers[0].offer != "vip_custom_plan"


def test_what_the_survey_found_goes_before_what_the_model_suspects(shown, db):
    people = hire(db)
    with db.begin():
        db.execute(
            sa.text(
                "insert into needs_surveys (ticket_id, recorded_at, staff_id, needs)"
                " select ticket_id, :now, :staff, '{network,price}' from tickets"
            ),
            {"now": MONDAY, "staff": people.agent},
        )
    seen = shown("YOUNG")
    assert [reason.en for reason in seen.reasons] == ["Network", "Price"]
    assert seen.offers[0].strategy == "network_cure"


def test_a_ticket_one_may_not_see_shows_nothing(db, config):
    with pytest.raises(Refused, match="is not yours"), db.begin():
        offers_for(db, config, 999, role="agent", now=MONDAY)
