"""Every file of a delivery read in bounded memory: its rows staged, broken and repeated ones told apart."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from include.config.readers.sources import Feed, Shared
from include.domain.errors import BadInput
from include.stages.collection.intake import Intake
from include.stages.collection.reader import batches, header_of
from include.stages.collection.reader.batch import WHOLE_ROW, Batch
from include.stages.collection.sources.delivery import written
from include.stages.collection.staging import (
    BROKEN_KIND,
    CLEARED_KIND,
    QUARANTINE,
    REPEATED,
    REPEATED_KIND,
    Staged,
    accepted_kind,
    repeated_rows,
    stage,
    staged_rows,
)
from include.stages.collection.validator import erased
from include.stages.collection.validator.contract import CLEARED
from include.stages.collection.waivers import FileAtFault, at_fault

_MASK = "***"
_SHARED = "is borne by more people than one customer can be"
_MARKS = {"file": pl.String, "line": pl.Int64}


def take_in(intake: Intake, folder: Path, kept_out: erased.KeptOut = erased.NOBODY) -> Staged:
    """Read every file of a delivery into `folder`; BadInput for a file that cannot be read at all.

    Rows of the erased that are `kept_out` are put aside without their text.
    """
    declared, shards = intake.feed, intake.lake.shards
    headers = [_header(intake, path) for path in intake.delivery.files]
    delivered = {name for header in headers for name in header}
    columns = intake.contract.schema(delivered)
    _lay_out(folder, columns, shards)
    reading = _Reading(intake, folder, columns, kept_out)
    files = enumerate(intake.delivery.files, start=1)
    read = {written(path.name): reading.read(number, path) for number, path in files}
    repeated = reading.with_raw(repeated_rows(folder, declared.key, list(columns), shards))
    stage(folder, REPEATED_KIND, 0, 0, repeated)
    accepted = staged_rows(folder, accepted_kind()).select(pl.len()).collect().item() - repeated.height
    shared = {
        name: _shared(folder, name, most) for name, most in declared.shared_at_most.items() if name in columns
    }
    return Staged(
        folder=folder,
        key=tuple(name for name in ("subscriber_id", *declared.key) if name in columns),
        columns=columns,
        ignored=tuple(sorted(delivered - declared.columns.keys())),
        read=read,
        rows_accepted=accepted,
        summary=_summary(folder),
        cleared=_cleared(folder, shared),
        shared=shared,
    )


def _lay_out(folder: Path, columns: Mapping[str, pl.DataType], shards: int) -> None:
    """An empty file of each kind of rows, so that none is without its columns."""
    for shard in range(shards):
        stage(folder, accepted_kind(shard), 0, 0, pl.DataFrame(schema={**columns, **_MARKS}))
    stage(folder, BROKEN_KIND, 0, 0, pl.DataFrame(schema=QUARANTINE))
    stage(folder, CLEARED_KIND, 0, 0, pl.DataFrame(schema={**CLEARED, "file": pl.String}))


def _shared(folder: Path, name: str, most: Shared) -> pl.Series:
    """The values of a key that more rows bear than one customer can have numbers."""
    rows = staged_rows(folder, accepted_kind()).select(name).drop_nulls(name)
    counted = rows.group_by(name).len().filter(pl.col("len") > most.people).collect(engine="streaming")
    everybody = staged_rows(folder, accepted_kind()).select(pl.len()).collect(engine="streaming").item()
    return counted.filter(pl.col("len") > most.share * everybody)[name]


def refuse_above(share: float, intake: Intake, staged: Staged, quarantine: str) -> None:
    """BadInput naming the worst file and column when more than a share of a file or the delivery is broken.

    `quarantine` is where the broken rows lie. A file with as few of them as the feed bears is borne whatever
    their share.
    """
    rows_borne = intake.feed.quarantine_rows
    # nothing is lost with a repetition, and the operator did nothing wrong in delivering somebody erased here
    broken = staged.summary.filter(~pl.col("reason").is_in([erased.REASON, REPEATED]))
    broken_rows = dict(broken.group_by("file").agg(pl.col("rows").sum()).iter_rows())
    shares = {name: rows / staged.read[name] for name, rows in broken_rows.items() if rows > rows_borne}
    worst = max(shares, key=lambda name: shares[name], default=None)
    # The share of the delivery lies between those of its files: above the limit only if the worst is.
    if worst is None or shares[worst] <= share:
        return
    causes = broken.filter(pl.col("file") == worst).sort("rows", descending=True)
    column, reason, rows = causes.select("column", "reason", "rows").row(0)
    what = "whole rows" if column == WHOLE_ROW else f"column {column}"
    sentence = (
        f"{intake.delivery.name}: {broken_rows[worst]:,} of {staged.read[worst]:,} rows of {worst} break the contract "
        f"({shares[worst]:.1%}, at most {share:.1%} may), most by {what}, which {reason} in {rows:,}. "
        f"Nothing was published. See {quarantine}, mend the file and deliver it again."
    )
    raise FileAtFault(sentence, worst)


def _header(intake: Intake, path: Path) -> Sequence[str]:
    """The columns of a file; FileAtFault when it cannot be read, or lacks one that is required."""
    declared = intake.feed
    with at_fault(path):
        header = header_of(path, declared.dialect)
        if absent := [name for name in declared.required_columns if name not in header]:
            named = f"{intake.delivery.name}/{written(path.name)}"
            raise BadInput(
                f"{named} has no column {', '.join(absent)}, which is required. Deliver it with one."
            )
    return header


@dataclass(frozen=True)
class _Reading:
    """What every file of a delivery is read with; `columns` are those any of its files brings."""

    intake: Intake
    folder: Path
    columns: dict[str, pl.DataType]
    kept_out: erased.KeptOut

    def read(self, number: int, path: Path) -> int:
        """Stage one file batch by batch; return the rows it held."""
        with at_fault(path):
            return self._read(number, path)

    def _read(self, number: int, path: Path) -> int:
        contract, name, read = self.intake.contract, written(path.name), 0
        for nth, batch in enumerate(self._batches(path)):
            read += batch.rows.height + batch.broken.height
            rows, erased_rows = erased.parted(batch.rows, self.kept_out)
            judged = contract.judged(replace(batch, rows=rows))
            marked = judged.typed.with_columns(pl.lit(name).alias("file"), *self._absent(judged.typed))
            self._stage_by_shard(marked.select(*self.columns, *_MARKS), number, nth)
            put_aside = pl.concat([judged.broken, batch.broken, erased_rows])
            stage(self.folder, BROKEN_KIND, number, nth, _of_file(put_aside, name).select(*QUARANTINE))
            stage(self.folder, CLEARED_KIND, number, nth, _of_file(judged.cleared, name))
        return read

    def with_raw(self, aside: pl.DataFrame) -> pl.DataFrame:
        """Rows told by file and line with what stood there: read once more, so that no other row keeps it."""
        raws = [pl.DataFrame(schema={"file": pl.String, "line": pl.Int64, "raw": pl.String})]
        for path in self.intake.delivery.files:
            lines = aside.filter(pl.col("file") == written(path.name))["line"].implode()
            for batch in self._batches(path) if lines.explode().drop_nulls().len() else ():
                found = batch.rows.filter(pl.col("line").is_in(lines)).select("line", "raw")
                raws.append(found.select(pl.lit(written(path.name)).alias("file"), "line", "raw"))
        return aside.drop("raw").join(pl.concat(raws), on=["file", "line"], how="left").select(*QUARANTINE)

    def _batches(self, path: Path) -> Iterator[Batch]:
        declared = self.intake.feed
        return (_masked(batch, declared) for batch in batches(path, declared.columns, declared.dialect))

    def _stage_by_shard(self, rows: pl.DataFrame, number: int, nth: int) -> None:
        if self.intake.lake.shards == 1 or "subscriber_id" not in rows.columns:
            stage(self.folder, accepted_kind(0), number, nth, rows)
            return
        shards = self.intake.lake.shard_of(rows["subscriber_id"]).alias("shard")
        for part in rows.with_columns(shards).partition_by("shard", maintain_order=True):
            stage(self.folder, accepted_kind(part["shard"][0]), number, nth, part.drop("shard"))

    def _absent(self, typed: pl.DataFrame) -> list[pl.Expr]:
        absent = {name: dtype for name, dtype in self.columns.items() if name not in typed.columns}
        return [pl.lit(None, dtype).alias(name) for name, dtype in absent.items()]


def _masked(batch: Batch, declared: Feed) -> Batch:
    """The batch with nothing restricted in its raw rows; where a line has no columns, with no raw line."""
    if not declared.restricted:
        return batch
    # made anew from the declared columns: an undeclared one may hold the number, too
    names = [name for name in batch.rows.columns if name in declared.columns]
    shown = {name: pl.lit(_MASK) if name in declared.restricted else pl.col(name) for name in names}
    texts = [pl.when(pl.col(name) != "").then(text).fill_null("") for name, text in shown.items()]
    return replace(
        batch,
        rows=batch.rows.with_columns(pl.concat_str(texts, separator=",").alias("raw")),
        broken=batch.broken.with_columns(pl.lit(None, pl.String).alias("raw")),
    )


def _of_file(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    return rows.with_columns(pl.lit(name).alias("file"))


def _summary(folder: Path) -> pl.DataFrame:
    return _counted(pl.concat([staged_rows(folder, BROKEN_KIND), staged_rows(folder, REPEATED_KIND)]))


def _cleared(folder: Path, shared: Mapping[str, pl.Series]) -> pl.DataFrame:
    """The values that were not taken although their rows were."""
    found = [staged_rows(folder, CLEARED_KIND).select("file", "line", "column", "reason")]
    for name, values in shared.items():
        theirs = staged_rows(folder, accepted_kind()).filter(pl.col(name).is_in(values.implode()))
        found.append(
            theirs.select("file", "line", pl.lit(name).alias("column"), pl.lit(_SHARED).alias("reason"))
        )
    return _counted(pl.concat(found))


def _counted(rows: pl.LazyFrame) -> pl.DataFrame:
    counted = rows.group_by("file", "column", "reason").agg(
        pl.len().cast(pl.Int64).alias("rows"), pl.col("line").min().alias("first_line")
    )
    return counted.sort("file", "column", "reason").collect(engine="streaming")
