"""How an intake enters lake and database: parts first, then the manifests, then the delivery's record."""

from collections.abc import Mapping, Sequence

import polars as pl

from include.database.queries import load
from include.domain.errors import NotReady
from include.lake import Part
from include.lake.folder import writing
from include.lake.upkeep import QUARANTINE
from include.stages.collection.intake import Intake
from include.stages.collection.results import Collected
from include.stages.collection.sources.delivery import Delivery, DeliveryKey
from include.stages.collection.staging import Staged

#: By delivery, the fingerprint on record of what stands.
Recorded = Mapping[DeliveryKey, str]

CONTACTS = "contacts"


def stands(intake: Intake, recorded: Recorded) -> bool:
    """Whether database and lake both hold these very files, the lake byte by byte as they were written."""
    key = intake.key
    if recorded.get(key) != intake.fingerprint:
        return False
    found = [intake.lake.standing(table, key.month, period=key.period) for table in _kept_tables(intake)]
    return all(each is not None and each.periods.get(key.period) == intake.fingerprint for each in found)


def _kept_tables(intake: Intake) -> list[str]:
    """The lake tables the delivery fills, those left out that are no longer kept."""
    tables, retention = [CONTACTS] if intake.restricted else [], intake.site.config.retention
    kept = [table for table in tables if intake.key.month >= retention.oldest_month(table, intake.site.now)]
    return [*kept, intake.key.feed]


def known(intake: Intake) -> Collected | None:
    """The result of a delivery that needs nothing more: it stands, or its whole month was delivered."""
    key = intake.key
    wanted = {"feed": key.feed, "period": key.period, "month": key.month}
    row = intake.site.db.execute(load("stages/collection")["current_delivery"], wanted).one_or_none()
    if row is None:
        return None
    if row.period != key.period:
        return {**collected(intake.delivery, 0, 0, is_new=False), "covered_by": row.period}
    if not stands(intake, {key: row.fingerprint}):
        return None
    return collected(intake.delivery, row.rows_read, row.rows_quarantined, is_new=False)


def collected(delivery: Delivery, read: int, quarantined: int, *, is_new: bool) -> Collected:
    """The stage's result for one delivery."""
    return {
        "stage": "collection",
        "feed": delivery.key.feed,
        "period": delivery.key.period,
        "rows_in": read,
        "rows_out": read - quarantined,
        "quarantined": quarantined,
        "is_new": is_new,
        "ignored_files": list(delivery.others),
    }


def write_parts(intake: Intake, staged: Staged) -> dict[str, list[Part]]:
    """Parts by lake table, one per shard; restricted columns go to `contacts` alone."""
    restricted, key = intake.restricted, intake.key
    tables: dict[str, list[Part]] = {CONTACTS: [], key.feed: []} if restricted else {key.feed: []}
    if restricted:
        intake.lake.make_private(CONTACTS)
    for shard in range(intake.lake.shards):
        rows = staged.accepted(shard).collect()
        frames = {key.feed: rows.drop(restricted, strict=False)}
        if restricted:
            frames[CONTACTS] = _contacts(rows, restricted)
        for table, frame in frames.items():
            part = intake.lake.write_part(table, key.month, shard, frame, intake.run_id, key.day)
            tables[table].append(part)
    return tables


def _contacts(rows: pl.DataFrame, restricted: Sequence[str]) -> pl.DataFrame:
    """How to reach each subscriber; empty when the delivery does not say."""
    absent = [pl.lit(None, pl.String).alias(name) for name in restricted if name not in rows.columns]
    contacts = rows.with_columns(absent).select("subscriber_id", *restricted)
    return contacts.filter(pl.any_horizontal(pl.col(restricted).is_not_null()))


def refuse_changed(intake: Intake) -> None:
    """NotReady when somebody wrote to the delivery while it was read."""
    if intake.has_changed():
        name = intake.delivery.name
        raise NotReady(f"{name} changed while it was read. Run again when its delivery has ended.")


def publish(intake: Intake, staged: Staged, tables: Mapping[str, list[Part]]) -> None:
    """Make the parts of each table live; the caller holds the lock of feed and month."""
    lake, key = intake.lake, intake.key
    columns, ignored = set(staged.columns), set(staged.ignored)
    if key.is_day and (stand := lake.published(key.feed, key.month)):
        columns |= set(stand.facts["columns"])
        ignored |= set(stand.facts["ignored_columns"])
    facts = {
        "complete": intake.delivery.is_complete and not key.is_day,
        "columns": sorted(columns),
        "ignored_columns": sorted(ignored),
    }
    # The feed comes last: once its manifest stands, its contacts do.
    for table, parts in tables.items():
        lake.publish(table, key.month, parts, fingerprint=intake.fingerprint, facts=facts, period=key.day)


def record(intake: Intake, staged: Staged) -> None:
    """The delivery stands in the database, in place of an earlier one of its period."""
    db, queries = intake.site.db, load("stages/collection")
    wanted = {"feed": intake.key.feed, "period": intake.key.period}
    db.execute(queries["retire_deliveries"], wanted)
    recorded = {
        **wanted,
        "fingerprint": intake.fingerprint,
        "files": len(intake.delivery.files),
        "rows_read": staged.rows_read,
        "rows_accepted": staged.rows_accepted,
        "rows_quarantined": staged.rows_quarantined,
        "is_complete": intake.delivery.is_complete,
        "run_id": intake.run_id,
        "collected_at": intake.site.now,
    }
    delivery_id = db.execute(queries["record_delivery"], recorded).scalar_one()
    for statement, counted in (("record_quarantine", staged.summary), ("record_cleared", staged.cleared)):
        causes = [{"delivery_id": delivery_id, **cause} for cause in counted.to_dicts()]
        if causes:
            db.execute(queries[statement], causes)


def write_quarantine(intake: Intake, staged: Staged) -> str:
    """The rows put aside, in quarantine/<feed>/period=…/ of the lake; no file when there are none."""
    lake, key = intake.lake, intake.key
    name = f"{QUARANTINE}/{key.feed}/period={key.period}/{intake.fingerprint[:16]}.parquet"
    if staged.rows_quarantined:
        lake.make_private(QUARANTINE)
        put_aside = staged.folder / "quarantine.parquet"
        with writing(put_aside) as file:
            staged.quarantined().sink_parquet(file, compression="zstd")
        lake.store.take(name, put_aside)
    return lake.store.address(name)
