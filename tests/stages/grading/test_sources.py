"""Sources: whom an event or another campaign's outcome brings, who has left, and what is told where a feed lacks."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from include.config import Config
from include.domain.periods.months import ZONE, default_as_of
from include.lake import Lake
from include.stages import features
from include.stages.dispatch.evidence import evidence_of
from tests.fixtures import ten_subscribers as ten
from tests.fixtures.campaigns import close_ticket, graded, opened, warned, with_campaign
from tests.fixtures.lakes import fill, put
from tests.fixtures.runs import month_run, run_of

DAY = "2026-11-10"
NOW = datetime(2026, 11, 10, 6, tzinfo=ZONE)
COMPLAINTS = """\
model: none
source: {event: {feed: service_events, where: kind == 'complaint', within_days: 1}}
admission: {by: all}
"""
REACHED = """\
model: none
source: {outcome: {campaign: churn_warning, outcomes: [declined, considering], within_days: 3}}
admission: {by: all}
rank: 0 - days_ago
"""
LEFT = "model: none\npeople: left\nadmission: {by: all}\nrank: value_yuan\n"
INSTANT = pl.Datetime("us", "UTC")


@pytest.fixture
def factored(lake: Lake, tmp_path: Path, db: sa.Connection, config: Config) -> Lake:
    """The factors of the ten subscribers of October in the lake."""
    ten.write_landing(tmp_path / "landing")
    fill(lake, tmp_path / "landing")
    features.build(
        month_run(db=db, lake=lake, config=config, month=ten.MONTH, as_of=default_as_of(ten.MONTH))
    )
    return lake


def complained(lake: Lake, *told: tuple[str, datetime], kind: str = "complaint") -> None:
    """November's events as they were delivered, all of one kind."""
    rows = [
        {"event_id": f"N{number}", "subscriber_id": who, "occurred_at": at, "kind": kind}
        for number, (who, at) in enumerate(told)
    ]
    put(lake, "service_events", "2026-11", rows, occurred_at=INSTANT)


def named(db: sa.Connection, campaign: str) -> list[str]:
    return [row["subscriber_id"] for row in warned(db, campaign)]


def run(db: sa.Connection, lake: Lake, config: Config, text: str, day: str = DAY) -> dict[str, Any]:
    """Grade a daily campaign called `signals` that says `text`."""
    known = with_campaign(config, "signals", text, "daily")
    at = datetime.combine(date.fromisoformat(day), NOW.timetz())
    return graded(db, lake, known, opened(db, known, "signals", day, at))


def test_who_complained_yesterday_is_warned_by_a_daily_campaign(factored, db, config):
    yesterday = NOW.replace(day=9, hour=0, minute=0)
    complained(
        factored,
        ("S01", yesterday),
        ("S02", yesterday.replace(hour=23, minute=59)),
        ("S02", yesterday),
        ("S03", yesterday - timedelta(minutes=1)),
        ("S04", NOW.replace(hour=0, minute=0)),  # today: tomorrow's cycle will find it
        ("UNKNOWN", yesterday),  # without a profile nobody is warned
    )
    result = run(db, factored, config, COMPLAINTS)
    rows = warned(db, "signals")
    assert [row["subscriber_id"] for row in rows] == ["S01", "S02"]
    assert {(row["grade"], row["tier"], row["is_admitted"], row["cycle"]) for row in rows} == {
        (None, "priority", True, DAY)
    }
    assert {row["probability"] for row in rows} == {None}
    assert all(row["model_version"].startswith("rules-") for row in rows)
    assert (result["found"], result["rows_out"], result["admitted"]) == (3, 2, 2)
    assert "message" not in result
    run(db, factored, config, COMPLAINTS, "2026-11-11")
    assert [row["subscriber_id"] for row in warned(db, "signals") if row["cycle"] == "2026-11-11"] == ["S04"]


