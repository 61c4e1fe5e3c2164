"""Delimited text files as batches of text rows with their line numbers; lines that are no row are put aside."""

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl

from include.config.readers.dialects import Dialect
from include.domain.errors import BadInput
from include.stages.collection.reader.batch import BROKEN, WHOLE_ROW, Batch

BLOCK_BYTES = 16 << 20
LONGEST_LINE = 16 << 20
# A quoted text may run over this many lines; beyond, its quote counts as never closed.
LONGEST_RECORD_LINES = 100
_NO_TEXT = b"\x1f"
# what Unicode calls space, of ASCII, but the line feed
_SPACE = (b" ", b"\t", b"\r", b"\x0b", b"\x0c")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Layout:
    """What the lines of a file are read with: its header, the wanted positions in it, the dialect."""

    header: tuple[str, ...]
    positions: tuple[int, ...]
    dialect: Dialect

    @property
    def names(self) -> list[str]:
        return [self.header[position] for position in self.positions]


def delimited_header(path: Path, dialect: Dialect) -> list[str]:
    """The columns of a file as its first line names them; BadInput when that is no usable header."""
    with _opened(path) as stream:
        return _header(stream, path, dialect)


def _opened(path: Path) -> BinaryIO:
    if path.name.lower().endswith(".gz"):
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")


def _header(stream: BinaryIO, path: Path, dialect: Dialect) -> list[str]:
    encoding = dialect.encoding.upper()
    line = stream.readline(LONGEST_LINE).removeprefix(_BYTE_ORDER_MARK)
    if line.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadInput(f"{path.name} is UTF-16. Deliver it as {encoding}.")
    if len(line) == LONGEST_LINE:
        raise BadInput(f"{path.name} has a header longer than {LONGEST_LINE >> 20} MB. Deliver it again.")
    if not line.strip():
        raise BadInput(f"{path.name} has no header in its first line. Deliver it with one.")
    try:
        text = line.decode(dialect.encoding).removeprefix("\ufeff").strip("\r\n")
        if "\0" in text:
            raise BadInput(f"{path.name} has a NUL byte in its header. Deliver it as {encoding} text.")
        return next(csv.reader([text], strict=True, delimiter=dialect.separator))
    except UnicodeDecodeError:
        raise BadInput(
            f"{path.name} has a header that is not {encoding}. Deliver it so, or name its encoding in the "
            "dialect of the feed in sources.yaml."
        ) from None
    except csv.Error as error:
        raise BadInput(f"{path.name} has a header that is not CSV: {error}. Deliver it again.") from None


def delimited_batches(path: Path, layout: Layout) -> Iterator[Batch]:
    """The rows of a file block by block; BadInput when it has no usable header, or a line without end."""
    with _opened(path) as stream:
        _header(stream, path, layout.dialect)
        line, carried, is_last = 2, b"", False
        while not is_last:
            data = stream.read(BLOCK_BYTES)
            is_last = not data
            block = carried + data
            if is_last and block and not block.endswith(b"\n"):
                block += b"\n"
            # No byte of a character in any of the encodings is a line feed.
            end = block.rfind(b"\n") + 1
            if len(block) - end > LONGEST_LINE:
                longest = f"{LONGEST_LINE >> 20} MB"
                raise BadInput(f"{path.name} has a line longer than {longest}. Deliver it again.")
            batch, rest = _parsed(block[:end], line, layout, is_last)
            line += block.count(b"\n", 0, end) - rest.count(b"\n")
            carried = rest + block[end:]
            yield batch


def _parsed(block: bytes, line: int, layout: Layout, is_last: bool) -> tuple[Batch, bytes]:
    """The rows of whole lines, and the lines at the end whose last quote may still be closed."""
    rows = _parsed_at_once(block, line, layout)
    if rows is not None:
        return Batch(rows, pl.DataFrame(schema=BROKEN), is_trimmed=_is_trimmed(block)), b""
    return _parsed_by_line(block, line, layout, is_last)


