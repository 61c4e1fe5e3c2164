"""New holders: numbers that went to somebody new. What was said and done by a former holder is not the new one's."""

from datetime import UTC, datetime, timedelta

import polars as pl

from include.domain.periods.months import ZONE, month_of
from include.lake import Lake
from include.subscribers.departures import joined

_KINDS = ("left", "returned", "port_out_applied")
_AT = pl.Datetime("us")
_EVENTS: dict[str, pl.DataType] = {"subscriber_id": pl.String(), "at": _AT, "kind": pl.String()}
_HOLDERS = ("subscriber_id", "left_on", "joined_on")


def new_holders(lake: Lake, month: str, before: datetime, shard: int | None = None) -> pl.LazyFrame:
    """Who in the profile of `month` has a history that begins anew: subscriber_id, left_on, joined_on.

    `left_on` is the latest delivered leaving on or before `joined_on` that no `returned` follows: with one the
    history continues. A `returned` that follows a later leaving or application of the holder answers that one.
    A leaving on the day of joining lies before it; what happened on or after `before` is not known yet.
    """
    known = joined(lake, month, shard).filter(pl.col("joined_on") < before.astimezone(ZONE).date())
    events = pl.concat([_churned(lake, before, shard), _changed(lake, before, shard)])
    dated = events.join(known, on="subscriber_id").with_columns(pl.col("at").dt.date().alias("day"))
    is_later = (pl.col("day") > pl.col("joined_on")) & (pl.col("kind") != "returned")
    dated = dated.with_columns(pl.col("at").filter(is_later).min().over("subscriber_id").alias("parted_at"))
    answers = (pl.col("kind") == "returned") & (pl.col("at") < pl.col("parted_at")).fill_null(True)
    dated = dated.with_columns(pl.col("at").filter(answers).max().over("subscriber_id").alias("returned_at"))
    is_final = (pl.col("at") > pl.col("returned_at")).fill_null(True) & (pl.col("kind") == "left")
    gone = dated.filter(is_final & (pl.col("day") <= pl.col("joined_on")))
    latest = gone.group_by("subscriber_id", "joined_on").agg(pl.col("day").max().alias("left_on"))
    return latest.select(_HOLDERS)


def known_since(lake: Lake) -> str | None:
    """The oldest month the lake tells leavings of; None when it tells of none."""
    return min((*lake.months("churned"), *lake.months("subscriber_changes")), default=None)


def _churned(lake: Lake, before: datetime, shard: int | None) -> pl.LazyFrame:
    """Leavings that tell no time, at the beginning of their day: a return on that day follows."""
    rows = _until(lake, "churned", before, shard)
    known = [frame.filter(pl.col("churned_on") < before.astimezone(ZONE).date()) for frame in rows]
    at = pl.col("churned_on").cast(_AT).alias("at")
    dated = [frame.select("subscriber_id", at, pl.lit("left").alias("kind")) for frame in known]
    return pl.concat([pl.LazyFrame(schema=_EVENTS), *dated])


def _changed(lake: Lake, before: datetime, shard: int | None) -> pl.LazyFrame:
    rows = _until(lake, "subscriber_changes", before, shard)
    is_known = (pl.col("occurred_at") < before.astimezone(UTC)) & pl.col("kind").is_in(_KINDS)
    here = pl.col("occurred_at").dt.convert_time_zone(ZONE.key).dt.replace_time_zone(None)
    at = here.cast(_AT).alias("at")
    dated = [frame.filter(is_known).select("subscriber_id", at, "kind") for frame in rows]
    return pl.concat([pl.LazyFrame(schema=_EVENTS), *dated])


def _until(lake: Lake, table: str, before: datetime, shard: int | None) -> list[pl.LazyFrame]:
    last = month_of((before - timedelta.resolution).astimezone(ZONE).date())
    return [lake.scan(table, month, shard) for month in lake.months(table) if month <= last]
