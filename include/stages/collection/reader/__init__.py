"""Delivered files as batches of text rows: delimited text, plain or gzipped, Parquet, and spooled queries."""

import gzip
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from include.config.readers.dialects import Dialect
from include.domain.errors import BadInput
from include.stages.collection.reader.batch import SPOOL, Batch
from include.stages.collection.reader.columnar import (
    parquet_batches,
    parquet_header,
    spooled_batches,
    spooled_header,
)
from include.stages.collection.reader.delimited import Layout, delimited_batches, delimited_header


def header_of(path: Path, dialect: Dialect) -> tuple[str, ...]:
    """The columns of a file under their declared names; BadInput when it has no usable header."""
    with _told_as_bad_input(path):
        if path.name.lower().endswith(".parquet"):
            names = parquet_header(path)
        elif path.name.endswith(SPOOL):
            names = spooled_header(path)
        else:
            names = delimited_header(path, dialect)
    header = tuple(dialect.named(name) for name in names)
    repeated = [name for name, times in Counter(header).items() if times > 1]
    if repeated:
        raise BadInput(f"{path.name} has the column '{repeated[0]}' twice in its header. Keep one.")
    return header


def batches(path: Path, wanted: Collection[str], dialect: Dialect) -> Iterator[Batch]:
    """The rows of a file in bounded batches, only the `wanted` columns of its header."""
    header = header_of(path, dialect)
    positions = [position for position, name in enumerate(header) if name in wanted]
    with _told_as_bad_input(path):
        if path.name.lower().endswith(".parquet"):
            yield from parquet_batches(path, header, positions)
        elif path.name.endswith(SPOOL):
            yield from spooled_batches(path, header, positions)
        else:
            yield from delimited_batches(path, Layout(header, tuple(positions), dialect))


@contextmanager
def _told_as_bad_input(path: Path) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise BadInput(f"{path.name} is cut off or no gzip file. Deliver it again.") from None
    except OSError as error:
        raise BadInput(f"{path.name} cannot be read: {error.strerror or error}. Deliver it again.") from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        # Polars panics, which is no Exception, on some pages of a damaged Parquet file.
        cause = " ".join(str(error).split())[:200]
        raise BadInput(f"{path.name} cannot be read as Parquet: {cause}. Deliver it again.") from None
