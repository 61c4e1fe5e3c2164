"""Histories: what the feeds tell of the people of a month, without what a former holder of their number did."""

from dataclasses import dataclass

import polars as pl

from include.domain.periods.months import ZONE, month_start, shift
from include.lake import Lake
from include.subscribers.holders import new_holders


@dataclass(frozen=True)
class Histories:
    """Usage and events as of the people of a month; `holders` are the new ones among them (see new_holders)."""

    lake: Lake
    holders: pl.DataFrame
    shard: int | None = None

    @classmethod
    def of(cls, lake: Lake, month: str, shard: int | None = None) -> "Histories":
        """Those of the people in the profile of `month`, as known at its end."""
        holders = new_holders(lake, month, month_start(shift(month, 1)), shard)
        return cls(lake, holders.collect(engine="streaming"), shard)

    def usage(self, month: str) -> pl.LazyFrame:
        """usage_months of `month` without the rows of former holders.

        The month of joining is the new holder's if the number was left before it. Where both had the number in
        it, its one row is of both and nobody can take it apart: it is unknown.
        """
        usage = self.lake.scan("usage_months", month, self.shard)
        joined_in = pl.col("joined_on").dt.month_start()
        is_shared = pl.col("left_on") >= joined_in
        begins_on = pl.when(is_shared).then(joined_in.dt.offset_by("1mo")).otherwise(joined_in)
        return _without(usage, self.holders.filter(begins_on > month_start(month).date()))

    def events(self, feed: str, month: str) -> pl.LazyFrame:
        """The rows of `feed` (subscriber_id, occurred_at) in `month` without those from before a new holder joined."""
        events = self.lake.scan(feed, month, self.shard)
        if self.holders.is_empty():
            return events
        since = self.holders.lazy().select("subscriber_id", "joined_on")
        happened_on = pl.col("occurred_at").dt.convert_time_zone(ZONE.key).dt.date()
        is_own = (happened_on >= pl.col("joined_on")).fill_null(True)
        return events.join(since, on="subscriber_id", how="left").filter(is_own).drop("joined_on")

    def of_same_holders(self, rows: pl.LazyFrame, month: str) -> pl.LazyFrame:
        """`rows` of people at the end of `month` without those who were former holders then."""
        return _without(rows, self.holders.filter(pl.col("joined_on") >= month_start(shift(month, 1)).date()))


def _without(rows: pl.LazyFrame, holders: pl.DataFrame) -> pl.LazyFrame:
    if holders.is_empty():
        return rows
    return rows.join(holders.lazy(), on="subscriber_id", how="anti", maintain_order="left")
