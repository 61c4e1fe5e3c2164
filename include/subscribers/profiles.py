"""Who belongs to a month: everybody with a profile in it who is not gone at its end, and what the profile says."""

from collections.abc import Mapping, Sequence
from datetime import date

import polars as pl

from include.config.expressions.arithmetic import over_constant
from include.domain.periods.months import last_day, month_start, shift
from include.lake import Lake
from include.subscribers.departures import still_gone

_COLUMNS: Mapping[str, pl.DataType] = {
    **dict.fromkeys(("customer_id", "region_code", "branch_code", "manager_code", "plan_code"), pl.String()),
    "plan_fee_yuan": pl.Float64(),
    "consents_to_marketing": pl.Boolean(),
    "status": pl.String(),
    "joined_on": pl.Date(),
}


def living(lake: Lake, month: str, shard: int) -> pl.LazyFrame:
    """Everybody in the snapshot of M who is not gone at its end, with every column of the profile of M."""
    staying = _profile(lake, month, shard).filter(pl.col("status").ne_missing("closed"))
    left = [lake.scan("churned", past, shard) for past in lake.months("churned") if past <= month]
    if not left:
        return staying
    known = pl.concat([each.select("subscriber_id", "churned_on") for each in left])
    known = known.filter(pl.col("churned_on") <= last_day(month))
    gone = still_gone(known, lake, month, month_start(shift(month, 1)), shard)
    return staying.join(gone.select("subscriber_id"), on="subscriber_id", how="anti")


def without_profile(lake: Lake, month: str, shard: int) -> pl.LazyFrame:
    """The ids that used the network in M and are not in its snapshot: counted, and nobody is warned of them."""
    known = lake.scan("subscribers", month, shard)
    used = lake.scan("usage_months", month, shard)
    return used.select("subscriber_id").join(known, on="subscriber_id", how="anti")


def _profile(lake: Lake, month: str, shard: int) -> pl.LazyFrame:
    """The snapshot of M with every identity column (null when not delivered) and the derived ones."""
    scan = lake.scan("subscribers", month, shard)
    there = scan.collect_schema().names()
    absent = {name: dtype for name, dtype in _COLUMNS.items() if name not in there}
    numbers = pl.selectors.decimal().cast(pl.Float64)
    return scan.with_columns(
        numbers, *(pl.lit(None, dtype).alias(name) for name, dtype in absent.items())
    ).with_columns(_tenure(last_day(month)).alias("tenure_months"), *age_and_contract(there, month).values())


def age_and_contract(there: Sequence[str], month: str) -> dict[str, pl.Expr]:
    """By the column it is made of, where that is there: age in years, days from month's end to contract's end."""
    end = last_day(month)
    numbers = {
        "contract_ends_on": (pl.col("contract_ends_on") - end).dt.total_days().alias("days_to_contract_end"),
        "birth_year": (end.year - pl.col("birth_year")).alias("age_years"),
    }
    return {column: number.cast(pl.Float64) for column, number in numbers.items() if column in there}


def _tenure(end: date) -> pl.Expr:
    """Calendar months from joined_on to `end`; whoever joined on the 31st completes a month on a 30th."""
    joined = pl.col("joined_on").dt
    whole = (end.year - joined.year()) * 12 + end.month - joined.month()
    days = (end.day - pl.min_horizontal(joined.day(), pl.lit(end.day))).cast(pl.Float64)
    return (whole.cast(pl.Float64) + over_constant(days, 31)).clip(lower_bound=0.0)
