"""One delivery read in bounded memory: its rows spilled as Parquet, broken and repeated ones told apart."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from include.config.readers.sources import Feed, Shared, Sources
from include.domain.errors import BadInput
from include.lake import Lake
from include.stages.collection.reader.delimited import WHOLE_ROW, Batch, batches, header_of
from include.stages.collection.sources.landing_folder import Delivery, window, written
from include.stages.collection.staging import (
    QUARANTINE,
    REPEATED,
    accepted_kind,
    repeated_rows,
    spill,
    spilled,
)
from include.stages.collection.validator import erased
from include.stages.collection.validator.contract import CLEARED, judged, schema_of
from include.stages.collection.waivers import FileAtFault, at_fault

_MASK = "***"
_CLEARED = "cleared"
_SHARED = "is borne by more people than one customer can be"
#: How the folders of rows under way are called.
SPILL = ".churn-spill-"
_ABANDONED_SECONDS = 86_400


@dataclass(frozen=True)
class Intake:
    """What was read of a delivery; `folder` holds its spilled rows, `read` the rows of each file.

    `rows_accepted` is counted in the spill itself, not derived. `summary` (of the rows put aside) and `cleared` (of
    the values not taken, whose rows stay) have one row per file, column and reason (rows, first_line). `shared` are
    the values of key columns that too many people bear to name anybody.
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
        rows, repeated = spilled(self.folder, accepted_kind(shard)), spilled(self.folder, "repeated")
        known = [
            pl.when(~pl.col(name).is_in(values.implode())).then(pl.col(name)).alias(name)
            for name, values in self.shared.items()
        ]
        kept = rows.join(repeated, on=["file", "line"], how="anti").with_columns(known)
        return kept.select(*self.columns).sort(self.key)

    def spilled(self) -> pl.LazyFrame:
        """All typed rows that were read, repeated ones as well."""
        return spilled(self.folder, accepted_kind())

    def quarantined(self) -> pl.LazyFrame:
        """All rows put aside: file, line, column, reason and the raw row, its restricted columns masked."""
        return pl.concat([spilled(self.folder, "broken"), spilled(self.folder, "repeated")])


@contextmanager
def spill_folder(lake: Lake) -> Iterator[Path]:
    """A private local folder for rows under way; also clears those of collectors that died a day ago."""
    with lake.store.spool(SPILL) as folder:
        lake.store.drop_spools(SPILL, _ABANDONED_SECONDS)
        yield folder


def take_in(
    delivery: Delivery,
    sources: Sources,
    lake: Lake,
    folder: Path,
    kept_out: erased.KeptOut = erased.NOBODY,
) -> Intake:
    """Read every file of a delivery into `folder`; BadInput for a file that cannot be read at all.

    Rows of the erased that are `kept_out` are put aside without their text.
    """
    feed = sources.feeds[delivery.feed]
    headers = {path: _header(delivery, path, feed) for path in delivery.files}
    delivered = {name for header in headers.values() for name in header}
    columns = schema_of(feed, sorted(delivered))
    for shard in range(lake.shards):
        spill(folder, accepted_kind(shard), 0, 0, pl.DataFrame(schema={**columns, **_MARKS}))
    spill(folder, "broken", 0, 0, pl.DataFrame(schema=QUARANTINE))
    spill(folder, _CLEARED, 0, 0, pl.DataFrame(schema={**CLEARED, "file": pl.String}))
    reading = _Reading(delivery, sources, lake, folder, columns, kept_out)
    read = {written(path.name): reading.read(n, path) for n, path in enumerate(delivery.files, start=1)}
    repeated = reading.with_raw(repeated_rows(folder, feed.key, list(columns), lake.shards))
    spill(folder, "repeated", 0, 0, repeated)
    ignored = tuple(sorted(delivered - feed.columns.keys()))
    key = tuple(name for name in ("subscriber_id", *feed.key) if name in columns)
    accepted = spilled(folder, accepted_kind()).select(pl.len()).collect().item() - repeated.height
    shared = {
        name: _shared(folder, name, most) for name, most in feed.shared_at_most.items() if name in columns
    }
    cleared = _cleared(folder, shared)
    return Intake(folder, key, columns, ignored, read, accepted, _summary(folder), cleared, shared)


