"""Collection: deliveries in the landing folder become months of the lake, reconciled row by row."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from include.config import Config
from include.config.readers.sources import Sources
from include.database import lock
from include.database.queries import load
from include.domain.errors import NotReady
from include.lake import Lake
from include.stages.collection import waivers
from include.stages.collection.completeness import refuse_incomplete, refuse_unlisted
from include.stages.collection.ingest import refuse_above, spill_folder, take_in
from include.stages.collection.monthly_report import report
from include.stages.collection.publisher import (
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
from include.stages.collection.sources import landing_folder
from include.stages.collection.sources.database import Connection as Database
from include.stages.collection.sources.database import spooled
from include.stages.collection.sources.landing_folder import Delivery, is_day
from include.stages.collection.validator.erased import kept_out

__all__ = ["collect", "open_lake", "plan", "report", "require"]


def open_lake(root: str | Path, landing: Path, config: Config) -> Lake:
    """The lake in `root`; at the very first run laid down for as many subscribers as were delivered."""
    if not Lake.exists(root):
        Lake.open_or_create(root, landing_folder.expected_subscribers(landing, config.sources))
    return Lake(root)


def plan(
    *,
    landing: Path,
    db: Connection,
    lake: Lake,
    config: Config,
    as_of: datetime,
    month: str | None = None,
    queried: Collection[str] | None = None,
    feeds: Collection[str] | None = None,
) -> list[dict[str, Any]]:
    """The deliveries to collect, [{"feed", "period"}]: new or changed, begun before `as_of`.

    Days of a month that was delivered whole are left alone, and so is what retention.yaml no longer keeps. The
    feeds `queried` by SQL (by default those with a connection in sources.yaml) are asked for `month`, or for the
    days before `as_of`, unless they were delivered as files. Only `feeds` are looked at, by default all.
    """
    with db.begin():
        stand = db.execute(load("stages/collection")["current_deliveries"]).all()
        decided = waivers.approved(db)
    standing = {(row.feed, row.period): row.fingerprint for row in stand}
    found = landing_folder.found(landing, config.sources, feeds)
    landed = {(delivery.feed, delivery.period) for delivery in found}
    whole = landed | standing.keys()
    begun = [
        delivery
        for delivery in found
        if landing_folder.starts_before(delivery.period, as_of)
        and delivery.period[:7] >= config.retention.oldest_month(delivery.feed, as_of)
        and not (is_day(delivery.period) and (delivery.feed, delivery.period[:7]) in whole)
    ]
    changed = [
        {"feed": delivery.feed, "period": delivery.period}
        for delivery in (waivers.applied(each, decided) for each in begun)
        if delivery.files
        and not stands(lake, delivery, fingerprint_of(delivery, config), standing, config, as_of)
    ]
    by_query = config.sources.connections if queried is None else queried
    asked = [
        (feed, period)
        for feed in sorted(by_query)
        if feeds is None or feed in feeds
        for period in _asked(config.sources, feed, month, standing, as_of)
        if (feed, period) not in landed and not (is_day(period) and (feed, period[:7]) in whole)
    ]
    return changed + [{"feed": feed, "period": period} for feed, period in asked]


def _asked(
    sources: Sources, feed: str, month: str | None, standing: Collection[tuple[str, str]], as_of: datetime
) -> list[str]:
    """The periods of a feed that an operator's database is asked for."""
    if sources.asked_by(feed) == "day":
        days = [period for name, period in standing if name == feed and is_day(period)]
        return landing_folder.days_asked(max(days, default=None), as_of)
    return [month] if month and landing_folder.starts_before(month, as_of) else []


