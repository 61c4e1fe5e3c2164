"""What a step read, handed on and put aside, in rows: counted once, and added up the same way everywhere."""

from collections.abc import Iterable
from typing import TypedDict


class RowCounts(TypedDict):
    """Rows that came in, went out, and were put aside for breaking their contract."""

    rows_in: int
    rows_out: int
    quarantined: int


def added(counts: Iterable[RowCounts]) -> RowCounts:
    """The rows of several steps together; zeros for none."""
    total = RowCounts(rows_in=0, rows_out=0, quarantined=0)
    for each in counts:
        total["rows_in"] += each["rows_in"]
        total["rows_out"] += each["rows_out"]
        total["quarantined"] += each["quarantined"]
    return total
