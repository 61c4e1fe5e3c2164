"""Rows of a delivery under way: staged as Parquet by kind and shard, and told apart where they repeat."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from include.lake import Lake
from include.lake.folder import writing

#: How the folders of rows under way are called.
STAGING_PREFIX = ".churn-spill-"
_ABANDONED_SECONDS = 86_400

#: Kinds of staged rows: those of lines that break the contract, those that repeat a key, and values not taken.
BROKEN_KIND, REPEATED_KIND, CLEARED_KIND = "broken", "repeated", "cleared"

REPEATED = "repeats a row"
QUARANTINE = {
    "file": pl.String,
    "line": pl.Int64,
    "column": pl.String,
    "reason": pl.String,
    "raw": pl.String,
}


@contextmanager
def staging_folder(lake: Lake) -> Iterator[Path]:
    """A private local folder for rows under way; also clears those of collectors that died a day ago."""
    with lake.store.spool(STAGING_PREFIX) as folder:
        lake.store.drop_spools(STAGING_PREFIX, _ABANDONED_SECONDS)
        yield folder


@dataclass(frozen=True)
class Staged:
    """What was read of a delivery; `folder` holds its staged rows, `read` the rows of each file.

    `rows_accepted` is counted in the staged rows themselves, not derived. `summary` (of the rows put aside) and
    `cleared` (of the values not taken, whose rows stay) have one row per file, column and reason (rows,
    first_line). `shared` are the values of key columns that too many people bear to name anybody.
    """

    folder: Path
    key: tuple[str, ...]
    columns: dict[str, pl.DataType]
    ignored: tuple[str, ...]
    read: dict[str, int]
    rows_accepted: int
    summary: pl.DataFrame
    cleared: pl.DataFrame
    shared: Mapping[str, pl.Series]

    @property
    def rows_read(self) -> int:
        return sum(self.read.values())

    @property
    def rows_quarantined(self) -> int:
        return int(self.summary["rows"].sum())

    def accepted(self, shard: int) -> pl.LazyFrame:
        """The rows of a shard that enter the lake, in the same order at every attempt."""
        rows, repeated = (
            staged_rows(self.folder, accepted_kind(shard)),
            staged_rows(self.folder, REPEATED_KIND),
        )
        known = [
            pl.when(~pl.col(name).is_in(values.implode())).then(pl.col(name)).alias(name)
            for name, values in self.shared.items()
        ]
        kept = rows.join(repeated, on=["file", "line"], how="anti").with_columns(known)
        return kept.select(*self.columns).sort(self.key)

    def typed(self) -> pl.LazyFrame:
        """All typed rows that were read, repeated ones as well."""
        return staged_rows(self.folder, accepted_kind())

    def quarantined(self) -> pl.LazyFrame:
        """All rows put aside: file, line, column, reason and the raw row, its restricted columns masked."""
        return pl.concat([staged_rows(self.folder, BROKEN_KIND), staged_rows(self.folder, REPEATED_KIND)])


def accepted_kind(shard: int | None = None) -> str:
    """The kind of staged rows that are typed: those of a shard, or of all."""
    return "accepted-" if shard is None else f"accepted-{shard:04d}"


def stage(folder: Path, kind: str, number: int, nth: int, rows: pl.DataFrame) -> None:
    """Append the nth batch of a file to a kind of rows; order of names is order of files and lines."""
    if rows.height or not number:
        with writing(folder / f"{kind}-{number:06d}-{nth:06d}.parquet") as file:
            rows.write_parquet(file, compression="lz4")


def staged_rows(folder: Path, kind: str) -> pl.LazyFrame:
    """Lazily all staged rows of a kind."""
    return pl.scan_parquet(sorted(folder.glob(f"{kind}*.parquet")), hive_partitioning=False)


def repeated_rows(folder: Path, key: Sequence[str], columns: Sequence[str], shards: int) -> pl.DataFrame:
    """Rows of a key that came more than once, without raw: of identical all but the first, of conflicting all.

    Looked for shard by shard, or in as many parts by the key where it names no subscriber: memory is that of one.
    """
    every = staged_rows(folder, accepted_kind())
    present = [name for name in key if name in columns]
    if "subscriber_id" in present:
        parts = [staged_rows(folder, accepted_kind(shard)) for shard in range(shards)]
    else:
        part_of = pl.struct(present).hash(seed=1) % shards
        parts = [every.filter(part_of == nth) for nth in range(shards)] if shards > 1 else [every]
    found = [_repeated_in(part, present, columns) for part in parts]
    return pl.concat(found).sort("file", "line")


def _repeated_in(part: pl.LazyFrame, present: list[str], columns: Sequence[str]) -> pl.DataFrame:
    often = part.group_by(present).len().filter(pl.col("len") > 1).select(present).collect(engine="streaming")
    if not often.height:
        return pl.DataFrame(schema=QUARANTINE)
    rows = part.join(often.lazy(), on=present, how="semi", nulls_equal=True).collect().sort("file", "line")
    kinds = rows.unique(list(columns)).group_by(present).len("kinds")
    counted = rows.join(kinds, on=present, nulls_equal=True, maintain_order="left").with_columns(
        pl.lit(", ".join(present)).alias("column"), pl.int_range(pl.len()).over(present).alias("nth")
    )
    conflicts = pl.col("kinds") > 1
    reason = pl.when(conflicts).then(pl.lit("conflicts with another row")).otherwise(pl.lit(REPEATED))
    aside = counted.with_columns(reason.alias("reason"), pl.lit(None, pl.String).alias("raw"))
    return aside.filter(conflicts | (pl.col("nth") > 0)).select(*QUARANTINE)
