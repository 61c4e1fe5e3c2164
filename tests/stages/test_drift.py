"""Drift and ranking: what moved against the month before, what tells most, kept once with the cycle."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa

from include.config import Config
from include.config.readers.factors import Drift
from include.domain.errors import ConfigError
from include.domain.periods.months import default_as_of, month_start, shift
from include.lake import Lake
from include.lake.campaigns import scores_of
from include.models import bins
from include.run import cycles
from include.stages import drift
from tests.fixtures.runs import run_of
from tests.stages.worked_cycle import CAMPAIGN

MONTH = "2026-10"
AS_OF = default_as_of(MONTH)
FACTORS = ("bill", "data_mb", "complaints_3m")


def publish(lake: Lake, month: str, *, moved: float = 0.0, size: int = 2000, **more: Any) -> None:
    """Factors of a month: the bill is what tells who leaves, `moved` shifts the data."""
    random = np.random.default_rng(int(month[5:]))
    ids = [f"S{number:05d}" for number in range(size)]
    frame = pl.DataFrame(
        {
            "subscriber_id": ids,
            "cluster": ["under_6" if number % 4 == 0 else "over_12" for number in range(size)],
            "bill": random.normal(50, 10, size),
            "data_mb": random.normal(10 + moved, 2, size),
            "complaints_3m": random.poisson(0.1, size).astype(float),
            **more,
        }
    )
    shards = lake.shard_of(frame["subscriber_id"])
    parts = [
        lake.write_part("factors", month, shard, frame.filter(shards == shard), "test")
        for shard in range(lake.shards)
    ]
    lake.publish("factors", month, parts, facts={"factors": list(FACTORS), "left_out": {}}, fingerprint="f")


def leave(lake: Lake, month: str) -> None:
    """Who pays most in the month before leaves in `month`, and the label is complete."""
    before = lake.scan("factors", shift(month, -1)).collect()
    gone = before.filter(pl.col("bill") > 65).select("subscriber_id")
    rows = gone.with_columns(pl.lit(month_start(month).date()).alias("churned_on"))
    part = lake.write_part("churned", month, 0, rows, "test")
    lake.publish("churned", month, [part], facts={"complete": True}, fingerprint="c")
    for feed in ("usage_months", "subscribers"):
        lake.publish(feed, shift(month, -1), [lake.write_part(feed, shift(month, -1), 0, gone, "test")])


def measure(db: sa.Connection, lake: Lake, config: Config, revision: int = 0) -> dict[str, Any]:
    cycles.open_cycle(db=db, config=config, campaign=CAMPAIGN, cycle=MONTH, as_of=None, now=AS_OF)
    return drift.measure(
        run_of(
            db=db,
            lake=lake,
            config=config,
            campaign=CAMPAIGN,
            cycle=MONTH,
            month=MONTH,
            as_of=AS_OF,
            now=AS_OF,
            revision=revision,
        )
    )


def rows(db: sa.Connection, statement: str) -> list[tuple[Any, ...]]:
    with db.begin():
        return [tuple(row) for row in db.execute(sa.text(statement))]


def test_the_same_distribution_is_stable_and_another_has_shifted(db, lake, config) -> None:
    publish(lake, "2026-09")
    publish(lake, MONTH, moved=3)
    told = measure(db, lake, config)
    assert told["shifted"] == ["data_mb"]
    assert "data_mb. Look at their feeds" in told["message"]
    kept = rows(db, "select subject, level, baseline_month, coverage from factor_drift order by psi desc")
    assert kept[0] == ("data_mb", "shifted", "2026-09", 1.0)
    assert {level for _, level, _, _ in kept[1:]} == {"stable"}


def test_a_factor_that_falls_silent_has_shifted(db, lake, config) -> None:
    publish(lake, "2026-09")
    publish(lake, MONTH, bill=pl.Series([None] * 1500 + [50.0] * 500, dtype=pl.Float64))
    assert measure(db, lake, config)["shifted"] == ["bill"]
    assert rows(db, "select coverage, baseline_coverage from factor_drift where subject = 'bill'") == [
        (0.25, 1.0)
    ]


def test_a_factor_whose_feed_did_not_come_has_shifted_to_unknown(db, lake, config) -> None:
    publish(lake, "2026-09")
    part = lake.write_part(
        "factors", MONTH, 0, lake.scan("factors", "2026-09").collect().drop("bill"), "test"
    )
    kept = [name for name in FACTORS if name != "bill"]
    lake.publish("factors", MONTH, [part], facts={"factors": kept}, fingerprint="g")
    assert measure(db, lake, config)["shifted"] == ["bill"]
    assert rows(db, "select coverage, level from factor_drift where subject = 'bill'") == [(0.0, "shifted")]


def test_the_factor_that_tells_who_leaves_ranks_first_everywhere(db, lake, config) -> None:
    publish(lake, "2026-09", size=8000)
    leave(lake, MONTH)
    publish(lake, MONTH, size=8000)
    told = measure(db, lake, config)
    assert (told["ranked_on"], told["strongest"][0]) == ("2026-09", "bill")
    first = rows(
        db, "select cluster, factor, labelled_month from factor_rankings where rank = 1 order by cluster"
    )
    assert first == [(cluster, "bill", "2026-09") for cluster in ("over_12", "pooled", "under_6")]


def test_a_label_not_complete_at_as_of_ranks_nothing(db, lake, config) -> None:
    publish(lake, MONTH)
    leave(lake, "2026-11")
    told = measure(db, lake, config)
    assert told["ranked_on"] is None
    assert "nothing is ranked" in told["message"]
    assert "no factors of 2026-09 to compare with" in told["message"]
    assert rows(db, "select count(*) from factor_rankings") == [(0,)]


def test_measured_twice_is_measured_once_and_a_rerun_of_a_fixed_cycle_only_tells(db, lake, config) -> None:
    publish(lake, "2026-09")
    publish(lake, MONTH)
    measure(db, lake, config)
    before = rows(db, "select * from factor_drift order by subject")
    measure(db, lake, config)
    assert rows(db, "select * from factor_drift order by subject") == before
    publish(lake, MONTH, moved=3)
    assert measure(db, lake, config, revision=1)["shifted"] == ["data_mb"]
    assert rows(db, "select * from factor_drift order by subject") == before


def test_the_score_is_watched_like_a_factor(db, lake, config) -> None:
    for month, level in (("2026-09", 0.02), (MONTH, 0.2)):
        publish(lake, month)
        scores = pl.DataFrame(
            {
                "subscriber_id": [f"S{number:05d}" for number in range(2000)],
                "probability": [level * (1 + number % 7) for number in range(2000)],
            }
        )
        table = scores_of(CAMPAIGN)
        lake.publish(table, month, [lake.write_part(table, month, 0, scores, "test")])
    told = measure(db, lake, config)
    assert told["score_psi"] > 0.25
    assert told["shifted"] == ["probability"]


def test_the_limits_are_those_of_the_configuration(lake, config) -> None:
    publish(lake, "2026-09")
    publish(lake, MONTH, moved=3)
    deaf = replace(config, factors=config.factors.model_copy(update={"drift": Drift(watch=50, warn=90)}))
    assert {each.level for each in drift.shifts_of(lake, deaf, CAMPAIGN, MONTH)} == {"stable"}


def test_limits_the_wrong_way_round_are_refused() -> None:
    from include.config.readers.factors import parse

    raw = {"words": {}, "groups": {}, "factors": [], "drift": {"watch": 0.3, "warn": 0.2}}
    with pytest.raises(ConfigError, match=r"factors\.yaml, entry 'drift': .* warn 0.2 lies below watch 0.3"):
        parse(raw, "factors.yaml")


def test_at_most_a_bounded_number_of_people_is_looked_at(lake, config, monkeypatch) -> None:
    publish(lake, "2026-09")
    monkeypatch.setattr(drift, "PEOPLE", 500)
    drawn = drift._values(lake, "factors", "2026-09", ["bill"])
    assert 400 < drawn.height < 600
    assert drawn.equals(drift._values(lake, "factors", "2026-09", ["bill"]))


# ---------------------------------------------------------------- bins


def coded(values: list[float | None]) -> tuple[Any, Any]:
    found = np.array([np.nan if each is None else each for each in values], dtype=np.float32)
    bounds = bins.edges(found)
    return bins.codes(found, bounds), bounds


def test_bins_hold_equal_shares_and_the_unknown_apart() -> None:
    code, bounds = coded([float(number) for number in range(1000)] + [None] * 250)
    assert bins.shares(code, bounds) == pytest.approx([0.2] + [0.08] * 10, abs=0.001)


def test_a_common_zero_has_a_bin_of_its_own() -> None:
    code, bounds = coded([0.0] * 950 + [1.0, 2.0] * 25)
    assert bins.shares(code, bounds) == pytest.approx([0, 0.95, 0.05])
    code, bounds = coded([5.0] * 950 + [1.0, 2.0] * 25)
    assert bins.shares(code, bounds)[2] == pytest.approx(0.95)


def test_stability_is_the_textbook_sum() -> None:
    before, after = np.array([0.0, 0.5, 0.5]), np.array([0.0, 0.25, 0.75])
    expected = -0.25 * np.log(0.5) + 0.25 * np.log(1.5)
    assert bins.stability(before, after) == pytest.approx(expected)


def test_information_of_a_perfect_factor_is_the_entropy_and_of_chance_nothing() -> None:
    happened = np.array([0.0, 1.0] * 500)
    weights = np.ones(1000)
    value, mutual = bins.information((happened + 1).astype(np.intp), happened, weights)
    assert mutual == pytest.approx(np.log(2))
    assert value > 5
    chance = np.tile(np.array([1, 1, 2, 2]), 250)
    assert bins.information(chance, happened, weights) == (pytest.approx(0, abs=1e-9), pytest.approx(0))


def test_nothing_is_told_where_nothing_happened() -> None:
    assert bins.information(np.ones(5, np.intp), np.zeros(5), np.ones(5)) == (0.0, 0.0)