def _shared(folder: Path, name: str, most: Shared) -> pl.Series:
    """The values of a key that more rows bear than one customer can have numbers."""
    rows = spilled(folder, accepted_kind()).select(name).drop_nulls(name)
    counted = rows.group_by(name).len().filter(pl.col("len") > most.people).collect(engine="streaming")
    everybody = spilled(folder, accepted_kind()).select(pl.len()).collect(engine="streaming").item()
    return counted.filter(pl.col("len") > most.share * everybody)[name]


def refuse_above(
    intake: Intake, delivery: Delivery, share: float, quarantine: str, rows_borne: int = 0
) -> None:
    """BadInput naming the worst file and column when a file or the whole delivery is too broken.

    A file with `rows_borne` broken rows or fewer is borne whatever their share.
    """
    # nothing is lost with a repetition, and the operator did nothing wrong in delivering somebody erased here
    broken = intake.summary.filter(~pl.col("reason").is_in([erased.REASON, REPEATED]))
    bad = dict(broken.group_by("file").agg(pl.col("rows").sum()).iter_rows())
    shares = {name: rows / intake.read[name] for name, rows in bad.items() if rows > rows_borne}
    worst = max(shares, key=lambda name: shares[name], default=None)
    # The share of the delivery lies between those of its files: above the limit only if the worst is.
    if worst is None or shares[worst] <= share:
        return
    causes = broken.filter(pl.col("file") == worst).sort("rows", descending=True)
    column, reason, rows = causes.select("column", "reason", "rows").row(0)
    what = "whole rows" if column == WHOLE_ROW else f"column {column}"
    sentence = (
        f"{delivery.name}: {bad[worst]:,} of {intake.read[worst]:,} rows of {worst} break the contract "
        f"({shares[worst]:.1%}, at most {share:.1%} may), most by {what}, which {reason} in {rows:,}. "
        f"Nothing was published. See {quarantine}, mend the file and deliver it again."
    )
    raise FileAtFault(sentence, worst)


_MARKS = {"file": pl.String, "line": pl.Int64}


def _header(delivery: Delivery, path: Path, feed: Feed) -> Sequence[str]:
    """The columns of a file; FileAtFault when it cannot be read, or lacks one that is required."""
    with at_fault(path):
        header = header_of(path, feed.dialect)
        _refuse_incomplete(delivery, path, header, feed)
    return header


def _refuse_incomplete(delivery: Delivery, path: Path, header: Sequence[str], feed: Feed) -> None:
    absent = [name for name in feed.required_columns if name not in header]
    if absent:
        named = f"{delivery.name}/{written(path.name)}"
        raise BadInput(f"{named} has no column {', '.join(absent)}, which is required. Deliver it with one.")


