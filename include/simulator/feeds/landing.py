"""Writes deliveries below DIR/landing as the contract wants them, one part file per block."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from include.simulator.draws import Draws
from include.simulator.feeds.contract import COLUMNS
from include.simulator.feeds.dirt import Count, Rows, soil
from include.simulator.province import first_day, month_named


@dataclass
class Landing:
    """The landing folder of one run: which feeds are missing on purpose, how dirty the others are.

    Day feeds of months before `days_from` (an ordinal) come whole, as an operator loads what lies behind.
    """

    folder: Path
    missing: frozenset[str] = frozenset()
    dirt: float = 0.0
    days_from: int = 0
    counts: list[Count] = field(default_factory=list)

    def deliver_month(self, draws: Draws, block: int, rows: Rows) -> None:
        """Write one block's part of a month delivery."""
        self._deliver(draws, block, rows, "month", month_named(rows.month))

    def deliver_days(self, draws: Draws, block: int, rows: Rows, days: int) -> None:
        """Write one block's part of the first `days` day deliveries of a month; quiet days hold a header.

        Of a month before `days_from` it is part of one month delivery.
        """
        if rows.month < self.days_from:
            self.deliver_month(draws, block, rows)
            return
        for day, of_day in _by_day(rows.frame, first_day(rows.month), days):
            self._deliver(draws, block, replace(rows, frame=of_day), "day", day)

    def mark_complete(self, feed: str, month: int) -> None:
        """Lay the empty marker beside a month's files: everything of it is there."""
        if feed not in self.missing:
            (self._folder(feed, "month", month_named(month)) / "_COMPLETE").touch()

    def _folder(self, feed: str, unit: str, period: str) -> Path:
        folder = self.folder / feed / f"{unit}={period}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _deliver(self, draws: Draws, block: int, rows: Rows, unit: str, period: str) -> None:
        if rows.feed in self.missing:
            return
        delivered, counts = soil(draws, rows, period, self.dirt)
        self.counts += counts
        path = self._folder(rows.feed, unit, period) / f"part-{block:04d}.csv"
        delivered.select(COLUMNS[rows.feed]).write_csv(path, float_precision=2)


def _by_day(frame: pl.DataFrame, start: int, days: int) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rows of each day; `frame` is sorted by `day`."""
    edges = np.searchsorted(frame["day"].to_numpy(), np.arange(start, start + days + 1))
    names = pl.Series(np.arange(start, start + days, dtype=np.int32)).cast(pl.Date).cast(pl.String)
    for number, name in enumerate(names):
        yield name, frame[int(edges[number]) : int(edges[number + 1])]
