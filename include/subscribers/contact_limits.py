"""Limits of contact as the feed tells them, each with the customer who said it and whether its number went on."""

from collections.abc import Sequence
from datetime import date, datetime

import polars as pl

from include.domain.periods.months import ZONE, month_of
from include.lake import Lake
from include.subscribers.departures import joined

FEED, PROFILES = "contact_limits", "subscribers"
_HELD = {"subscriber_id": pl.String, "customer_id": pl.String, "joined_on": pl.Date}
_OPTIONAL = pl.LazyFrame(schema={"valid_to": pl.Date})  # a column the operator may lack


def limits_said(
    lake: Lake, months: Sequence[str], profile: str, holders: pl.LazyFrame, today: date
) -> pl.LazyFrame:
    """The limits of these months of the feed that stand on `today` or later; `profile` is the newest month known.

    Columns: subscriber_id, customer_key, kind, valid_from, valid_to, month, has_lapsed. A limit has lapsed for
    its number when that went to somebody new since, by `holders` (see new_holders); for the customer who said it,
    it goes on. Who has no customer is one of their own, under their number.
    """
    frames = [lake.scan(FEED, month).with_columns(pl.lit(month).alias("month")) for month in months]
    rows = pl.concat([_OPTIONAL, *frames], how="diagonal")
    # a refusal holds for good, whatever end the file gives
    is_open = pl.col("valid_to").is_null() | (pl.col("valid_to") >= today) | (pl.col("kind") == "refused")
    wanted = ("subscriber_id", "kind", "valid_from", "valid_to", "month")
    limits = rows.filter(is_open).select(wanted).unique()
    limits = limits.join(holders, on="subscriber_id", how="left")
    limits = limits.with_columns(has_lapsed=(pl.col("valid_from") <= pl.col("left_on")).fill_null(False))
    said = limits.join(_customers(lake, limits, profile), on=["subscriber_id", "valid_from"], how="left")
    key = pl.coalesce("customer_id", "subscriber_id").alias("customer_key")
    return said.with_columns(key).select("customer_key", "has_lapsed", *wanted)


def _customers(lake: Lake, limits: pl.LazyFrame, profile: str) -> pl.LazyFrame:
    """The customer of whoever held a number on a day, as the newest profile of that holder tells it.

    A number that is in the newest profile no more keeps the customer it had.
    """
    asked = limits.select(
        "subscriber_id", "valid_from", "has_lapsed", pl.col("joined_on").alias("anew_on")
    ).unique()
    rows = asked.join(_profiles(lake, profile), on="subscriber_id")
    is_former = pl.coalesce(pl.col("joined_on") < pl.col("anew_on"), pl.col("month") < _month("anew_on"))
    may_be_anothers = pl.col("has_lapsed") | (pl.col("month").max().over("subscriber_id") < profile)
    was_there = may_be_anothers & (pl.col("joined_on") <= pl.col("valid_from")).fill_null(False)
    rows = rows.with_columns(was_there=was_there).filter(~pl.col("has_lapsed") | is_former)
    newest = pl.col("customer_id").sort_by("was_there", "month").last()
    return rows.group_by("subscriber_id", "valid_from").agg(newest)


def _profiles(lake: Lake, profile: str) -> pl.LazyFrame:
    """Every profile of a number up to the month `profile` that tells customers."""
    found = [pl.LazyFrame(schema=_HELD | {"month": pl.String})]
    for month in (month for month in lake.months(PROFILES) if month <= profile):
        rows = lake.scan(PROFILES, month)
        there = rows.collect_schema().names()
        if "customer_id" in there:
            held = rows.select(name for name in _HELD if name in there)
            found.append(held.with_columns(pl.lit(month).alias("month")))
    return pl.concat(found, how="diagonal")


def _month(day: str) -> pl.Expr:
    return pl.col(day).dt.strftime("%Y-%m")


def newest_profile(lake: Lake, before: datetime) -> str:
    """The newest month that has a profile, else the month of `before`."""
    today = month_of(before.astimezone(ZONE).date())
    return max((month for month in lake.months(PROFILES) if month <= today), default=today)


def noteworthy_of(lake: Lake, profile: str, limits: pl.LazyFrame) -> dict[str, int]:
    """What is told of limits (subscriber_id, said_on, holds_for_number), counted.

    `lapsed`: their number went to somebody new since. `rejoined`: the number was joined anew since, but no leaving
    lies between, so that they stand. `unknown`: no profile ever named the id; they hold as soon as one does.
    """
    ids = pl.LazyFrame(schema={"subscriber_id": pl.String})
    months = [month for month in lake.months(PROFILES) if month <= profile]
    known = pl.concat([ids, *(lake.scan(PROFILES, month).select("subscriber_id") for month in months)])
    is_anew = pl.col("holds_for_number") & (pl.col("joined_on") > pl.col("said_on"))
    counted = limits.join(joined(lake, profile), on="subscriber_id", how="left").select(
        lapsed=(~pl.col("holds_for_number")).sum(), rejoined=is_anew.sum()
    )
    unknown = limits.join(known, on="subscriber_id", how="anti").select(unknown=pl.len())
    counts = pl.concat([counted, unknown], how="horizontal").collect(engine="streaming")
    return {name: int(count or 0) for name, count in counts.row(0, named=True).items()}