@dataclass(frozen=True)
class _Reading:
    """What every file of a delivery is read with; `columns` are those any of its files brings."""

    delivery: Delivery
    sources: Sources
    lake: Lake
    folder: Path
    columns: dict[str, pl.DataType]
    kept_out: erased.KeptOut

    def read(self, number: int, path: Path) -> int:
        """Spill one file batch by batch; return the rows it held."""
        with at_fault(path):
            return self._read(number, path)

    def _read(self, number: int, path: Path) -> int:
        feed, days = self.sources.feeds[self.delivery.feed], window(self.delivery.period)
        zone, name, read = self.sources.zone_of(self.delivery.feed), written(path.name), 0
        for nth, batch in enumerate(self._batches(path, feed)):
            read += batch.rows.height + batch.broken.height
            rows, erased_rows = erased.parted(batch.rows, self.kept_out)
            found = judged(rows, feed, zone, days, batch.iso, is_trimmed=batch.is_trimmed)
            marked = found.typed.with_columns(pl.lit(name).alias("file"), *self._absent(found.typed))
            self._spill_by_shard(marked.select(*self.columns, *_MARKS), number, nth)
            told = pl.concat([found.broken, batch.broken, erased_rows])
            spill(self.folder, "broken", number, nth, _of_file(told, name).select(*QUARANTINE))
            spill(self.folder, _CLEARED, number, nth, _of_file(found.cleared, name))
        return read

    def with_raw(self, aside: pl.DataFrame) -> pl.DataFrame:
        """Rows told by file and line with what stood there: read once more, so that no other row keeps it."""
        raws = [pl.DataFrame(schema={"file": pl.String, "line": pl.Int64, "raw": pl.String})]
        feed = self.sources.feeds[self.delivery.feed]
        for path in self.delivery.files:
            lines = aside.filter(pl.col("file") == written(path.name))["line"].implode()
            for batch in self._batches(path, feed) if lines.explode().drop_nulls().len() else ():
                found = batch.rows.filter(pl.col("line").is_in(lines)).select("line", "raw")
                raws.append(found.select(pl.lit(written(path.name)).alias("file"), "line", "raw"))
        return aside.drop("raw").join(pl.concat(raws), on=["file", "line"], how="left").select(*QUARANTINE)

    def _batches(self, path: Path, feed: Feed) -> Iterator[Batch]:
        return (_masked(batch, feed) for batch in batches(path, feed.columns, feed.dialect))

    def _spill_by_shard(self, rows: pl.DataFrame, number: int, nth: int) -> None:
        if self.lake.shards == 1 or "subscriber_id" not in rows.columns:
            spill(self.folder, accepted_kind(0), number, nth, rows)
            return
        shards = self.lake.shard_of(rows["subscriber_id"]).alias("shard")
        for part in rows.with_columns(shards).partition_by("shard", maintain_order=True):
            spill(self.folder, accepted_kind(part["shard"][0]), number, nth, part.drop("shard"))

    def _absent(self, typed: pl.DataFrame) -> list[pl.Expr]:
        absent = {name: dtype for name, dtype in self.columns.items() if name not in typed.columns}
        return [pl.lit(None, dtype).alias(name) for name, dtype in absent.items()]


def _masked(batch: Batch, feed: Feed) -> Batch:
    """The batch with nothing restricted in its raw rows; where a line has no columns, with no raw line."""
    if not feed.restricted:
        return batch
    # made anew from the declared columns: an undeclared one may hold the number, too
    names = [name for name in batch.rows.columns if name in feed.columns]
    shown = {name: pl.lit(_MASK) if name in feed.restricted else pl.col(name) for name in names}
    texts = [pl.when(pl.col(name) != "").then(text).fill_null("") for name, text in shown.items()]
    return replace(
        batch,
        rows=batch.rows.with_columns(pl.concat_str(texts, separator=",").alias("raw")),
        broken=batch.broken.with_columns(pl.lit(None, pl.String).alias("raw")),
    )


def _of_file(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    return rows.with_columns(pl.lit(name).alias("file"))


def _summary(folder: Path) -> pl.DataFrame:
    return _counted(pl.concat([spilled(folder, "broken"), spilled(folder, "repeated")]))


def _cleared(folder: Path, shared: Mapping[str, pl.Series]) -> pl.DataFrame:
    """The values that were not taken although their rows were."""
    found = [spilled(folder, _CLEARED).select("file", "line", "column", "reason")]
    for name, values in shared.items():
        theirs = spilled(folder, accepted_kind()).filter(pl.col(name).is_in(values.implode()))
        found.append(
            theirs.select("file", "line", pl.lit(name).alias("column"), pl.lit(_SHARED).alias("reason"))
        )
    return _counted(pl.concat(found))


def _counted(told: pl.LazyFrame) -> pl.DataFrame:
    counted = told.group_by("file", "column", "reason").agg(
        pl.len().cast(pl.Int64).alias("rows"), pl.col("line").min().alias("first_line")
    )
    return counted.sort("file", "column", "reason").collect(engine="streaming")
