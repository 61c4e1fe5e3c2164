"""The tick of the service clocks: warnings, breaches and escalations, each stamped and told exactly once."""

import json
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa

from include.clocks import stops
from include.clocks.calendar import fill_calendar
from include.clocks.ticket_clocks import Clocks, read_clocks
from include.config import Config
from include.database import lock
from include.database.queries import load
from include.domain import sla
from include.domain.periods.months import ZONE
from include.run.results import Counts

Q = load("stages/sla")


class Watched(Counts):
    """What a tick stamped and told; moved: clocks the calendar moved, rested: clocks a stop held up."""

    warned: int
    breached: int
    escalated: int
    overdue: int
    moved: int
    rested: int


def watch(*, db: sa.Connection, config: Config, now: datetime) -> Watched:
    """One tick: warn, breach and escalate what is due at `now`, each exactly once; leave a heartbeat.

    Reads only stored deadlines, so it costs what changes, and after an outage it catches up in one tick. While
    outbound is stopped the clocks of what is stopped rest; once that is lifted they go on, later by its days.
    """
    with db.begin():
        moved = fill_calendar(db, config, now)
        lock(db, "watch_sla")
        rested = stops.rest(db, config, now)
        breached = db.execute(Q["breach_clocks"], {"now": now}).scalar_one()
        warned = db.execute(Q["warn_clocks"], {"now": now}).scalar_one()
        escalated = _escalate(db, config, now)
        overdue = int(db.execute(Q["notice_overdue_tasks"], {"now": now}).scalar_one())
        facts = {
            "warned": warned, "breached": breached, "escalated": escalated, "overdue": overdue, "moved": moved,
            "rested": rested,
        }  # fmt: skip
        beat(db, "watch_sla", now, facts)
    counts = {"stage": "sla", "rows_in": warned + breached, "rows_out": warned + breached + escalated}
    return cast(Watched, {**counts, **facts})


def beat(db: sa.Connection, name: str, now: datetime, facts: dict[str, Any]) -> None:
    """Leave the heartbeat of a watcher: when it last finished, and what it did."""
    db.execute(Q["beat"], {"name": name, "now": now, "facts": json.dumps(facts)})


def _escalate(db: sa.Connection, config: Config, now: datetime) -> int:
    """Raise every breach whose next level is due; the calendar judges kinds of breaches, not tickets."""
    due = db.execute(Q["find_due_escalations"], {"now": now}).all()
    if not due:
        return 0
    clocks = read_clocks(db, config, now)
    levels = json.dumps([_level(row, clocks, now) for row in due])
    return int(db.execute(Q["escalate_clocks"], {"levels": levels, "now": now}).scalar_one())


def _level(row: sa.Row[Any], clocks: Clocks, now: datetime) -> dict[str, Any]:
    """The highest level due for one kind of breach, and when the one above it will be."""
    layers = tuple(row.layers or clocks.config.layers)
    calendar = clocks.layered(layers, row.breached_at.astimezone(ZONE).time())
    due = sla.escalation_due(row.breached_at, now, calendar, row.escalated_to)
    level = row.escalated_to if due is None else due.level
    following = sla.next_escalation_at(row.breached_at, calendar, level)
    return {
        "breached_at": row.breached_at.isoformat(),
        "escalated_to": row.escalated_to,
        "layers": row.layers,
        "level": level,
        "escalate_at": following.isoformat() if following else None,
    }
