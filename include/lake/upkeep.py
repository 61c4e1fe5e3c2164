"""Looking after a lake: what it holds, whether that is sound, the same rows in another number of shards."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import sqlalchemy as sa

from include.domain.errors import BadInput, Damaged, NotReady
from include.lake import SUBSCRIBERS_PER_SHARD, Lake, Manifest, Part, scan_files
from include.lake.campaigns import parted
from include.lake.description import DESCRIPTION, cure
from include.lake.locks import hold
from include.lake.store import open_store

QUARANTINE = "quarantine"
_ID = "subscriber_id"
_UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)


@dataclass(frozen=True)
class Fault:
    """What is wrong with a month of a table, or with a `period` of it: `sentence` names the file and the cure.

    A `loose` file is of no month: rows that were put aside.
    """

    table: str
    month: str
    period: str | None
    sentence: str
    loose: str = ""


def described(lake: Lake) -> pl.DataFrame:
    """One row per published table and month: table, month, files, rows, bytes, complete."""
    stand = (lake.published(table, month) for table, month in months(lake))
    rows = [
        {
            "table": manifest.table,
            "month": manifest.month,
            "files": len(manifest.parts),
            "rows": manifest.rows,
            "bytes": _bytes(lake, manifest),
            "complete": manifest.facts.get("complete"),
        }
        for manifest in stand
        if manifest is not None
    ]
    schema = {"table": pl.String, "month": pl.String, "files": pl.Int64, "rows": pl.Int64}
    return pl.DataFrame(rows, schema={**schema, "bytes": pl.Int64, "complete": pl.Boolean})


def _bytes(lake: Lake, manifest: Manifest) -> int:
    there = lake.store.files(lake.folder(manifest.table, manifest.month))
    return sum(there[part.name].size for part in manifest.parts if part.name in there)


def months(lake: Lake) -> Iterator[tuple[str, str]]:
    """Every table and published month."""
    for table in lake.tables():
        for month in lake.months(table):
            yield table, month


def faults(lake: Lake) -> list[Fault]:
    """What is wrong with manifests and live files; nothing when readers can trust them all."""
    found = [fault for table, month in months(lake) for fault in faults_of(lake, table, month)]
    return [*found, *_loose(lake)]


def faults_of(lake: Lake, table: str, month: str) -> list[Fault]:
    """What is wrong with one month of a table."""
    try:
        manifest = lake.manifest(table, month)
    except Damaged as error:
        stands = lake.published(table, month)
        if stands is None:
            return [Fault(table, month, None, str(error))]
        manifest = stands
    sentences = ((part, _fault(lake, manifest, part)) for part in manifest.parts)
    return [Fault(table, month, part.period, fault) for part, fault in sentences if fault]


def _loose(lake: Lake) -> Iterator[Fault]:
    """Files of rows put aside that cannot be read; they have no manifest to be held against."""
    for name in lake.store.below(QUARANTINE):
        try:
            scan_files(lake.store.address(name)).collect()
        except _UNREADABLE:
            sentence = f"{lake.store.address(name)} cannot be read. {cure(lake.root)}"
            yield Fault(QUARANTINE, "", None, sentence, name)


def unrecorded(lake: Lake) -> int:
    """How many live files have no size and hash recorded: an earlier version wrote them."""
    stand = (lake.published(table, month) for table, month in months(lake))
    return sum(part.sha256 is None for manifest in stand if manifest for part in manifest.parts)


def _fault(lake: Lake, manifest: Manifest, part: Part) -> str | None:
    try:
        address = lake.part_address(manifest, part)
    except Damaged as error:
        return str(error)
    try:
        scanned = scan_files(address)
        wanted = [name for name in scanned.collect_schema().names() if name == _ID]
        rows = scanned.select(pl.len()).collect().item()
        ids = scanned.select(wanted).collect().to_series() if wanted else None
    except _UNREADABLE:
        return _sentence(lake, manifest, address, "cannot be read")
    what = _misplaced(lake, part, rows, ids)
    return _sentence(lake, manifest, address, what) if what else None


def _sentence(lake: Lake, manifest: Manifest, address: str, what: str) -> str:
    return f"{manifest.table} of {manifest.month}: {address} {what}. {cure(lake.root)}"


def _misplaced(lake: Lake, part: Part, rows: int, ids: pl.Series | None) -> str | None:
    if rows != part.rows:
        return f"holds {rows:,} rows instead of {part.rows:,}"
    if ids is not None and not ids.is_sorted():
        return f"is not sorted by {_ID}"
    if ids is not None and not (lake.shard_of(ids) == part.shard).all():
        return f"holds subscribers of another shard than {part.shard}"
    return None


def resharded(lake: Lake, to: str | Path, shards: int, db: sa.Connection | None = None) -> Lake:
    """A new lake at `to` (folder or URL) with the same months in `shards` shards, and all else as it stands.

    The old lake is only read, so that the loop may go on meanwhile: a month is copied under its lock (with `db`), and
    what was written, erased or dropped while others were copied is copied again, until nothing has changed. Point
    CHURN_LAKE to the new one between two runs. BadInput when `to` is not empty, NotReady while ids stand in the lake
    as they were delivered.
    """
    if not lake.is_current:
        raise NotReady(
            f"The lake {lake.root} is laid out as by an earlier version. Let a run of the loop bring it up to date."
        )
    if shards < 1:
        raise BadInput(f"A lake cannot have {shards} shards. Give 1 or more.")
    if not open_store(to).is_empty():
        raise BadInput(f"{to} is not empty. Give a folder that does not exist yet.")
    made = Lake.create(to, shards * SUBSCRIBERS_PER_SHARD)
    for folder in lake.store.folders():
        if lake.store.is_private(folder):  # what is for the owner alone stays so
            made.make_private(folder)
    copied: dict[tuple[str, str], tuple[Part, ...]] = {}
    while _copy_changed(lake, made, copied, db):
        _copy_the_rest(lake, made)
    return made


def _copy_changed(
    lake: Lake, made: Lake, copied: dict[tuple[str, str], tuple[Part, ...]], db: sa.Connection | None
) -> bool:
    """Copy the months that are not as they were `copied`, take those back that are gone; whether there were any."""
    stood = dict(copied)
    for table, month in list(months(lake)):
        with db.begin() if db is not None else nullcontext():
            if db is not None:
                hold(db, table, month)
            if month not in lake.months(table):
                continue  # dropped since it was listed
            manifest = lake.manifest(table, month)
            if copied.get((table, month)) != manifest.parts:
                if (table, month) in copied:
                    made.drop(table, month)  # with its files: somebody may have been erased from them
                made.adopt(_moved(lake, made, manifest))
                copied[table, month] = manifest.parts
    for table, month in copied.keys() - set(months(lake)):
        made.drop(table, month)
        del copied[table, month]
    return copied != stood or not stood


def _moved(lake: Lake, made: Lake, manifest: Manifest) -> Manifest:
    parts: list[Part] = []
    for period in dict.fromkeys(part.period for part in manifest.parts):
        rows = scan_files(
            [lake.part_address(manifest, part) for part in manifest.parts if part.period == period]
        )
        has_ids = _ID in rows.collect_schema().names()
        for shard in range(made.shards):
            inside = rows.filter(_shard(made) == shard) if has_ids else rows if shard == 0 else rows.clear()
            day = period if period != manifest.month else None
            parts.append(made.write_part(manifest.table, manifest.month, shard, inside, "reshard", day))
    if sum(part.rows for part in parts) != manifest.rows:
        raise BadInput(f"{manifest.table} of {manifest.month} would lose rows. {cure(lake.root)}")
    return replace(manifest, parts=tuple(parts))


def _shard(lake: Lake) -> pl.Expr:
    return pl.col(_ID).map_batches(lake.shard_of, return_dtype=pl.UInt32)


def _copy_the_rest(lake: Lake, made: Lake) -> None:
    """Models, quarantine and whatever else lies beside the tables."""
    own = {DESCRIPTION, *(parted(table)[0] for table in lake.tables())}
    for name in lake.store.below(""):
        if name.partition("/")[0] not in own:
            made.store.write(name, lake.store.read(name))
