"""A lake of before ids had one writing is brought to it, table by table; killed, the next run goes on."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import polars as pl
from sqlalchemy import Connection

from include.config import Config
from include.database import lock
from include.lake import Lake, Manifest, Part, scan_files
from include.queries import load
from include.stages.collection.publishing import CONTACTS
from include.stages.collection.values import canonical_ids, canonical_phones

_ID = "subscriber_id"
_PROFILES = "subscribers"
_WRITER = "canonical"


def bring_up_to_date(*, db: Connection, lake: Lake, config: Config, now: datetime) -> dict[str, Any] | None:
    """Bring every id and number in the lake to its canonical form; the counts, or None where nothing was to do.

    Each month of a table is exchanged as a whole. Rows that become equal are kept once; of rows that then
    contradict each other under one key the first stays and the others are counted. Files that still lie in the
    landing folder are read anew by collection anyway, since their declaration has changed.
    """
    if lake.is_current:
        return None
    counts = {"tables": 0, "ids": 0, "rows_merged": 0, "numbers_mended": 0, "numbers_gone": 0}
    for table, month in _months(lake):
        with db.begin():
            for words in (("lake", _PROFILES if table == CONTACTS else table, month), (table, month)):
                lock(db, *words)
            for name, number in _month(lake, config, table, month).items():
                counts[name] += number
    lake.mark_current()
    with db.begin():
        told = {"now": now, "details": json.dumps(counts)}
        db.execute(load("collection")["audit_carried_over"], told)
    return counts


def _months(lake: Lake) -> Iterator[tuple[str, str]]:
    for table in lake.tables():
        for month in lake.months(table):
            yield table, month


def _month(lake: Lake, config: Config, table: str, month: str) -> dict[str, int]:
    """Exchange a month of a table whose ids or numbers are written otherwise; what that changed."""
    manifest = lake.manifest(table, month)
    ids = _ids(config)
    counts = {"tables": 0, "ids": 0, "rows_merged": 0, "numbers_mended": 0, "numbers_gone": 0}
    parts: list[Part] = []
    for period in dict.fromkeys(part.period for part in manifest.parts):
        theirs = [part for part in manifest.parts if part.period == period]
        rows = scan_files([lake.part_address(manifest, part) for part in theirs]).collect()
        made = _canonical(rows, ids, counts)
        if made.equals(rows):
            parts += theirs
            continue
        kept = _once(made, _key(config, table, made.columns))
        counts["rows_merged"] += made.height - kept.height
        parts += _written(lake, manifest, period, kept)
    if tuple(parts) == manifest.parts:
        return counts
    counts["tables"] = 1
    lake.supersede(manifest, _known_by_another(replace(manifest, parts=tuple(parts))))
    return counts


def _ids(config: Config) -> frozenset[str]:
    feeds = config.sources.feeds.values()
    return frozenset(name for feed in feeds for name, column in feed.columns.items() if column.type == "id")


def _canonical(rows: pl.DataFrame, ids: frozenset[str], counts: dict[str, int]) -> pl.DataFrame:
    made = rows
    for name, dtype in rows.schema.items():
        if dtype != pl.String:
            continue
        if name in ids:
            # scientific notation has no canonical form: it stays what it was, known to nobody
            new = canonical_ids(rows[name])
            new = new if name != _ID else new.fill_null(rows[name])
            counts["ids"] += (
                rows[name].filter((new != rows[name]).fill_null(True) & rows[name].is_not_null()).n_unique()
            )
        elif name == "msisdn":
            new = canonical_phones(rows[name])
            counts["numbers_mended"] += int((new != rows[name]).fill_null(False).sum())
            counts["numbers_gone"] += new.null_count() - rows[name].null_count()
        else:
            continue
        made = made.with_columns(new.alias(name))
    return made.filter(pl.col("msisdn").is_not_null()) if "msisdn" in made.columns else made


def _key(config: Config, table: str, columns: list[str]) -> list[str]:
    feed = config.sources.feeds.get(table)
    wanted = feed.key if feed else (_ID,)
    return [name for name in wanted if name in columns]


def _once(rows: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """One row of each key, whatever the order of the files: the first by all its columns."""
    if not key:
        return rows
    return rows.sort(rows.columns, nulls_last=True).unique(key, keep="first", maintain_order=True)


def _written(lake: Lake, manifest: Manifest, period: str, rows: pl.DataFrame) -> list[Part]:
    day = period if period != manifest.month else None
    has_ids = _ID in rows.columns
    shards = lake.shard_of(rows[_ID]) if has_ids else pl.zeros(rows.height, pl.UInt32, eager=True)
    return [
        lake.write_part(manifest.table, manifest.month, shard, rows.filter(shards == shard), _WRITER, day)
        for shard in range(lake.shards)
    ]


def _known_by_another(manifest: Manifest) -> Manifest:
    """What was made from the month before is out of date: its fingerprint is another one."""
    fingerprint = hashlib.sha256(f"{manifest.fingerprint} canonical".encode()).hexdigest()
    return replace(manifest, fingerprint=fingerprint)
