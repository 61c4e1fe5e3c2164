"""The stored calendar: filled from the library, changed after a preview, open tickets counted anew with it."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from include.clocks.ticket_clocks import Clocks, as_stored, read_clocks
from include.config import Config
from include.database.queries import load
from include.domain import sla
from include.domain.deadline import Deadline
from include.domain.errors import BadInput, Refused
from include.domain.periods.months import ZONE
from include.domain.workdays import LIBRARY, NATIONAL, WorkCalendar, WorkDay

Q = load("clocks/calendar")


@dataclass(frozen=True)
class Change:
    """What a change of the calendar does to open tickets: the moves, by old and new deadline, and counts."""

    moves: tuple[Mapping[str, Any], ...]
    tickets: int
    earlier: int

    def deadlines(self) -> list[tuple[str, datetime, datetime, int]]:
        """Clock, old deadline, new deadline and how many clocks, earliest first; those that move only."""
        found: Counter[tuple[str, datetime, datetime]] = Counter()
        for move in self.moves:
            old, new = (datetime.fromisoformat(move[at]).astimezone(ZONE) for at in ("old_due_at", "due_at"))
            found[move["clock"], old, new] += move["clocks"] if old != new else 0
        return sorted((*key, clocks) for key, clocks in found.items() if clocks)


def fill_calendar(db: sa.Connection, config: Config, now: datetime) -> int:
    """Keep the calendar as it is until the transaction ends, after storing a year the library newly knows.

    A newly published year moves open provisional tickets; returns how many. To be called before a stage
    locks anything else: a change of the calendar waits for those that work with it, and they for it.
    """
    if _is_filled(db):
        db.execute(Q["work_with_calendar"])
        return 0
    db.execute(Q["change_calendar"])
    if _is_filled(db):
        return 0
    rows = [{**row, "date": row["date"].isoformat()} for row in _library().rows()]
    db.execute(Q["store_work_days"], {"rows": json.dumps(rows, ensure_ascii=False)})
    return _recompute(db, config, now, actor="loop", why=f"published by {LIBRARY}")


def _is_filled(db: sa.Connection) -> bool:
    last = _library().last_published_year or 0
    span = {"layer": NATIONAL, "first": date(last, 1, 1), "last": date(last, 12, 31)}
    stored = db.execute(Q["count_published_days"], span).scalar_one()
    return bool(stored == (date(last, 12, 31) - date(last, 1, 1)).days + 1)


@cache
def _library() -> WorkCalendar:
    return WorkCalendar.from_library()


def draft(
    db: sa.Connection, days: Sequence[WorkDay | tuple[str, date]], *, actor: str, now: datetime
) -> None:
    """Note days to be changed; (layer, date) takes the layer's own day away. Nothing changes before `apply`."""
    for day in days:
        layer, on = (day.layer, day.date) if isinstance(day, WorkDay) else day
        if isinstance(day, WorkDay):
            values = {"is_working": day.is_working, "name": day.name, "source": day.source}
        elif layer == NATIONAL:
            raise BadInput(
                f"{on} cannot be taken out of '{NATIONAL}', which knows every day. Set it instead."
            )
        else:
            values = {"is_working": None, "name": None, "source": actor}
        db.execute(Q["draft_day"], {"layer": layer, "date": on, "actor": actor, "now": now, **values})


def drafts(db: sa.Connection) -> Sequence[sa.Row[Any]]:
    """The days noted but not applied, beside what stands."""
    return db.execute(Q["read_drafts"]).all()


def discard(db: sa.Connection) -> None:
    """Forget the days noted but not applied."""
    db.execute(Q["clear_drafts"])


def preview(db: sa.Connection, config: Config, now: datetime) -> Change:
    """What applying the noted days would do to the open tickets; changes nothing."""
    values = {"layers": list(config.sla.every_layer), "since": date(now.year - 1, 1, 1)}
    days = (WorkDay(**row) for row in db.execute(Q["read_drafted_days"], values).mappings())
    standing = read_clocks(db, config, now)
    drafted = Clocks(config.sla, tuple(days), standing.campaign_of, standing.ancestors)
    return _change(db, drafted, now)


