"""The same bits: figures do not hang on the order of rows, files, shards or threads, down to the last bit."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from include.config.expressions import parse
from include.config.expressions.arithmetic import mean_across, mean_down, sum_across, sum_down
from include.config.expressions.windows import FACTOR_FUNCTIONS, FactorCompiler
from include.domain.periods.months import default_as_of
from include.lake import Lake
from include.lake.campaigns import grades_of
from include.models.training_sets import LabelledMonth
from include.stages import drift, features, follow_up
from include.stages.features.rows import MonthRows
from include.stages.follow_up import verdicts
from tests.fixtures.lakes import AMOUNT, put
from tests.stages.worked_cycle import CAMPAIGN

MONTH, PEOPLE, SHUFFLES = "2026-10", 120, 6
KEY = {"campaign": CAMPAIGN, "cycle": MONTH, "revision": 0}
ENGINES = ("in-memory", "streaming")


def repairs(random: np.random.Generator) -> pl.DataFrame:
    """Many faults, and the hours each took to the second: no sum of them is exact."""
    size = 40 * PEOPLE
    began = [
        datetime(2026, 10, 1, tzinfo=UTC) + timedelta(seconds=int(each))
        for each in random.integers(0, 10**6, size)
    ]
    took = [timedelta(seconds=int(each)) for each in random.integers(60, 10**6, size)]
    return pl.DataFrame(
        {
            "event_id": [f"E{number:05d}" for number in range(size)],
            "subscriber_id": [f"S{each:03d}" for each in random.integers(0, PEOPLE, size)],
            "kind": ["fault_report"] * size,
            "occurred_at": began,
            "resolved_at": [start + length for start, length in zip(began, took, strict=True)],
        },
        schema_overrides=dict.fromkeys(("occurred_at", "resolved_at"), pl.Datetime("us", "UTC")),
    )


def published(lake: Lake, events: pl.DataFrame, parts: int) -> None:
    """The events in the order they come, cut into so many files."""
    size = -(-events.height // parts)
    files = [
        lake.write_part("service_events", MONTH, 0, piece, f"run{number}")
        for number, piece in enumerate(events.iter_slices(size))
    ]
    lake.publish("service_events", MONTH, files)


def test_factors_over_events_are_the_same_in_any_order_of_rows_and_files(lake, config) -> None:
    ids = [f"S{number:03d}" for number in range(PEOPLE)]
    put(
        lake,
        "subscribers",
        MONTH,
        pl.DataFrame({"subscriber_id": ids, "joined_on": [date(2020, 1, 1)] * PEOPLE}),
    )
    put(
        lake,
        "usage_months",
        MONTH,
        pl.DataFrame({"subscriber_id": ids, "bill_yuan": pl.Series([10.0] * PEOPLE).cast(AMOUNT)}),
    )
    events = repairs(np.random.default_rng(1))
    found = []
    for seed in range(SHUFFLES):
        published(lake, events.sample(fraction=1, shuffle=True, seed=seed), parts=1 + seed)
        plan = features.make_plan(lake, config, MONTH, default_as_of(MONTH))
        found.append(MonthRows(lake, config.factors, MONTH, plan.factors).of_shard(0).sort("subscriber_id"))
    hours = found[0]["repair_hours_mean_3m"]
    assert hours.null_count() == 0
    assert [each.equals(found[0]) for each in found] == [True] * SHUFFLES


@pytest.mark.parametrize("function", ["mean", "total", "spread", "slope"])
def test_a_window_over_six_months_is_the_same_by_either_engine(function) -> None:
    random = np.random.default_rng(2)
    months = pl.DataFrame({f"bill_yuan@{back}": random.normal(50, 30, 20_000).round(4) for back in range(6)})
    factor = FactorCompiler().compile(parse(f"{function}(bill_yuan, 6)", FACTOR_FUNCTIONS)).alias("it")
    one, other = (months.lazy().select(factor).collect(engine=engine) for engine in ENGINES)
    assert one.equals(other)


@pytest.mark.parametrize(
    "text", ["tenure_months / 31", "last(bill_yuan) / (3 * 7)", "slope(bill_yuan, 6) / 0.7"]
)
def test_a_row_that_stands_alone_has_the_bits_it_has_among_others(text) -> None:
    random = np.random.default_rng(4)
    names = ("tenure_months", *(f"bill_yuan@{back}" for back in range(6)))
    rows = pl.DataFrame({name: random.normal(50, 30, 200).round(2) for name in names})
    factor = FactorCompiler().compile(parse(text, FACTOR_FUNCTIONS)).alias("it")
    assert pl.concat(row.select(factor) for row in rows.iter_slices(1)).equals(rows.select(factor))


def test_what_is_unknown_adds_nothing_across_and_a_mean_over_nothing_is_unknown() -> None:
    rows = pl.DataFrame({"a": [1.0, None, None], "b": [2.5, 4.0, None], "c": [None, True, None]})
    columns = [pl.col(name) for name in rows.columns]
    told = rows.select(sum_across(columns).alias("sum"), mean_across(columns).alias("mean"))
    assert told["sum"].to_list() == [3.5, 5.0, 0.0]
    assert told["mean"].to_list() == [1.75, 2.5, None]


def test_a_sum_down_rows_is_exact_and_passes_over_what_is_no_number() -> None:
    rows = pl.DataFrame({"x": [0.1] * 10 + [1e9, None, float("nan"), float("inf"), 1e300]})
    told = rows.select(sum_down(pl.col("x")).alias("sum"), mean_down(pl.col("x")).alias("mean")).row(0)
    assert told == (1_000_000_001.0, 1_000_000_001 / 11)
    assert rows.clear().select(mean_down(pl.col("x"))).item() is None


@pytest.fixture
def worked(tmp_path: Path) -> list[tuple[Lake, LabelledMonth]]:
    """The same people in a lake of one shard and of eight; those held out weigh a fraction."""
    random = np.random.default_rng(3)
    ids = [f"S{number:05d}" for number in range(4_000)]
    people = pl.DataFrame(
        {
            "subscriber_id": ids,
            "cluster": ["over_12"] * len(ids),
            "bill": random.normal(50, 10, len(ids)),
            "probability": random.uniform(0, 1, len(ids)).round(2),
            "grade": ["high"] * len(ids),
            "tier": ["priority"] * len(ids),
        }
    )
    gone = people.filter(pl.col("bill") > 60).select("subscriber_id", happened=True)
    weights = pl.DataFrame({"subscriber_id": ids, "weight": 1 / random.uniform(0.1, 0.9, len(ids))})
    lakes = [Lake.create(tmp_path / str(shards), subscribers=shards * 500_000) for shards in (1, 8)]
    for lake in lakes:
        for table in ("factors", grades_of(CAMPAIGN)):
            put(lake, table, MONTH, people)
            parts = list(lake.manifest(table, MONTH).parts)
            lake.publish(table, MONTH, parts, facts={"factors": ["bill"], "revision": 0})
    return [(lake, LabelledMonth(MONTH, gone, weights)) for lake in lakes]


def test_the_ranking_of_factors_is_the_same_for_one_and_for_eight_shards(worked, config) -> None:
    one, eight = (drift.strengths_of(lake, config, month) for lake, month in worked)
    assert one
    assert one == eight


def test_the_figures_of_follow_up_are_the_same_for_one_and_for_eight_shards(worked) -> None:
    judged = (follow_up._judged(month, lake.scan(grades_of(CAMPAIGN), MONTH)) for lake, month in worked)
    one, eight = (list(verdicts.of_people(people, verdicts.LEAVING)) for people in judged)
    assert one
    assert one == eight
