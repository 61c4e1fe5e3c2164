"""How an intake enters lake and database: parts first, then the manifests, then the delivery's record."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl
from sqlalchemy import Connection

from include.config import Config
from include.database import lock
from include.database.queries import load
from include.domain.errors import NotReady
from include.lake import Lake, Part
from include.lake.folder import writing
from include.lake.upkeep import QUARANTINE
from include.stages.collection.ingest import Intake
from include.stages.collection.sources.landing_folder import Delivery, is_day

Result = dict[str, Any]
Standing = dict[tuple[str, str], str]

CONTACTS = "contacts"
_PROFILES = "subscribers"


def hold_month(db: Connection, table: str, month: str) -> None:
    """Keep everybody else from writing a month of any table, a feed's or one that is made, to the transaction's end.

    Collection writes contacts with the profiles they came with, under the lock of those.
    """
    lock(db, "lake", _PROFILES if table == CONTACTS else table, month)
    lock(db, table, month)


def fingerprint_of(delivery: Delivery, config: Config) -> str:
    """What the delivery is known by; another declaration of its feed makes it another one."""
    return delivery.fingerprint(config.sources.hash_of(delivery.feed))


def stands(
    lake: Lake, delivery: Delivery, fingerprint: str, standing: Standing, config: Config, at: datetime
) -> bool:
    """Whether database and lake both hold these very files, the lake byte by byte as they were written."""
    if standing.get((delivery.feed, delivery.period)) != fingerprint:
        return False
    month, period = delivery.period[:7], delivery.period
    found = [lake.standing(table, month, period=period) for table in _tables_of(delivery, config, at)]
    return all(each is not None and each.periods.get(period) == fingerprint for each in found)


def _tables_of(delivery: Delivery, config: Config, at: datetime) -> list[str]:
    """The lake tables a delivery fills, those left out that are no longer kept at `at`."""
    tables = [CONTACTS] if config.sources.feeds[delivery.feed].restricted else []
    kept = [table for table in tables if delivery.period[:7] >= config.retention.oldest_month(table, at)]
    return [*kept, delivery.feed]


def known(
    db: Connection, lake: Lake, delivery: Delivery, fingerprint: str, config: Config, at: datetime
) -> Result | None:
    """The result of a delivery that needs nothing more: it stands, or its whole month was delivered."""
    wanted = {"feed": delivery.feed, "period": delivery.period, "month": delivery.period[:7]}
    row = db.execute(load("stages/collection")["current_delivery"], wanted).one_or_none()
    if row is None:
        return None
    if row.period != delivery.period:
        return {**told(delivery, 0, 0, is_new=False), "covered_by": row.period}
    standing = {(delivery.feed, row.period): row.fingerprint}
    if not stands(lake, delivery, fingerprint, standing, config, at):
        return None
    return told(delivery, row.rows_read, row.rows_quarantined, is_new=False)


def told(delivery: Delivery, read: int, quarantined: int, *, is_new: bool) -> Result:
    """The stage's result for one delivery."""
    return {
        "stage": "collection",
        "feed": delivery.feed,
        "period": delivery.period,
        "rows_in": read,
        "rows_out": read - quarantined,
        "quarantined": quarantined,
        "is_new": is_new,
        "ignored_files": list(delivery.others),
    }


def write_parts(
    lake: Lake, delivery: Delivery, fingerprint: str, intake: Intake, config: Config
) -> dict[str, list[Part]]:
    """Parts by lake table, one per shard; restricted columns go to `contacts` alone."""
    restricted = config.sources.feeds[delivery.feed].restricted
    tables: dict[str, list[Part]] = {CONTACTS: [], delivery.feed: []} if restricted else {delivery.feed: []}
    if restricted:
        lake.make_private(CONTACTS)
    for shard in range(lake.shards):
        rows = intake.accepted(shard).collect()
        frames = {delivery.feed: rows.drop(restricted, strict=False)}
        if restricted:
            frames[CONTACTS] = _contacts(rows, restricted)
        for table, frame in frames.items():
            tables[table].append(_write_part(lake, table, delivery, shard, frame, fingerprint))
    return tables


