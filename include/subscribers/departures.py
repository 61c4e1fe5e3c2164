"""Who came back: a subscriber counts as gone only by a leaving later than the last joining or returning."""

from datetime import UTC, datetime, timedelta

import polars as pl

from include.domain.periods.months import ZONE, month_of
from include.lake import Lake


def still_gone(
    churned: pl.LazyFrame, lake: Lake, month: str, before: datetime, shard: int | None = None
) -> pl.LazyFrame:
    """The rows of `churned` that no joining or returning known before `before` undoes.

    Known are joined_on in the profile of `month`, and the changes of subscribers. On the same day both stand
    for coming back: `churned` tells no time, and whoever left later that day is told so by the changes.
    """
    starts = _starts(lake, month, before, shard)
    starts = starts.join(churned.select("subscriber_id"), on="subscriber_id", how="semi")
    latest = starts.group_by("subscriber_id").agg(pl.col("started_on").max())
    both = churned.join(latest, on="subscriber_id", how="left")
    undone = (pl.col("started_on") >= pl.col("churned_on")).fill_null(False)
    return both.filter(~undone).drop("started_on")


def joined(lake: Lake, month: str, shard: int | None = None) -> pl.LazyFrame:
    """subscriber_id and joined_on by the profile of `month`; nobody where it does not say."""
    if lake.has("subscribers", month):
        profile = lake.scan("subscribers", month, shard)
        if "joined_on" in profile.collect_schema():
            return profile.select("subscriber_id", "joined_on")
    return pl.LazyFrame(schema={"subscriber_id": pl.String, "joined_on": pl.Date})


def _starts(lake: Lake, month: str, before: datetime, shard: int | None) -> pl.LazyFrame:
    found = [joined(lake, month, shard).rename({"joined_on": "started_on"})]
    last = month_of((before - timedelta.resolution).astimezone(ZONE).date())
    for past in lake.months("subscriber_changes"):
        if past <= last:
            changes = lake.scan("subscriber_changes", past, shard)
            known = pl.col("kind").is_in(["joined", "returned"]) & (
                pl.col("occurred_at") < before.astimezone(UTC)
            )
            day = pl.col("occurred_at").dt.convert_time_zone(ZONE.key).dt.date()
            found.append(changes.filter(known).select("subscriber_id", day.alias("started_on")))
    return pl.concat(found)
