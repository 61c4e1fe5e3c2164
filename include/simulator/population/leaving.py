"""The dated facts that the beginning of a month decides: who leaves on which day and why, who changes plan.

All of it hangs on the month before alone: the first days can be delivered before the month is lived.
"""

from dataclasses import dataclass

import numpy as np

from include.simulator.draws import Bools, Draws, Floats, Ints
from include.simulator.population.people import People
from include.simulator.population.reasons import COMPETITION, MISMATCH, PRICE, hazards, main_reason, strength
from include.simulator.population.treatment import Treatments, multipliers
from include.simulator.province import days_in, first_day

STAYS = 0
PORT_OUT, CLOSED, SILENT = 1, 2, 3
WAYS = ("", "port_out", "closed", "silent")

_NEVER = 2**31


@dataclass(frozen=True)
class Opening:
    """One entry per subscriber who arrived before the month; days are day numbers, 0 for never.

    `intends_on` is the day somebody leaves or would have left; the signs of it fall from `wavers_from` on
    (contact itself drove them) up to `wavers_until` (contact held them, or they are gone).
    """

    month: int
    present: Bools
    reason: Ints
    hazard: Floats
    hazard_untreated: Floats
    way: Ints
    gone_on: Ints
    left_untreated: Bools
    intends_on: Ints
    wavers_until: Ints
    wavers_from: Ints
    plan_change_on: Ints
    plan_step: Ints

    @property
    def leaves(self) -> Bools:
        """Who leaves within the month."""
        return self.gone_on > 0


@dataclass(frozen=True)
class Eve:
    """What stands at the end of a month, per subscriber: pressures, who is there, on which plan."""

    pressure: Floats
    present: Bools
    plan: Ints


def open_month(draws: Draws, people: People, eve: Eve, treatments: Treatments | None, month: int) -> Opening:
    """Decide a month from the `eve` of the one before, and the `treatments` of its cycle."""
    pressure, present = eve.pressure, eve.present
    row = people.row[: len(pressure)]
    untreated = hazards(draws, people, pressure, month)
    way, day = _ways_and_days(draws, pressure, row, month)
    reason = main_reason(pressure)
    factor, contacted = _treated(treatments, reason, len(row), first_day(month + 1))
    chance = draws.uniform("leave", month, row)
    would = present & (chance < untreated)
    hazard = np.minimum(untreated * factor, 0.98)
    leaves = np.where(day <= contacted, would, present & (chance < hazard))
    change_on, step = _plan_changes(draws, pressure, row, eve.plan, month)
    return Opening(
        month=month,
        present=present,
        reason=reason,
        hazard=hazard,
        hazard_untreated=untreated,
        way=np.where(would | leaves, way, STAYS),
        gone_on=np.where(leaves, day, 0),
        left_untreated=would,
        intends_on=np.where(would | leaves, day, 0),
        wavers_until=np.where(would & ~leaves, contacted, np.where(leaves, day, 0)),
        wavers_from=np.where(leaves & ~would, contacted + 1, 0),
        plan_change_on=np.where(present, change_on, 0),
        plan_step=step,
    )


def _ways_and_days(draws: Draws, pressure: Floats, row: Ints, month: int) -> tuple[Ints, Ints]:
    """How and on which day each would leave; a silent one counts as gone on the last day of the month."""
    porting = 0.45 + 0.3 * strength(pressure)[:, COMPETITION]
    share = draws.uniform("way", month, row)
    way = np.select([share < porting, share < porting + 0.17], [PORT_OUT, SILENT], CLOSED)
    length = days_in(month)
    day = first_day(month) + (draws.uniform("day", month, row) * length).astype(np.int64)
    return way.astype(np.int64), np.where(way == SILENT, first_day(month) + length - 1, day)


def _treated(treatments: Treatments | None, reason: Ints, rows: int, end: int) -> tuple[Floats, Ints]:
    """Factor on the hazard and day of contact per row; 1 and never for those not contacted before `end`."""
    factor = np.ones(rows)
    contacted = np.full(rows, _NEVER, dtype=np.int64)
    if treatments is not None and len(treatments.row):
        in_time = treatments.contacted < end
        factor[treatments.row] = np.where(in_time, multipliers(treatments, reason), 1.0)
        contacted[treatments.row] = np.where(in_time, treatments.contacted, _NEVER)
    return factor, contacted


def _plan_changes(draws: Draws, pressure: Floats, row: Ints, plan: Ints, month: int) -> tuple[Ints, Ints]:
    """Day of a plan change (0 for none) and its step: up for those who outgrew it, down for the thrifty."""
    force = strength(pressure)
    chance = 0.006 + 0.05 * force[:, MISMATCH] + 0.03 * force[:, PRICE]
    changes = draws.uniform("plan_change", month, row) < chance
    up = force[:, MISMATCH] + 0.3 * (draws.uniform("plan_up", month, row) - 0.3) > force[:, PRICE]
    step = np.where(up, 1, -1)
    possible = changes & (plan + step >= 0) & (plan + step <= 10)
    share = draws.uniform("plan_day", month, row)
    day = first_day(month) + (share * days_in(month)).astype(np.int64)
    return np.where(possible, day, 0), step
