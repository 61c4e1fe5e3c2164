"""Who is seen in a month, and from which day until which."""

from dataclasses import dataclass

import numpy as np

from include.simulator.draws import Bools, Floats, Ints
from include.simulator.population.leaving import SILENT, Opening
from include.simulator.population.people import People
from include.simulator.population.state import State
from include.simulator.province import first_day

_SILENT_DAYS = 2


@dataclass(frozen=True)
class Presence:
    """One entry per subscriber seen in the month; `gone_on` is 0 for those who stay, days are day numbers."""

    month: int
    row: Ints
    since: Ints
    until: Ints
    gone_on: Ints
    way: Ints

    @property
    def share(self) -> Floats:
        """Share of the month's days each was there."""
        return (self.until - self.since + 1) / (first_day(self.month + 1) - first_day(self.month))

    @property
    def stays(self) -> Bools:
        """Who is still there at the end of the month."""
        return np.asarray(self.gone_on == 0)


def presence_in(people: People, state: State, opening: Opening) -> Presence:
    """Presence in the month of `opening`, once its joiners have arrived in `state`."""
    old, rows = len(opening.gone_on), len(state.gone)
    fresh = np.zeros(rows - old, dtype=np.int64)
    row = np.flatnonzero(~state.gone).astype(np.int64)
    gone_on = np.concatenate([opening.gone_on, fresh])[row]
    way = np.concatenate([opening.way, fresh])[row]
    start, end = first_day(opening.month), first_day(opening.month + 1) - 1
    until = np.where(gone_on > 0, gone_on, end)
    quiet = (gone_on > 0) & (way == SILENT)
    return Presence(
        month=opening.month,
        row=row,
        since=np.maximum(people.joined[row], start),
        until=np.where(quiet, start + _SILENT_DAYS - 1, until),
        gone_on=gone_on,
        way=np.where(gone_on > 0, way, 0),
    )
