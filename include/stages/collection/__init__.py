"""Collection: deliveries in the landing folder become months of the lake, reconciled row by row."""

from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from include.config import Config
from include.database import lock
from include.lake import Lake
from include.queries import load
from include.stages.collection import deliveries
from include.stages.collection.deliveries import is_day
from include.stages.collection.intake import refuse_above, spill_folder, take_in
from include.stages.collection.publishing import (
    fingerprint_of,
    known,
    publish,
    record,
    refuse_changed,
    stands,
    told,
    write_parts,
    write_quarantine,
)
from include.stages.collection.standing import report

__all__ = ["collect", "open_lake", "plan", "report"]


def open_lake(root: str | Path, landing: Path, config: Config) -> Lake:
    """The lake in `root`; at the very first run laid down for as many subscribers as were delivered."""
    if not Lake.exists(root):
        Lake.open_or_create(root, deliveries.expected_subscribers(landing, config.sources))
    return Lake(root)


def plan(
    *, landing: Path, db: Connection, lake: Lake, config: Config, as_of: datetime
) -> list[dict[str, Any]]:
    """The deliveries to collect, [{"feed", "period"}]: new or changed, begun before `as_of`.

    Days of a month that was delivered whole are left alone.
    """
    with db.begin():
        stand = db.execute(load("collection")["current_deliveries"]).all()
    standing = {(row.feed, row.period): row.fingerprint for row in stand}
    found = deliveries.found(landing, config.sources)
    whole = {(delivery.feed, delivery.period) for delivery in found} | standing.keys()
    begun = [
        delivery
        for delivery in found
        if deliveries.starts_before(delivery.period, as_of)
        and not (is_day(delivery.period) and (delivery.feed, delivery.period[:7]) in whole)
    ]
    return [
        {"feed": delivery.feed, "period": delivery.period}
        for delivery in begun
        if not stands(lake, delivery, fingerprint_of(delivery, config), standing)
    ]


def collect(
    *, landing: Path, db: Connection, lake: Lake, config: Config, feed: str, period: str, now: datetime
) -> dict[str, Any]:
    """Bring one delivery into the lake; the same files again change nothing.

    The lake is published before the database records it: a run killed in between is repaired by the next.
    Raises BadInput, with nothing published, when too many rows break the contract.
    """
    delivery = deliveries.named(landing, config.sources, feed, period)
    state = delivery.state()
    fingerprint = fingerprint_of(delivery, config)
    with db.begin():
        already = known(db, lake, delivery, fingerprint)
    if already is not None:
        return already
    with spill_folder(lake) as folder:
        intake = take_in(delivery, config.sources, lake, folder)
        quarantine = write_quarantine(lake, delivery, fingerprint, intake)
        sources = config.sources
        refuse_above(
            intake, delivery, sources.share_of(feed), quarantine, sources.feeds[feed].quarantine_rows
        )
        parts = write_parts(lake, delivery, fingerprint, intake, config)
    with db.begin():
        lock(db, "lake", feed, period[:7])
        already = known(db, lake, delivery, fingerprint)
        if already is None:
            refuse_changed(delivery, state, deliveries.named(landing, config.sources, feed, period))
            publish(lake, delivery, fingerprint, intake, parts)
            record(db, delivery, fingerprint, intake, now)
    return already or told(delivery, intake.rows_read, intake.rows_quarantined, is_new=True)
