"""A number that went to somebody new: factors over what happened since they joined, and nothing of the former."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.domain.periods.months import ZONE, default_as_of, month_of, month_start, shift
from include.lake import Lake
from include.models.training_sets import LabelledMonth
from include.stages import features
from include.stages.dispatch.evidence import evidence_of
from include.stages.features.rows import MonthRows
from tests.fixtures.lakes import AMOUNT, put
from tests.fixtures.runs import month_run, run_of

MONTH = "2026-10"
MONTHS = [shift(MONTH, -back) for back in range(5, -1, -1)]
FIRST, LAST = date(2026, 5, 1), date(2026, 10, 31)
INSTANT = pl.Datetime("us", "UTC")
EVENTS = {
    "event_id": pl.String, "subscriber_id": pl.String, "occurred_at": INSTANT, "kind": pl.String,
    "product": pl.String, "category": pl.String, "resolved_at": INSTANT, "satisfaction": pl.Float64,
}  # fmt: skip
CHANGES = {"subscriber_id": pl.String, "occurred_at": INSTANT, "kind": pl.String}


@dataclass(frozen=True)
class Number:
    """What is delivered of one number: `told` are (kind, day) of events and changes, churned among them."""

    joined_on: date
    told: tuple[tuple[str, date], ...] = ()
    bills: tuple[tuple[str, float], ...] = tuple((month, 10.0 + place) for place, month in enumerate(MONTHS))


def at(day: date, hour: int = 10) -> datetime:
    return datetime.combine(day, time(hour), ZONE).astimezone(UTC)


def deliver(lake: Lake, numbers: dict[str, Number]) -> Lake:
    """Every feed and month from May to October, with a bystander in each."""
    everybody = numbers | {
        "ZZ": Number(date(2020, 1, 1), tuple(("complaint", month_start(m).date()) for m in MONTHS))
    }
    people = [{"subscriber_id": name, "joined_on": one.joined_on} for name, one in everybody.items()]
    put(
        lake,
        "subscribers",
        MONTH,
        pl.DataFrame(people).with_columns(plan_code=pl.lit("P"), status=pl.lit("active")),
    )
    told = [(name, kind, day) for name, one in everybody.items() for kind, day in one.told]
    for month in MONTHS:
        bills = [
            (name, dict(one.bills)[month]) for name, one in everybody.items() if month in dict(one.bills)
        ]
        usage = pl.DataFrame(
            bills, schema={"subscriber_id": pl.String, "bill_yuan": pl.Float64}, orient="row"
        )
        put(
            lake,
            "usage_months",
            month,
            usage.with_columns(pl.col("bill_yuan").cast(AMOUNT), data_mb=pl.col("bill_yuan") * 7),
        )
        here = [each for each in told if month_of(each[2]) == month]
        put(lake, "service_events", month, events(here))
        changes = [
            (name, at(day), kind)
            for name, kind, day in here
            if kind in ("left", "returned", "port_out_query")
        ]
        put(lake, "subscriber_changes", month, pl.DataFrame(changes, schema=CHANGES, orient="row"))
        gone = [(name, day) for name, kind, day in here if kind == "churned"]
        put(
            lake,
            "churned",
            month,
            pl.DataFrame(gone, schema={"subscriber_id": pl.String, "churned_on": pl.Date}, orient="row"),
        )
    return lake


def events(told: Sequence[tuple[str, str, date]]) -> pl.DataFrame:
    rows = [
        (f"{name}{place}", name, at(day), kind, "broadband", "slow", at(day, 13), 3.0)
        for place, (name, kind, day) in enumerate(told)
        if kind in ("complaint", "fault_report")
    ]
    return pl.DataFrame(rows, schema=EVENTS, orient="row")


def factors(lake: Lake, config) -> pl.DataFrame:
    plan = features.make_plan(lake, config, MONTH, default_as_of(MONTH))
    assert {"complaints_6m", "port_out_queries_3m", "repair_hours_mean_3m", "bill_falls"} <= set(plan.factors)
    shards = [
        MonthRows(lake, config.factors, MONTH, plan.factors).of_shard(shard) for shard in range(lake.shards)
    ]
    return pl.concat(shards).sort("subscriber_id")


def row(made: pl.DataFrame, name: str = "S10") -> dict:
    return made.filter(pl.col("subscriber_id") == name).to_dicts()[0]


GONE = ("churned", date(2026, 8, 31))
COMPLAINTS = (("complaint", date(2026, 8, 10)), ("complaint", date(2026, 8, 11)))
RECYCLED = Number(date(2026, 10, 5), (*COMPLAINTS, GONE))


def test_complaints_and_usage_of_the_former_holder_are_not_the_new_ones(lake, config) -> None:
    found = row(factors(deliver(lake, {"S10": RECYCLED}), config))
    assert (found["complaints_3m"], found["complaints_6m"], found["days_since_complaint"]) == (0, 0, None)
    assert (found["bill"], found["value_yuan"]) == (15, 15)
    assert (found["bill_change_1m"], found["bill_falls"]) == (None, None)
    assert found["tenure_months"] == pytest.approx(26 / 31)


def test_who_returned_keeps_the_history_although_the_profile_tells_a_new_day_of_joining(lake, config) -> None:
    again = replace(RECYCLED, told=(*RECYCLED.told, ("returned", date(2026, 10, 5))))
    found = row(factors(deliver(lake, {"S10": again}), config))
    assert (found["complaints_3m"], found["value_yuan"]) == (2, 14)


def test_a_history_begins_on_the_day_of_joining(lake, config) -> None:
    days = (("complaint", date(2026, 10, 4)), ("complaint", date(2026, 10, 5)))
    found = row(factors(deliver(lake, {"S10": replace(RECYCLED, told=(*RECYCLED.told, *days))}), config))
    assert (found["complaints_3m"], found["days_since_complaint"]) == (1, 26)


def test_the_month_two_people_had_the_number_in_is_unknown(lake, config) -> None:
    """Its one row of usage is of both, and nobody can take it apart."""
    left, joined = ("left", date(2026, 10, 2)), date(2026, 10, 5)
    found = row(factors(deliver(lake, {"S10": Number(joined, (*COMPLAINTS, left))}), config))
    assert (found["bill"], found["value_yuan"], found["is_active"], found["complaints_3m"]) == (
        None,
        None,
        False,
        0,
    )
    earlier = Number(date(2026, 9, 20), (*COMPLAINTS, ("left", date(2026, 9, 2))))
    assert row(factors(deliver(lake, {"S10": earlier}), config))["value_yuan"] == 15


def test_a_leaving_told_later_makes_the_factors_anew(lake, db, config) -> None:
    known = replace(RECYCLED, told=COMPLAINTS)
    done = {"db": db, "lake": lake, "config": config, "month": MONTH, "as_of": default_as_of(MONTH)}
    deliver(lake, {"S10": known})
    features.build(month_run(**done))
    assert row(lake.scan("factors", MONTH).collect())["complaints_3m"] == 2
    deliver(lake, {"S10": RECYCLED})
    assert not features.build(month_run(**done))["unchanged"]
    assert row(lake.scan("factors", MONTH).collect())["complaints_3m"] == 0


def test_the_evidence_tells_nothing_of_the_former_holder(lake, db, config) -> None:
    faults = (("fault_report", date(2026, 8, 3)), ("fault_report", date(2026, 10, 7)))
    deliver(lake, {"S10": replace(RECYCLED, told=(*RECYCLED.told, *faults))})
    for month in ("2026-08", MONTH):  # nothing is repaired
        rows = lake.scan("service_events", month).collect()
        put(lake, "service_events", month, rows.with_columns(resolved_at=pl.lit(None, INSTANT)))
    features.build(month_run(db=db, lake=lake, config=config, month=MONTH, as_of=default_as_of(MONTH)))
    score = dict.fromkeys(("probability", "model_version", "grade", "tier", "rank", "rule_points"))
    told = evidence_of(
        run_of(lake=lake, config=config, month=MONTH, as_of=default_as_of(MONTH), campaign="churn_warning"),
        reasons={},
        warnings=[{"subscriber_id": "S10", "rule_hits": [], **score}],
    )["S10"]
    evidence = pl.Series([told]).str.json_decode(infer_schema_length=None).to_list()[0]
    assert evidence["history"]["bill_yuan"] == [None] * 5 + [15]
    assert [fault["day"] for fault in evidence["open_faults"]] == ["2026-10-07"]


def test_the_early_view_of_training_leaves_out_whose_number_was_another_persons(lake) -> None:
    deliver(lake, {"S10": RECYCLED, "S11": replace(RECYCLED, joined_on=date(2026, 9, 30))})
    for month in MONTHS[-2:]:
        put(lake, "factors", month, [{"subscriber_id": name, "bill": 1.0} for name in ("S10", "S11", "ZZ")])
    nobody = pl.DataFrame(schema={"subscriber_id": pl.String, "happened": pl.Boolean})
    weights = pl.DataFrame(schema={"subscriber_id": pl.String, "weight": pl.Float64})
    early = LabelledMonth(MONTH, nobody, weights).seen_a_month_earlier()
    assert early.people(lake).collect()["subscriber_id"].to_list() == ["S11", "ZZ"]


def test_histories_are_the_same_for_one_and_for_eight_shards(tmp_path: Path, config) -> None:
    shared = Number(date(2026, 10, 5), (*COMPLAINTS, ("left", date(2026, 10, 2))))
    back = replace(RECYCLED, told=(*RECYCLED.told, ("returned", date(2026, 9, 2))))
    kinds = (RECYCLED, shared, back, Number(date(2020, 1, 1), COMPLAINTS))
    numbers = {f"S{place:02d}": kinds[place % len(kinds)] for place in range(16)}
    lakes = [Lake.create(tmp_path / str(shards), subscribers=shards * 500_000) for shards in (1, 8)]
    one, eight = (factors(deliver(lake, numbers), config) for lake in lakes)
    assert one.equals(eight)


# ---------------------------------------------------------------- whatever the order

days = st.dates(FIRST, LAST)


@st.composite
def two_holders(draw: st.DrawFn) -> tuple[Number, Number]:
    """A number with all that was delivered, and with what its holder of today alone did."""
    left_on, joined_on = sorted((draw(days), draw(days)))
    told = draw(
        st.lists(
            st.tuples(st.sampled_from(["complaint", "fault_report", "port_out_query"]), days), max_size=8
        )
    )
    bills = draw(st.lists(st.integers(-20, 200), min_size=6, max_size=6))
    used = tuple((month, bill / 4) for month, bill in zip(MONTHS, bills, strict=True) if bill % 5)
    former = [
        (kind, left_on) for kind in draw(st.sampled_from([("churned",), ("left",), ("churned", "left")]))
    ]
    former += draw(left_and_back(FIRST, left_on - timedelta(days=1)))
    own = draw(left_and_back(joined_on + timedelta(days=1), LAST))
    number = Number(joined_on, tuple(draw(st.permutations([*told, *former, *own]))), used)
    is_back = draw(st.booleans())
    if is_back:
        back_on = draw(st.dates(left_on + timedelta(days=1), max(joined_on, left_on + timedelta(days=1))))
        return replace(number, told=(*number.told, ("returned", back_on))), Number(
            joined_on, tuple(told), used
        )
    is_shared = month_of(left_on) == month_of(joined_on)
    since = shift(month_of(joined_on), 1) if is_shared else month_of(joined_on)
    kept = [each for each in told if each[1] >= joined_on]
    return number, Number(joined_on, (*kept, *own), tuple(each for each in used if each[0] >= since))


@st.composite
def left_and_back(draw: st.DrawFn, first: date, last: date) -> list[tuple[str, date]]:
    """Perhaps somebody left, and returned on a later day, both between the two days."""
    if last - first < timedelta(days=1) or not draw(st.booleans()):
        return []
    gone, back = sorted(draw(st.lists(st.dates(first, last), min_size=2, max_size=2, unique=True)))
    return [(draw(st.sampled_from(["churned", "left"])), gone), ("returned", back)]


@given(st.lists(two_holders(), min_size=1, max_size=12))
@settings(max_examples=12, deadline=None)
def test_factors_are_those_of_a_landing_the_former_holders_rows_never_were_in(config, numbers) -> None:
    with TemporaryDirectory() as folder:
        found = []
        for place, name in enumerate(("all", "own")):
            lake = Lake.create(Path(folder) / name)
            deliver(lake, {f"S{number:02d}": pair[place] for number, pair in enumerate(numbers)})
            found.append(factors(lake, config))
    assert found[0].equals(found[1])