def _write_part(
    lake: Lake, table: str, delivery: Delivery, shard: int, rows: pl.DataFrame, fingerprint: str
) -> Part:
    period, month = delivery.period, delivery.period[:7]
    return lake.write_part(
        table, month, shard, rows, _run_id(fingerprint), period if is_day(period) else None
    )


def _contacts(rows: pl.DataFrame, restricted: Sequence[str]) -> pl.DataFrame:
    """How to reach each subscriber; empty when the delivery does not say."""
    absent = [pl.lit(None, pl.String).alias(name) for name in restricted if name not in rows.columns]
    told = rows.with_columns(absent).select("subscriber_id", *restricted)
    return told.filter(pl.any_horizontal(pl.col(restricted).is_not_null()))


def refuse_changed(before: Delivery, state: object, after: Delivery) -> None:
    """NotReady when somebody wrote to the delivery since its `state` was taken."""
    if after.is_complete != before.is_complete or after.state() != state:
        raise NotReady(f"{before.name} changed while it was read. Run again when its delivery has ended.")


def publish(
    lake: Lake, delivery: Delivery, fingerprint: str, intake: Intake, tables: Mapping[str, list[Part]]
) -> None:
    """Make the parts of each table live; the caller holds the lock of feed and month."""
    month, period = delivery.period[:7], delivery.period if is_day(delivery.period) else None
    columns, ignored = set(intake.columns), set(intake.ignored)
    if period and (stand := lake.published(delivery.feed, month)):
        columns |= set(stand.facts["columns"])
        ignored |= set(stand.facts["ignored_columns"])
    facts = {
        "complete": delivery.is_complete and period is None,
        "columns": sorted(columns),
        "ignored_columns": sorted(ignored),
    }
    # The feed comes last: once its manifest stands, its contacts do.
    for table, parts in tables.items():
        lake.publish(table, month, parts, fingerprint=fingerprint, facts=facts, period=period)


def record(db: Connection, delivery: Delivery, fingerprint: str, intake: Intake, now: datetime) -> None:
    """The delivery stands in the database, in place of an earlier one of its period."""
    queries = load("stages/collection")
    wanted = {"feed": delivery.feed, "period": delivery.period}
    db.execute(queries["retire_deliveries"], wanted)
    recorded = {
        **wanted,
        "fingerprint": fingerprint,
        "files": len(delivery.files),
        "rows_read": intake.rows_read,
        "rows_accepted": intake.rows_accepted,
        "rows_quarantined": intake.rows_quarantined,
        "is_complete": delivery.is_complete,
        "run_id": _run_id(fingerprint),
        "collected_at": now,
    }
    delivery_id = db.execute(queries["record_delivery"], recorded).scalar_one()
    for statement, told_of in (("record_quarantine", intake.summary), ("record_cleared", intake.cleared)):
        causes = [{"delivery_id": delivery_id, **cause} for cause in told_of.to_dicts()]
        if causes:
            db.execute(queries[statement], causes)


def _run_id(fingerprint: str) -> str:
    return f"collect-{fingerprint[:12]}"


def write_quarantine(lake: Lake, delivery: Delivery, fingerprint: str, intake: Intake) -> str:
    """The rows put aside, in quarantine/<feed>/period=…/ of the lake; no file when there are none."""
    name = f"{QUARANTINE}/{delivery.feed}/period={delivery.period}/{fingerprint[:16]}.parquet"
    if intake.rows_quarantined:
        lake.make_private(QUARANTINE)
        spilled = intake.folder / "quarantine.parquet"
        with writing(spilled) as file:
            intake.quarantined().sink_parquet(file, compression="zstd")
        lake.store.take(name, spilled)
    return lake.store.address(name)