def collect(
    *,
    landing: Path,
    db: Connection,
    lake: Lake,
    config: Config,
    feed: str,
    period: str,
    now: datetime,
    connections: Mapping[str, Database] | None = None,
) -> dict[str, Any]:
    """Bring one delivery into the lake; the same rows again change nothing.

    A feed with an open connection is read by its query, unless files of the period have landed. The lake is
    published before the database records it: a run killed in between is repaired by the next. Raises
    BadInput, with nothing published, when too many rows break the contract. Files that a person decided to go
    on without are left out.
    """

    with db.begin():
        decided = waivers.approved(db)

    def look() -> Delivery:
        return waivers.applied(landing_folder.named(landing, config.sources, feed, period), decided)

    if connections is None or feed not in connections or landing_folder.is_landed(landing, feed, period):
        delivery = look()
        if not delivery.files:  # a person decided to go on without any of them
            return told(delivery, 0, 0, is_new=False)
        with waivers.advised(feed, period, config.sources, len(delivery.files)):
            return _collect(delivery, look, db, lake, config, now)
    with spill_folder(lake) as folder:
        delivery = spooled(connections[feed], config.sources, feed, period, folder)
        return _collect(delivery, lambda: delivery, db, lake, config, now)


def require(
    *,
    landing: Path,
    db: Connection,
    lake: Lake,
    config: Config,
    month: str,
    now: datetime,
    connections: Mapping[str, Database] | None = None,
    seen: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, Any]:
    """Collect the feeds that `month` cannot do without; `lacking` tells {feed: {"state", "why"}} of the rest.

    Files that were `seen` in the same state by an earlier call, and found incomplete, are not read again.
    """
    done: list[dict[str, Any]] = []
    lacking: dict[str, dict[str, str]] = {}
    with db.begin():
        decided = waivers.approved(db)
    for feed in (name for name, declared in config.sources.feeds.items() if declared.required):
        state, before = "", dict((seen or {}).get(feed, {}))
        try:
            if landing_folder.is_landed(landing, feed, month):
                delivery = waivers.applied(
                    landing_folder.named(landing, config.sources, feed, month), decided
                )
                state = repr((delivery.state(), delivery.left_out, delivery.is_taken_as_is))
            if state and state == before.get("state"):
                lacking[feed] = before
                continue
            if state or feed in (connections or {}):
                done.append(
                    collect(
                        landing=landing,
                        db=db,
                        lake=lake,
                        config=config,
                        feed=feed,
                        period=month,
                        now=now,
                        connections=connections,
                    )
                )
            if not (lake.has(feed, month) and lake.manifest(feed, month).rows):
                raise NotReady(f"No {feed} rows for {month}. Deliver {feed}/month={month} first.")
        except NotReady as error:
            lacking[feed] = {"state": state, "why": str(error)}
    new = [each for each in done if each["is_new"]]
    counts = {name: sum(each[name] for each in new) for name in ("rows_in", "rows_out", "quarantined")}
    return {"stage": "collection", **counts, "deliveries": len(new), "lacking": lacking}


def _collect(
    delivery: Delivery,
    look_again: Callable[[], Delivery],
    db: Connection,
    lake: Lake,
    config: Config,
    now: datetime,
) -> dict[str, Any]:
    feed, period = delivery.feed, delivery.period
    state = delivery.state()
    fingerprint = fingerprint_of(delivery, config)
    with db.begin():
        already = known(db, lake, delivery, fingerprint, config, now)
        erased = kept_out(db, period)
    if already is not None:
        return already
    refuse_unlisted(delivery)
    with spill_folder(lake) as folder:
        intake = take_in(delivery, config.sources, lake, folder, erased)
        quarantine = write_quarantine(lake, delivery, fingerprint, intake)
        sources = config.sources
        refuse_above(
            intake, delivery, sources.share_of(feed), quarantine, sources.feeds[feed].quarantine_rows
        )
        refuse_incomplete(delivery, intake, lake, config)
        parts = write_parts(lake, delivery, fingerprint, intake, config)
    with db.begin():
        lock(db, "lake", feed, period[:7])
        already = known(db, lake, delivery, fingerprint, config, now)
        if already is None:
            refuse_changed(delivery, state, look_again())
            publish(lake, delivery, fingerprint, intake, parts)
            record(db, delivery, fingerprint, intake, now)
            waivers.keep_in_force(db, delivery, now)
    return already or told(delivery, intake.rows_read, intake.rows_quarantined, is_new=True)