def test_only_events_of_whom_the_condition_is_true_count(factored, db, config):
    complained(factored, ("S01", NOW.replace(day=9)), kind="agent_call")
    assert run(db, factored, config, COMPLAINTS)["found"] == 0
    known = "where: kind == 'complaint'"
    words = COMPLAINTS.replace(known, "where: \"mentions(text, 'port_out')\"")
    told = run(db, factored, config, words)
    assert (told["rows_out"], told["message"]) == (
        0, "service_events delivers no column for text, which the source needs.",
    )  # fmt: skip


def test_a_source_may_rank_by_how_often_and_how_long_ago_it_was(factored, db, config):
    at = NOW.replace(day=9)
    complained(factored, ("S01", at), ("S02", at), ("S02", at), ("S03", at - timedelta(days=2)))
    text = COMPLAINTS.replace("within_days: 1", "within_days: 5")
    result = run(db, factored, config, text + "rank: times - days_ago\npopulation: days_ago < 3\n")
    assert [(row["subscriber_id"], row["rank"]) for row in warned(db, "signals")] == [("S02", 1), ("S01", 2)]
    assert (result["rows_out"], result["outside_population"]) == (3, 1)


def test_an_event_of_a_numbers_former_holder_is_not_of_who_has_it_now(factored, db, config):
    profiles = factored.scan("subscribers", ten.MONTH).collect()
    is_new = pl.col("subscriber_id") == "S01"
    joined = pl.when(is_new).then(date(2026, 10, 20)).otherwise("joined_on").alias("joined_on")
    put(factored, "subscribers", ten.MONTH, profiles.with_columns(joined))
    put(factored, "churned", "2026-10", [{"subscriber_id": "S01", "churned_on": date(2026, 10, 10)}])
    events = [
        ("S01", datetime(2026, 10, 9, 12, tzinfo=ZONE)),
        ("S02", datetime(2026, 10, 9, 12, tzinfo=ZONE)),
    ]
    rows = [
        {"event_id": who, "subscriber_id": who, "occurred_at": at, "kind": "complaint"} for who, at in events
    ]
    put(factored, "service_events", "2026-10", rows, occurred_at=INSTANT)
    complained(factored, ("S03", NOW.replace(day=9)))
    run(db, factored, config, COMPLAINTS.replace("within_days: 1", "within_days: 40"))
    assert named(db, "signals") == ["S03", "S02"]


# ---------------------------------------------------------------- what was not delivered


def test_a_feed_that_was_never_delivered_is_told_and_nobody_is_warned(factored, db, config):
    text = COMPLAINTS.replace("service_events", "subscriber_changes").replace("complaint", "port_out_query")
    result = run(db, factored, config, text)
    assert result["message"] == "Nothing of subscriber_changes was delivered ever, so nobody is found."
    assert (result["rows_out"], result["admitted"], named(db, "signals")) == (0, 0, [])


def test_a_day_that_was_not_delivered_is_told(factored, db, config):
    result = run(db, factored, config, COMPLAINTS)
    assert result["message"] == (
        "Nothing of service_events was delivered for the days of 2026-11-09, so nobody is found."
    )
    rows = pl.DataFrame(
        {
            "event_id": ["1"],
            "subscriber_id": ["S01"],
            "kind": ["complaint"],
            "occurred_at": [NOW.replace(day=8)],
        },
        schema_overrides={"occurred_at": INSTANT},
    )
    part = factored.write_part("service_events", "2026-11", 0, rows, "a", period="2026-11-08")
    factored.publish("service_events", "2026-11", [part], fingerprint="a", period="2026-11-08")
    result = run(db, factored, config, COMPLAINTS.replace("within_days: 1", "within_days: 2"))
    assert result["message"].startswith("service_events lacks 2026-11-09: nobody is found by")
    assert named(db, "signals") == ["S01"]


# ---------------------------------------------------------------- outcomes


def test_whose_ticket_of_another_campaign_ended_so_is_warned(factored, db, config):
    opened(db, config, "churn_warning", "2026-10", NOW)
    for who, customer, outcome, days in (
        ("S01", "C01", "declined", 1),
        ("S02", "C02", "considering", 3),
        ("S03", "C03", "retained", 1),
        ("S04", "S04", "declined", 4),
        ("S05", "C05", "declined", 0),
    ):
        at = NOW - timedelta(days=days)
        close_ticket(db, "churn_warning", who, customer, outcome, f"2026-0{days + 1}", at)
    result = run(db, factored, config, REACHED)
    assert named(db, "signals") == ["S01", "S02"]
    assert result["found"] == 2