def apply(db: sa.Connection, config: Config, now: datetime, *, confirm: int, actor: str) -> int:
    """Put the noted days into the calendar and count the open tickets anew, an event and a notice for each.

    `confirm` is the number of tickets the preview said would move. Refused when it is another one by now,
    or nothing is noted. Returns how many moved.
    """
    db.execute(Q["change_calendar"])
    noted = drafts(db)
    if not noted:
        raise Refused("No day is noted to be changed. Note one with 'set' or 'load' first.")
    db.execute(Q["hold_tickets"])
    found = preview(db, config, now)
    if found.tickets != confirm:
        raise Refused(
            f"The change moves {found.tickets:,} tickets, not the {confirm:,} you confirmed. "
            "Look at the preview again, then confirm its number."
        )
    for statement in ("remove_days", "put_days", "clear_drafts"):
        db.execute(Q[statement])
    moved = _recompute(db, config, now, actor=actor, why=_reasons(noted))
    days = [f"{row.layer} {row.date} {_said(row.is_working)}" for row in noted]
    details = json.dumps({"days": days, "tickets": moved}, ensure_ascii=False)
    db.execute(Q["record_change"], {"now": now, "actor": actor, "details": details})
    return moved


def _reasons(noted: Sequence[sa.Row[Any]]) -> str:
    first = noted[0]
    more = f" and {len(noted) - 1} more" if len(noted) > 1 else ""
    return f"{first.layer} {first.date} {_said(first.is_working)}{more}: {first.source}"


def _said(is_working: bool | None) -> str:
    return "taken away" if is_working is None else "worked" if is_working else "rest"


def _recompute(db: sa.Connection, config: Config, now: datetime, *, actor: str, why: str) -> int:
    """Count every running clock anew by the calendar as it stands; returns how many tickets moved."""
    db.execute(Q["hold_tickets"])
    moves = _moves(db, read_clocks(db, config, now), now)
    db.execute(Q["ask_escalations_again"], {"now": now})
    if not moves:
        return 0
    values = {"moves": _as_json(moves), "now": now, "actor": actor, "why": why}
    return int(db.execute(Q["move_clocks"], values).one().moved)


def _change(db: sa.Connection, clocks: Clocks, now: datetime) -> Change:
    moves = _moves(db, clocks, now)
    if not moves:
        return Change((), 0, 0)
    counted = db.execute(Q["count_moved_tickets"], {"moves": _as_json(moves), "now": now}).one()
    return Change(tuple(moves), counted.tickets, counted.earlier)


def _as_json(moves: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(moves, ensure_ascii=False)


def _moves(db: sa.Connection, clocks: Clocks, now: datetime) -> list[dict[str, Any]]:
    """One row for each kind of running clock that the calendar gives other values: old, new, how many."""
    found = (_move(row, clocks, now) for row in db.execute(Q["find_running_clocks"], {"now": now}))
    return [move for move in found if move is not None]


def _move(row: sa.Row[Any], clocks: Clocks, now: datetime) -> dict[str, Any] | None:
    old = Deadline.from_json(row.explanation)
    frozen, paused = clocks.frozen(row.explanation), sla.rests_of(old)
    calendar = frozen.counted_by(clocks.layered(frozen.layers, frozen.closes))
    opened = calendar.closes_at(old.days[0].day)
    counted = sla.plan_deadline(opened, calendar, frozen.days, paused)
    deadline = sla.moved_deadline(counted, row.due_at, now, calendar, paused)
    warn_at = sla.warn_at(opened, calendar, frozen.days, paused, frozen.early_warning)
    stored = as_stored(frozen, deadline, warn_at)
    explanation = json.loads(stored["explanation"])
    if explanation == row.explanation and deadline.at == row.due_at and warn_at == row.warn_at:
        return None
    return {
        **stored,
        "explanation": explanation,
        "clock": row.clock,
        "old": row.explanation,
        "old_due_at": row.due_at.isoformat(),
        "was_provisional": row.is_provisional,
        "clocks": row.clocks,
    }
