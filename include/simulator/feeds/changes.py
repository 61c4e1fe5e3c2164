"""The day feeds: subscriber_changes (joined, port-out, left, plan change) and contact_limits."""

import numpy as np
import polars as pl

from include.simulator.draws import Bools, Draws, Ints
from include.simulator.population.leaving import PORT_OUT, SILENT, Opening
from include.simulator.population.people import People
from include.simulator.province import days_in, first_day

KINDS = ("joined", "port_out_query", "port_out_applied", "left", "plan_change")
LIMIT_KINDS = ("refused", "do_not_disturb", "red_list", "contacted_elsewhere")
_LIMIT_WEIGHTS = [30.0, 25, 3, 42]
_LIMIT_SOURCES = ("hotline", "app", "campaign", "store")
_STOCK = 0.03
_NEW_LIMITS = 0.008
_STRAY_QUERIES = 0.0015


def changes_frame(draws: Draws, people: People, opening: Opening) -> pl.DataFrame:
    """One row per change of the month: row, day, occurred_at (seconds of local time), kind."""
    month = opening.month
    parts = {
        "joined": _joined(people, month),
        "port_out_query": _queries(draws, opening),
        "port_out_applied": _applications(draws, opening),
        "left": _left(opening),
        "plan_change": _plan_changes(opening),
    }
    frames = [_timed(draws, kind, month, row, day) for kind, (row, day) in parts.items()]
    return pl.concat(frames).sort("day", "occurred_at", "row")


def _timed(draws: Draws, kind: str, month: int, row: Ints, day: Ints) -> pl.DataFrame:
    """Changes happen between 08:30 and 20:30, an application before the leaving it leads to."""
    start, hours = {"port_out_query": (8.5, 4.0), "port_out_applied": (9.0, 4.0)}.get(kind, (13.5, 7.0))
    time = (3600 * (start + hours * draws.uniform(f"time/{kind}", month, row))).astype(np.int64)
    return pl.DataFrame(
        {"row": row, "day": day, "occurred_at": day * 86_400 + time, "kind": [kind] * len(row)},
        schema={"row": pl.Int64, "day": pl.Int64, "occurred_at": pl.Int64, "kind": pl.String},
    )


def _joined(people: People, month: int) -> tuple[Ints, Ints]:
    row = np.flatnonzero(people.arrives == month).astype(np.int64)
    return row, people.joined[row]


def _left(opening: Opening) -> tuple[Ints, Ints]:
    row = np.flatnonzero(opening.leaves & (opening.way != SILENT)).astype(np.int64)
    return row, opening.gone_on[row]


def _wavering(draws: Draws, opening: Opening, purpose: str, share: float, days: int) -> tuple[Ints, Ints]:
    """Some of those about to port out give a sign up to `days` before it, never before the month began."""
    row = np.flatnonzero((opening.intends_on > 0) & (opening.way == PORT_OUT)).astype(np.int64)
    row = row[draws.uniform(purpose, opening.month, row) < share]
    back = (draws.uniform(purpose + "/days", opening.month, row) * (days + 1)).astype(np.int64)
    day = np.maximum(opening.intends_on[row] - back, first_day(opening.month))
    kept = (day >= opening.wavers_from[row]) & (day <= opening.wavers_until[row])
    return row[kept], day[kept]


def _applications(draws: Draws, opening: Opening) -> tuple[Ints, Ints]:
    return _wavering(draws, opening, "applied", 0.9, 3)


def _queries(draws: Draws, opening: Opening) -> tuple[Ints, Ints]:
    """Queries of those about to leave, and of others who only look."""
    row, day = _wavering(draws, opening, "queried", 0.6, 12)
    present = np.flatnonzero(opening.present).astype(np.int64)
    stray = present[draws.uniform("stray_query", opening.month, present) < _STRAY_QUERIES]
    stray = stray[~np.isin(stray, row)]
    on = first_day(opening.month) + (
        draws.uniform("stray_query/day", opening.month, stray) * days_in(opening.month)
    ).astype(np.int64)
    kept = _still_there(opening, stray, on)
    return np.concatenate([row, stray[kept]]), np.concatenate([day, on[kept]])


def _plan_changes(opening: Opening) -> tuple[Ints, Ints]:
    row = np.flatnonzero(opening.plan_change_on > 0).astype(np.int64)
    day = opening.plan_change_on[row]
    kept = _still_there(opening, row, day)
    return row[kept], day[kept]


def _still_there(opening: Opening, row: Ints, day: Ints) -> Bools:
    gone_on = opening.gone_on[row]
    return np.asarray((gone_on == 0) | (day < gone_on))


def limits_frame(draws: Draws, opening: Opening, stock: bool) -> pl.DataFrame:
    """New limits of the month: row, day, kind, valid_to (0 = for good), source; `stock` adds the old ones."""
    month = opening.month
    row = np.flatnonzero(opening.present).astype(np.int64)
    new = row[draws.uniform("limit", month, row) < _NEW_LIMITS]
    day = first_day(month) + (draws.uniform("limit/day", month, new) * days_in(month)).astype(np.int64)
    kept = _still_there(opening, new, day)
    frames = [_limits(draws, month, new[kept], day[kept])]
    if stock:
        old = row[draws.uniform("limit/stock", 0, row) < _STOCK]
        old = old[~np.isin(old, new)]
        frames.insert(0, _limits(draws, month, old, np.full(len(old), first_day(month), dtype=np.int64)))
    return pl.concat(frames).sort("day", "row")


def _limits(draws: Draws, month: int, row: Ints, day: Ints) -> pl.DataFrame:
    kind = draws.pick("limit/kind", month, row, _LIMIT_WEIGHTS)
    source = (draws.uniform("limit/source", month, row) * len(_LIMIT_SOURCES)).astype(np.int64)
    return pl.DataFrame(
        {
            "row": row,
            "day": day,
            "kind": [LIMIT_KINDS[index] for index in kind],
            "valid_to": np.where(kind == 3, day + 30, np.where(kind == 1, day + 365, 0)),
            "source": [_LIMIT_SOURCES[index] for index in source],
        },
        schema={
            "row": pl.Int64,
            "day": pl.Int64,
            "kind": pl.String,
            "valid_to": pl.Int64,
            "source": pl.String,
        },
    )