def _parsed_at_once(block: bytes, line: int, layout: Layout) -> pl.DataFrame | None:
    """A block without quotes whose every line has the right number of fields; None for any other block."""
    height, dialect = block.count(b"\n"), layout.dialect
    if not height or b'"' in block or b"\0" in block:
        return None
    try:
        text = block.decode(dialect.encoding)
        # Polars would swallow a byte order mark that stands here as text: this is not the file's start.
        if text.startswith("\ufeff"):
            return None
        content = block if dialect.encoding == "utf-8" else text.encode()
        raw = _whole_lines(content, text)
        regular = raw.str.count_matches(dialect.separator, literal=True) == len(layout.header) - 1
        if raw.len() != height or not regular.all():
            return None
        if len(layout.header) == 1 and (raw.str.strip_chars() == "").any():
            return None
        rows = pl.read_csv(
            content,
            separator=dialect.separator,
            has_header=False,
            infer_schema=False,
            quote_char=None,
            columns=list(layout.positions),
            null_values=[word for word in dialect.nulls if word],
        )
    except (UnicodeDecodeError, pl.exceptions.PolarsError):
        return None
    if rows.height != height:
        return None
    rows.columns = layout.names
    return rows.with_columns(raw, line=pl.int_range(line, line + height, dtype=pl.Int64))


def _whole_lines(content: bytes, text: str) -> pl.Series:
    """The lines of a block as they came, without their ends."""
    if _NO_TEXT in content:
        return pl.Series("raw", text.split("\n")[:-1], dtype=pl.String).str.strip_suffix("\r")
    # a CSV of one column: in a fifth of the time of a list of texts
    lines = pl.read_csv(
        content, separator=_NO_TEXT.decode(), has_header=False, infer_schema=False, quote_char=None
    )
    return lines.to_series().fill_null("").str.strip_suffix("\r").alias("raw")


def _is_trimmed(block: bytes) -> bool:
    """Whether nothing in a block can be space at a cell's edge: plain ASCII with line ends alone."""
    return block.isascii() and not any(sign in block for sign in _SPACE)


def _parsed_by_line(block: bytes, line: int, layout: Layout, is_last: bool) -> tuple[Batch, bytes]:
    lines = block.split(b"\n")[:-1]
    encoding, width = layout.dialect.encoding, len(layout.header)
    rows: list[tuple[object, ...]] = []
    broken: list[tuple[int, str, str, str]] = []
    at = 0
    while at < len(lines):
        fields, reason, taken = _record(lines[at : at + LONGEST_RECORD_LINES], layout.dialect)
        if reason is _UNCLOSED and not is_last and at + LONGEST_RECORD_LINES > len(lines):
            break
        raw = b"\n".join(lines[at : at + taken]).removesuffix(b"\r").decode(encoding, "backslashreplace")
        if fields is not None and len(fields) != width:
            reason = f"has {'more' if len(fields) > width else 'fewer'} fields than the header"
        if reason:
            broken.append((line + at, WHOLE_ROW, reason, raw))
        elif fields:
            rows.append((*(fields[position] for position in layout.positions), line + at, raw))
        at += taken
    schema = {**dict.fromkeys(layout.names, pl.String), "line": pl.Int64, "raw": pl.String}
    batch = Batch(
        pl.DataFrame(rows, schema=schema, orient="row"), pl.DataFrame(broken, schema=BROKEN, orient="row")
    )
    return batch, b"".join(rest + b"\n" for rest in lines[at:])


_UNCLOSED = "has a quote that is never closed"


def _record(lines: list[bytes], dialect: Dialect) -> tuple[list[str] | None, str | None, int]:
    """Fields, or the reason there are none, and the lines taken; neither for a blank line.

    After an unclosed quote only its first line is given up, so that the rows behind it are not lost.
    """
    first = lines[0]
    if not first.strip():
        return None, None, 1
    if b'"' not in first:
        return *_split(first.removesuffix(b"\r"), dialect), 1
    for taken in range(1, len(lines) + 1):
        if taken > 1 and b'"' not in lines[taken - 1]:
            continue
        fields, reason = _split(b"\n".join(lines[:taken]).removesuffix(b"\r"), dialect)
        if reason is not _UNCLOSED:
            return fields, reason, taken if fields else 1
    return None, _UNCLOSED, 1


def _split(record: bytes, dialect: Dialect) -> tuple[list[str] | None, str | None]:
    try:
        text = record.decode(dialect.encoding)
    except UnicodeDecodeError:
        return None, f"is not {dialect.encoding.upper()}"
    if "\0" in text:
        return None, "holds a NUL byte"
    if '"' not in text:
        return text.split(dialect.separator), None
    try:
        pieces = (part + "\n" for part in text.split("\n"))
        return next(csv.reader(pieces, strict=True, delimiter=dialect.separator)), None
    except csv.Error as error:
        return None, _UNCLOSED if "unexpected end" in str(error) else "has a quote in the wrong place"
