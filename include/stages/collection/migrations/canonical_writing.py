"""A lake from before ids had one writing gets them so, table by table; killed, the next run goes on."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
from sqlalchemy import Connection

from include.config import Config
from include.lake import Lake, Manifest, Part, scan_files
from include.lake.locks import hold
from include.lake.upkeep import months
from include.stages.collection.staging import STAGING_PREFIX
from include.stages.collection.validator.values import canonical_ids, canonical_phones

#: The layout in which ids have one writing.
LAYOUT = 2
#: What is counted of ids: months of tables exchanged, ids in them, rows that became one, numbers to call.
COUNTS = ("tables", "ids", "rows_merged", "numbers_mended", "numbers_gone")
_ID, _NUMBER = "subscriber_id", "msisdn"
_WRITER = "canonical"


def make_canonical(db: Connection, lake: Lake, config: Config) -> dict[str, int]:
    """Bring every id and number in the lake to its canonical form; the counts.

    Each month of a table is exchanged as a whole. Rows that become equal are kept once; of rows that then
    contradict each other under one key the first stays and the others are counted. Files that still lie in the
    landing folder are read anew by collection anyway, since their declaration has changed.
    """
    counts = dict.fromkeys(COUNTS, 0)
    for table, month in months(lake):
        with db.begin():
            hold(db, table, month)
            for name, number in _month(lake, config, table, month).items():
                counts[name] += number
    return counts


def _month(lake: Lake, config: Config, table: str, month: str) -> dict[str, int]:
    """Exchange a month of a table whose ids or numbers are written otherwise; what that changed."""
    manifest, counts = lake.manifest(table, month), dict.fromkeys(COUNTS, 0)
    parts: list[Part] = []
    for period in dict.fromkeys(part.period for part in manifest.parts):
        theirs = [part for part in manifest.parts if part.period == period]
        with lake.store.spool(STAGING_PREFIX) as folder:
            parts += _Period(lake, config, manifest, period, folder).carried(theirs, counts)
    if tuple(parts) == manifest.parts:
        return counts
    counts["tables"] = 1
    lake.supersede(manifest, _known_by_another(replace(manifest, parts=tuple(parts))))
    return counts


@dataclass(frozen=True)
class _Period:
    """A delivered month or day of a table on its way; memory is that of a part, then of a shard."""

    lake: Lake
    config: Config
    manifest: Manifest
    period: str
    folder: Path

    def carried(self, parts: list[Part], counts: dict[str, int]) -> list[Part]:
        """The parts that stand for the period: those whose shard is untouched as they are, the others anew."""
        odd = [part for part in parts if self._is_odd(part)]
        touched = {part.shard for part in odd} | {
            shard for part in odd for shard in self._put_by_shard(part, counts)
        }
        kept = [part for part in parts if part.shard not in touched]
        for part in parts:
            if part.shard in touched and part not in odd:
                self._rows(part).collect().write_parquet(self._piece(part.shard, part.name))
        return kept + [self._written(shard, counts) for shard in sorted(touched)]

    def _is_odd(self, part: Part) -> bool:
        """Whether anything in a part is written otherwise; its ids and numbers alone are looked at."""
        rows = self._rows(part)
        keys = [name for name in rows.collect_schema().names() if name in (*self._ids, _NUMBER)]
        looked = rows.select(keys).collect()
        return not _canonical(looked, self._ids, dict.fromkeys(COUNTS, 0)).equals(looked)

    def _put_by_shard(self, part: Part, counts: dict[str, int]) -> set[int]:
        """Put the rows of a part, now canonical, by the shards they belong to; those shards."""
        rows = _canonical(self._rows(part).collect(), self._ids, counts)
        if _ID not in rows.columns:
            rows.write_parquet(self._piece(part.shard, part.name))
            return {part.shard}
        shards = self.lake.shard_of(rows[_ID])
        found = set(shards.unique().to_list())
        for shard in found:
            rows.filter(shards == shard).write_parquet(self._piece(shard, part.name))
        return found

    def _written(self, shard: int, counts: dict[str, int]) -> Part:
        pieces = sorted(self.folder.glob(f"{shard:04d}.*"))
        if pieces:
            rows = pl.concat([pl.read_parquet(piece) for piece in pieces], how="diagonal")
        else:  # everybody has moved to another shard
            rows = self._rows(self.manifest.parts[0]).clear().collect()
        kept = _once(rows, _key(self.config, self.manifest.table, rows.columns))
        counts["rows_merged"] += rows.height - kept.height
        day = self.period if self.period != self.manifest.month else None
        return self.lake.write_part(self.manifest.table, self.manifest.month, shard, kept, _WRITER, day)

    def _rows(self, part: Part) -> pl.LazyFrame:
        return scan_files(self.lake.part_address(self.manifest, part))

    def _piece(self, shard: int, name: str) -> Path:
        return self.folder / f"{shard:04d}.{name}"

    @property
    def _ids(self) -> frozenset[str]:
        feeds = self.config.sources.feeds.values()
        return frozenset(
            name for feed in feeds for name, column in feed.columns.items() if column.type == "id"
        )


def _canonical(rows: pl.DataFrame, ids: frozenset[str], counts: dict[str, int]) -> pl.DataFrame:
    made = rows
    for name in (name for name, dtype in rows.schema.items() if dtype == pl.String):
        old = rows[name]
        if name in ids:
            new = canonical_ids(old)
            # scientific notation has no canonical form: it stays what it was, known to nobody
            new = new.fill_null(old) if name == _ID else new
            counts["ids"] += old.filter(new.ne_missing(old)).n_unique()
        elif name == _NUMBER:
            new = canonical_phones(old)
            counts["numbers_mended"] += int((new != old).sum())
            counts["numbers_gone"] += new.null_count() - old.null_count()
        else:
            continue
        made = made.with_columns(new.alias(name))
    return made.drop_nulls(_NUMBER) if _NUMBER in made.columns else made


def _key(config: Config, table: str, columns: list[str]) -> list[str]:
    feed = config.sources.feeds.get(table)
    wanted = feed.key if feed else (_ID,)
    return [name for name in wanted if name in columns]


def _once(rows: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """One row of each key, whatever the order of the files: the first by all its columns."""
    if not key:
        return rows
    return rows.sort(rows.columns, nulls_last=True).unique(key, keep="first", maintain_order=True)


def _known_by_another(manifest: Manifest) -> Manifest:
    """What was made from the month before is out of date: its fingerprint is another one."""
    fingerprint = hashlib.sha256(f"{manifest.fingerprint} canonical".encode()).hexdigest()
    return replace(manifest, fingerprint=fingerprint)
