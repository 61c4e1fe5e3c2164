"""What an operator delivers, straight into a lake: profiles, use, events and leavings of a few people."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import polars as pl

from include.lake import Lake

_TYPES = {
    "subscribers": {"contract_ends_on": pl.Date, "plan_code": pl.String, "is_student": pl.Boolean},
    "usage_months": {"data_mb": pl.Float64},
    "churned": {"churned_on": pl.Date, "reason": pl.String},
    "service_events": {"occurred_at": pl.Datetime("us", "UTC"), "kind": pl.String},
}


def deliver(
    lake: Lake, feed: str, month: str, rows: Mapping[str, Sequence[Any]], *, is_marked: bool = False,
    day: str | None = None,
) -> None:  # fmt: skip
    """Publish `rows` (subscriber → one value a column of the feed) as a month, or as a `day` of it."""
    names = list(_TYPES[feed])
    listed = [(who, *values) for who, values in rows.items()]
    put(lake, feed, month, listed, names, is_marked=is_marked, day=day)


def put(
    lake: Lake, feed: str, month: str, rows: Iterable[tuple[Any, ...]], names: Sequence[str], *,
    is_marked: bool = False, day: str | None = None,
) -> None:  # fmt: skip
    """Publish rows (subscriber first) with the named columns of the feed."""
    schema = {"subscriber_id": pl.String} | {name: _TYPES[feed][name] for name in names}
    frame = pl.DataFrame(list(rows), schema=schema, orient="row")
    parts = [
        lake.write_part(feed, month, shard, part, "test", day)
        for shard in range(lake.shards)
        for part in [frame.filter(lake.shard_of(frame["subscriber_id"]) == shard)]
    ]
    facts = {"complete": is_marked}
    lake.publish(
        feed, month, parts, fingerprint=f"{feed} {frame.hash_rows(1).sum()}", facts=facts, period=day
    )


def events(
    lake: Lake, month: str, happened: Iterable[tuple[str, datetime, str]], day: str | None = None
) -> None:
    """Publish service events (subscriber, instant, kind) of a month or of a day."""
    rows = [(who, at, kind) for who, at, kind in happened]
    put(lake, "service_events", month, rows, ("occurred_at", "kind"), day=day)


def leave(lake: Lake, month: str, gone: Mapping[str, date], *, is_marked: bool = True) -> None:
    """Publish who left in a month."""
    deliver(
        lake, "churned", month, {who: (day, "port_out") for who, day in gone.items()}, is_marked=is_marked
    )