def test_an_outcome_of_a_numbers_former_holder_is_not_of_who_has_it_now(factored, db, config):
    opened(db, config, "churn_warning", "2026-10", NOW)
    close_ticket(db, "churn_warning", "S01", "C01", "declined", "2026-09", datetime(2026, 10, 2, tzinfo=ZONE))
    text = REACHED.replace("within_days: 3", "within_days: 60")
    run(db, factored, config, text)
    assert named(db, "signals") == ["S01"]
    profiles = factored.scan("subscribers", ten.MONTH).collect()
    put(factored, "subscribers", ten.MONTH, profiles.with_columns(joined_on=date(2026, 10, 20)))
    put(factored, "churned", "2026-10", [{"subscriber_id": "S01", "churned_on": date(2026, 10, 10)}])
    run(db, factored, config, text)
    assert named(db, "signals") == []


# ---------------------------------------------------------------- who has left


def test_who_has_left_is_looked_at_by_the_last_profile_and_nobody_else_is(factored, db, config):
    """S09 left in October, S10 in November; S08 left in spring and came back; S01 has left without a profile."""
    old = factored.scan("factors", ten.MONTH).filter(pl.col("subscriber_id") != "S01").collect()
    facts = factored.manifest("factors", ten.MONTH).facts
    for month, rows in {
        "2026-09": old.with_columns(value_yuan=33.0),
        ten.MONTH: old.filter(pl.col("subscriber_id") != "S09"),
    }.items():
        put(factored, "factors", month, rows)
        stands = factored.manifest("factors", month)
        factored.publish("factors", month, stands.parts, fingerprint=stands.fingerprint, facts=facts)
    left = {"2026-10": [("S09", 9), ("S01", 9)], "2026-11": [("S10", 3)], "2026-03": [("S08", 3)]}
    for month, people in left.items():
        rows = [
            {"subscriber_id": who, "churned_on": date.fromisoformat(f"{month}-0{day}")} for who, day in people
        ]
        put(factored, "churned", month, rows)
    back = [{"subscriber_id": "S08", "kind": "returned", "occurred_at": datetime(2026, 5, 1, tzinfo=ZONE)}]
    put(factored, "subscriber_changes", "2026-05", back, occurred_at=INSTANT)
    run(db, factored, config, LEFT)
    assert [(row["subscriber_id"], float(row["value_yuan"])) for row in warned(db, "signals")] == [
        ("S10", pytest.approx(93.3333)), ("S09", 33.0),
    ]  # fmt: skip


def test_of_the_living_nobody_who_left_takes_a_place_of_the_first(factored, db, config):
    put(factored, "churned", "2026-11", [{"subscriber_id": "S03", "churned_on": date(2026, 11, 3)}])
    run(db, factored, config, "model: none\nadmission: {by: all, top: 2}\nrank: value_yuan\n")
    assert named(db, "signals") == ["S01", "S06"]


def test_the_evidence_tells_the_events_a_ticket_is_about_newest_first(factored, db, config):
    at = NOW.replace(day=9, hour=12)
    complained(factored, ("S01", at), ("S01", at.replace(hour=9)), ("S02", at), ("S01", NOW))
    run(db, factored, config, COMPLAINTS)
    known = with_campaign(config, "signals", COMPLAINTS, "daily")
    rows = [row for row in warned(db, "signals") if row["subscriber_id"] == "S01"]
    told = evidence_of(
        run_of(lake=factored, config=known, month=ten.MONTH, as_of=NOW, campaign="signals"),
        warnings=rows,
        reasons={},
    )
    (evidence,) = pl.Series(list(told.values())).str.json_decode(infer_schema_length=None).to_list()
    assert evidence["events"] == [{"day": "2026-11-09", "kind": "complaint"}] * 2
    assert "splits" not in evidence
