"""Peers: exact means of plan and region, wider circles for the few, and what is unknown stays unknown."""

from typing import Any

import polars as pl
import pytest

from include.lake import Lake
from include.stages.features import peers
from include.stages.features.peers import LEAST_PEOPLE, means
from tests.fixtures.lakes import put

MONTH = "2026-10"
DATA = {"data": pl.col("data_mb@0")}


def people(lake: Lake, *groups: tuple[str | None, str | None, int, float | None], **more: Any) -> None:
    """Groups of (plan, region, people, data of each)."""
    rows = [
        {"subscriber_id": f"{number}-{one:03d}", "plan_code": plan, "region_code": region, "data_mb": data}
        for number, (plan, region, size, data) in enumerate(groups)
        for one in range(size)
    ]
    frame = pl.DataFrame(rows, schema_overrides={"data_mb": pl.Float64}).with_columns(**more)
    put(lake, "subscribers", MONTH, frame.drop("data_mb"))
    put(lake, "usage_months", MONTH, frame.select("subscriber_id", "data_mb"))


def mean_of(lake: Lake, plan: str, region: str | None) -> float | None:
    found = means(lake, MONTH, DATA)
    row = found.filter(pl.col("plan_code").eq(plan), pl.col("region_code").eq_missing(pl.lit(region)))
    value: float | None = row["data"].item()
    return value


def test_people_are_compared_with_those_of_their_plan_and_region(lake: Lake) -> None:
    people(lake, ("P1", "R1", 30, 10), ("P1", "R2", 30, 40), ("P2", "R1", 30, 90))
    assert [mean_of(lake, *where) for where in (("P1", "R1"), ("P1", "R2"), ("P2", "R1"))] == [10, 40, 90]


def test_where_few_live_the_plan_everywhere_counts(lake: Lake) -> None:
    people(lake, ("P1", "R1", LEAST_PEOPLE - 1, 10), ("P1", "R2", 71, 40), ("P2", "R1", 30, 90))
    assert mean_of(lake, "P1", "R1") == pytest.approx((29 * 10 + 71 * 40) / 100)
    assert mean_of(lake, "P1", "R2") == 40


def test_a_new_plan_that_few_have_is_compared_with_everybody(lake: Lake) -> None:
    people(lake, ("P1", "R1", 97, 10), ("NEW", "R1", 3, 110))
    assert mean_of(lake, "NEW", "R1") == pytest.approx(13)


def test_who_has_no_plan_has_no_peers_but_counts_among_everybody(lake: Lake) -> None:
    people(lake, ("NEW", "R1", 3, 10), (None, "R1", 97, 110))
    found = means(lake, MONTH, DATA)
    assert found["plan_code"].to_list() == ["NEW"]
    assert found["data"].item() == pytest.approx(107)


def test_an_unknown_region_is_a_region_and_the_closed_are_nobodys_peers(lake: Lake) -> None:
    closed = pl.when(pl.col("data_mb") > 99).then(pl.lit("closed")).otherwise(pl.lit("active"))
    people(lake, ("P1", None, 30, 10), ("P1", None, 30, 100), status=closed)
    assert mean_of(lake, "P1", None) == 10


def test_what_nobody_of_a_group_delivers_is_told_by_the_wider_circle_or_unknown(lake: Lake) -> None:
    people(lake, ("P1", "R1", 40, None), ("P2", "R1", 40, 8))
    assert mean_of(lake, "P1", "R1") == 8
    people(lake, ("P1", "R1", 40, None))
    assert mean_of(lake, "P1", "R1") is None


def test_the_means_are_the_same_to_the_last_bit_for_any_number_of_shards(tmp_path: Any) -> None:
    found = []
    for shards in (1, 8):
        lake = Lake.create(tmp_path / str(shards), subscribers=shards * 500_000)
        groups = [("P1", f"R{region}", 40, 0.1 * region + 1 / 3) for region in range(9)]
        people(lake, *groups, ("P1", "R9", 3, 1e5 / 3))
        found.append(peers.means(lake, MONTH, DATA))
    assert found[0].equals(found[1])
