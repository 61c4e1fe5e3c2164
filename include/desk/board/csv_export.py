"""Tables as CSV files that a spreadsheet opens safely: UTF-8 with BOM, no cell that begins a formula."""

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from include.desk.board.tables import CONFIGURED, SHARE, WORD, Table
from include.desk.board.wording import BoardWords
from include.domain.periods.months import ZONE
from include.domain.text.spreadsheets import harmless

_BOM = "\ufeff"


def as_csv(table: Table, words: BoardWords, last: str = "") -> str:
    """The table with a heading row; numbers and shares plain, instants in Shanghai time, text made harmless.

    `last` is a sentence for a row of its own at the end.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([harmless(words.heading(table, column)) for column in table.section.columns])
    for row in table.rows:
        writer.writerow(_cells(table, row, words))
    if last:
        writer.writerow([harmless(last)])
    return _BOM + out.getvalue()


def _cells(table: Table, row: Any, words: BoardWords) -> Iterator[str]:
    for column in table.section.columns:
        kind, value = table.section.kind_of(column, row), row[column]
        if kind.startswith(WORD) or kind in CONFIGURED or isinstance(value, str):
            yield harmless(words.value(kind, value))
        else:
            yield _plain(kind, value)


def _plain(kind: str, value: Any) -> str:
    """A figure, day or instant; a negative number is a number, no formula."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone(ZONE):%Y-%m-%d %H:%M}"
    if kind == SHARE:
        return f"{value:.4f}"
    return f"{value:.2f}" if isinstance(value, float | Decimal) else str(value)
