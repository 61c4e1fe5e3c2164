"""The CSV files people write: in the encoding and with the separator their spreadsheet chose, each line numbered."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from include.domain.errors import BadInput
from include.domain.text.typed import bare

_SEPARATORS = ",;\t|"
# A file in GBK is hardly ever UTF-8 by chance; GB18030 reads all of GBK.
_ENCODINGS = ("utf-8-sig", "gb18030")


@dataclass(frozen=True)
class CsvFile:
    """A file's columns and its rows, each with the line it ends on; `encoding` is what its bytes were taken for."""

    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]
    encoding: str

    @property
    def note(self) -> str:
        """What to tell of an encoding that was found out; empty for UTF-8."""
        return "" if self.encoding == "utf-8" else f"The file was read as {self.encoding.upper()}."


def read_csv(path: Path) -> CsvFile:
    """The file as written, blank lines left out; BadInput with file, line and cure for what cannot be read."""
    text, encoding = _decoded(path)
    rows = list(_numbered(path.name, text))
    columns = tuple(bare(cell).lower() for cell in rows[0][1]) if rows else ()
    while columns and not columns[-1]:
        columns = columns[:-1]  # spreadsheets keep columns that once held something
    if doubled := {name for name in columns if columns.count(name) > 1}:
        raise BadInput(f"{path.name} has the column '{min(doubled)}' twice. Keep one of them.")
    found = ((line, _row(path.name, line, columns, cells)) for line, cells in rows[1:])
    return CsvFile(columns, tuple((line, row) for line, row in found if any(row.values())), encoding)


def _decoded(path: Path) -> tuple[str, str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}. Give a CSV file.") from error
    for encoding in ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else _ENCODINGS:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text, encoding.removesuffix("-sig")
    raise BadInput(f"{path.name} is neither text in UTF-8 nor in GBK. Save it as CSV UTF-8.")


def _numbered(file: str, text: str) -> Iterator[tuple[int, list[str]]]:
    """The lines as cells, split where the header is; nothing for blank lines."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(_SEPARATORS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise BadInput(f"{file}, line {reader.line_num}: {error}. Mend its quotes.") from error


def _row(file: str, line: int, columns: tuple[str, ...], cells: list[str]) -> dict[str, str]:
    if any(cell.strip() for cell in cells[len(columns) :]):
        raise BadInput(f"{file}, line {line} has more cells than the header has columns. Mend it.")
    padded = [cell.strip() for cell in cells] + [""] * len(columns)
    return dict(zip(columns, padded, strict=False))
