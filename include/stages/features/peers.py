"""Peers: what people of the same plan and region use and pay on average, a small table made before the factors.

Sums are of whole numbers, so that the means do not depend on the order of rows or the number of shards.
"""

from collections.abc import Mapping

import polars as pl

from include.config.expressions.arithmetic import in_units, whole
from include.lake import Lake
from include.subscribers.histories import Histories

TABLE = "peers"
#: A plan in a region with fewer people is compared with the plan everywhere, else with everybody.
LEAST_PEOPLE = 30

_PLACE = ("plan_code", "region_code")


def means(lake: Lake, month: str, metrics: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """plan_code, region_code, people, and the mean of every metric of `month`, to the sixth decimal.

    `metrics`: by the column made, over the usage columns of the month as "bill_yuan@0". One row per plan and
    region of the snapshot; somebody without a plan has no peers. A mean over nobody is null.
    """
    rows = _people(lake, month).join(_usage(lake, month, metrics), on="subscriber_id")
    sums = [whole(metric).sum().alias(f"sum {name}") for name, metric in metrics.items()]
    known = [whole(metric).count().alias(f"known {name}") for name, metric in metrics.items()]
    counted = [pl.len().cast(pl.Int64).alias("people"), *sums, *known]
    own = rows.group_by(_PLACE).agg(counted).collect(engine="streaming").sort(_PLACE, nulls_last=True)
    totals = pl.col("people", *(f"{what} {name}" for what in ("sum", "known") for name in metrics)).sum()
    of_plan, everybody = own.group_by("plan_code").agg(totals), own.select(totals)
    placed = own.filter(pl.col("plan_code").is_not_null())
    wider = placed.select(_PLACE).join(of_plan, on="plan_code", how="left", maintain_order="left")
    widest = placed.select(_PLACE).join(everybody, how="cross", maintain_order="left")
    named = [_mean(name, placed, wider, widest) for name in metrics]
    return placed.select(*_PLACE, "people").with_columns(named)


def _mean(name: str, *circles: pl.DataFrame) -> pl.Series:
    """The mean in the first circle of people that is large enough."""
    found = pl.Series(name, [None] * circles[0].height, dtype=pl.Float64)
    for number, circle in enumerate(circles):
        enough = (circle["people"] >= LEAST_PEOPLE) if number < len(circles) - 1 else circle["people"] > 0
        frame = pl.DataFrame(
            {"found": found, "sum": circle[f"sum {name}"], "known": circle[f"known {name}"], "enough": enough}
        )
        mean = pl.when(pl.col("enough") & (pl.col("known") > 0)).then(
            in_units(pl.col("sum")) / pl.col("known")
        )
        found = frame.select(pl.coalesce("found", mean).alias(name)).to_series()
    return found


def _people(lake: Lake, month: str) -> pl.LazyFrame:
    scan = lake.scan("subscribers", month)
    there = scan.collect_schema().names()
    if "status" in there:
        scan = scan.filter(pl.col("status").ne_missing("closed"))
    places = [
        pl.col(name) if name in there else pl.lit(None, pl.String).alias(name) for name in ("region_code",)
    ]
    return scan.select("subscriber_id", "plan_code", *places)


def _usage(lake: Lake, month: str, metrics: Mapping[str, pl.Expr]) -> pl.LazyFrame:
    wanted = sorted({name for metric in metrics.values() for name in metric.meta.root_names()})
    picked = [pl.col(name.partition("@")[0]).cast(pl.Float64).alias(name) for name in wanted]
    return Histories.of(lake, month).usage(month).select("subscriber_id", *picked)
