"""A batch of delivered rows as text, whatever kind of file they came in."""

from dataclasses import dataclass

import polars as pl

BATCH_ROWS = 200_000
#: The ending of a folder that holds the rows of a query, and the file in it that tells the columns.
SPOOL = ".sql"
SPOOLED_HEADER = "header.json"
#: In place of a column: a line that is no row.
WHOLE_ROW = "(row)"
BROKEN = {"line": pl.Int64, "column": pl.String, "reason": pl.String, "raw": pl.String}


@dataclass(frozen=True)
class Batch:
    """Rows as text columns plus `line` and `raw`; `broken` lines with column, reason and raw text.

    `iso` names the columns that came as dates or instants, not as text in the dialect's format. In a batch
    that `is_trimmed` no cell has space around it, and none is an empty text or a word for nothing.
    """

    rows: pl.DataFrame
    broken: pl.DataFrame
    iso: frozenset[str] = frozenset()
    is_trimmed: bool = False
