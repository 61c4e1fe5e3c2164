"""Parquet files, and the rows of a query spooled as such, as batches of text rows."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from include.stages.collection.reader.batch import BATCH_ROWS, BROKEN, SPOOLED_HEADER, Batch


def parquet_header(path: Path) -> list[str]:
    """The columns of a Parquet file as it names them."""
    return pl.scan_parquet(path, hive_partitioning=False, glob=False).collect_schema().names()


def parquet_batches(path: Path, header: tuple[str, ...], positions: list[int]) -> Iterator[Batch]:
    """The rows of a Parquet file, numbered from 1."""
    scanned = pl.scan_parquet(path, hive_partitioning=False, glob=False)
    schema = scanned.collect_schema()
    names = {schema.names()[position]: header[position] for position in positions}
    texts = [_as_text(name, schema[name]).alias(alias) for name, alias in names.items()]
    iso = frozenset(alias for name, alias in names.items() if schema[name].is_temporal())
    height = scanned.select(pl.len()).collect().item()
    for offset in range(0, height, BATCH_ROWS):
        rows = scanned.slice(offset, BATCH_ROWS).select(texts).collect()
        raw = pl.concat_str([pl.col(name).fill_null("") for name in names.values()], separator=",")
        line = pl.int_range(offset + 1, offset + 1 + rows.height, dtype=pl.Int64)
        yield Batch(rows.with_columns(line.alias("line"), raw.alias("raw")), pl.DataFrame(schema=BROKEN), iso)


def spooled_header(path: Path) -> list[str]:
    """The columns of a query as it names them."""
    columns: list[str] = json.loads((path / SPOOLED_HEADER).read_bytes())["header"]
    return columns


def spooled_batches(path: Path, header: tuple[str, ...], positions: list[int]) -> Iterator[Batch]:
    """The rows of a query, numbered from 1 in the order the database gave them."""
    columns = json.loads((path / SPOOLED_HEADER).read_bytes())
    iso = frozenset(
        header[position] for position, name in enumerate(columns["header"]) if name in columns["iso"]
    )
    names, line = {str(position): header[position] for position in positions}, 1
    for file in sorted(path.glob("*.parquet")):
        rows = pl.read_parquet(file, columns=list(names)).rename(names)
        raw = pl.concat_str(pl.col(list(names.values())).fill_null(""), separator=",")
        numbers = pl.int_range(line, line + rows.height, dtype=pl.Int64)
        yield Batch(
            rows.with_columns(numbers.alias("line"), raw.alias("raw")), pl.DataFrame(schema=BROKEN), iso
        )
        line += rows.height


# Up to here a float tells whole numbers apart
_EXACT: dict[Any, int] = {pl.Float32(): 2**24, pl.Float64(): 2**53}


def _as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone:
        return column.dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00")
    if isinstance(dtype, pl.Datetime):
        return column.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f")
    if dtype in _EXACT:
        # neighbouring whole numbers are one float: written so that an id is refused, and a number read, as it is
        is_rounded = (column.abs() > _EXACT[dtype]) & (column == column.floor())
        text = column.cast(pl.Float64).cast(pl.String)
        rounded = pl.when(text.str.contains("e", literal=True)).then(text).otherwise(text + "e+0")
        return pl.when(is_rounded).then(rounded).otherwise(column.cast(pl.String))
    return column.cast(pl.String)
