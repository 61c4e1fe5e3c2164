"""Rows of a delivery under way: spilled as Parquet by kind and shard, and told apart where they repeat."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from include.lake.folder import writing

REPEATED = "repeats a row"
QUARANTINE = {
    "file": pl.String,
    "line": pl.Int64,
    "column": pl.String,
    "reason": pl.String,
    "raw": pl.String,
}


def accepted_kind(shard: int | None = None) -> str:
    """The kind of spill that holds the typed rows of a shard, or of all."""
    return "accepted-" if shard is None else f"accepted-{shard:04d}"


def spill(folder: Path, kind: str, number: int, nth: int, rows: pl.DataFrame) -> None:
    """Append the nth batch of a file to a kind of spill; order of names is order of files and lines."""
    if rows.height or not number:
        with writing(folder / f"{kind}-{number:06d}-{nth:06d}.parquet") as file:
            rows.write_parquet(file, compression="lz4")


def spilled(folder: Path, kind: str) -> pl.LazyFrame:
    """Lazily all rows of a kind of spill."""
    return pl.scan_parquet(sorted(folder.glob(f"{kind}*.parquet")), hive_partitioning=False)


def repeated_rows(folder: Path, key: Sequence[str], columns: Sequence[str], shards: int) -> pl.DataFrame:
    """Rows of a key that came more than once, without raw: of identical all but the first, of conflicting all.

    Looked for shard by shard, or in as many parts by the key where it names no subscriber: memory is that of one.
    """
    every = spilled(folder, accepted_kind())
    present = [name for name in key if name in columns]
    if "subscriber_id" in present:
        parts = [spilled(folder, accepted_kind(shard)) for shard in range(shards)]
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
    told = rows.join(kinds, on=present, nulls_equal=True, maintain_order="left").with_columns(
        pl.lit(", ".join(present)).alias("column"), pl.int_range(pl.len()).over(present).alias("nth")
    )
    conflicts = pl.col("kinds") > 1
    reason = pl.when(conflicts).then(pl.lit("conflicts with another row")).otherwise(pl.lit(REPEATED))
    aside = told.with_columns(reason.alias("reason"), pl.lit(None, pl.String).alias("raw"))
    return aside.filter(conflicts | (pl.col("nth") > 0)).select(*QUARANTINE)
