"""The service clocks at work: the stored calendar, and the tick that stamps warnings and breaches once."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from include.config import Config
from include.database import lock
from include.domain import sla
from include.domain.deadline import Deadline
from include.domain.workdays import NATIONAL, PROVISIONAL, WorkCalendar
from include.queries import load

Q = load("sla")


def read_calendar(db: sa.Connection, config: Config, now: datetime) -> WorkCalendar:
    """The working calendar as stored, from the year before `now` on; to be called inside a transaction."""
    values = {"layers": list(config.sla.layers), "since": date(now.year - 1, 1, 1)}
    rows = db.execute(Q["read_work_days"], values)
    return WorkCalendar.from_rows(rows.mappings().all(), config.sla.layers, config.sla.closes)


def fill_calendar(db: sa.Connection) -> None:
    """Store the library's days where the stored calendar does not reach that far yet, or only provisionally."""
    library = _library()
    last = db.execute(Q["last_published_day"], {"layer": NATIONAL}).scalar()
    if last is None or last < _last_published_day(library):
        rows = [{**row, "date": row["date"].isoformat()} for row in library.rows()]
        db.execute(Q["store_work_days"], {"rows": json.dumps(rows, ensure_ascii=False)})


@cache
def _library() -> WorkCalendar:
    return WorkCalendar.from_library()


def _last_published_day(calendar: WorkCalendar) -> date:
    return max(row.date for row in calendar.given if row.source != PROVISIONAL)


def clocks_from(calendar: WorkCalendar, config: Config, started_at: datetime) -> list[dict[str, Any]]:
    """Both clocks of a ticket released at `started_at`, as JSON rows to store."""
    rules = config.sla
    first = calendar.due_on(started_at, rules.contact_days)
    warn_at = sla.warn_at(started_at, calendar, rules.contact_days, (), rules.early_warning)
    clocks = {"first_contact": _stored(first, warn_at), "plan": plan_clock(calendar, config, started_at)}
    return [
        {**stored, "clock": name, "explanation": json.loads(stored["explanation"])}
        for name, stored in clocks.items()
    ]


def plan_clock(
    calendar: WorkCalendar, config: Config, started_at: datetime, paused: Sequence[sla.Pause] = ()
) -> dict[str, Any]:
    """The plan clock's stored values: warn_at, due_at, is_provisional and the explanation."""
    rules = config.sla
    deadline = sla.plan_deadline(started_at, calendar, rules.plan_days, paused)
    return _stored(deadline, sla.warn_at(started_at, calendar, rules.plan_days, paused, rules.early_warning))


def _stored(deadline: Deadline, warn_at: datetime) -> dict[str, Any]:
    return {
        "warn_at": warn_at.isoformat(),
        "due_at": deadline.at.isoformat(),
        "is_provisional": deadline.is_provisional,
        "explanation": json.dumps(deadline.to_json(), ensure_ascii=False),
    }


def watch(*, db: sa.Connection, config: Config, now: datetime) -> dict[str, Any]:
    """One tick: warn, breach and escalate what is due at `now`, each exactly once; leave a heartbeat.

    Reads only stored deadlines, so it costs what changes, and after an outage it catches up in one tick.
    """
    with db.begin():
        lock(db, "watch_sla")
        fill_calendar(db)
        breached = db.execute(Q["breach_clocks"], {"now": now}).scalar_one()
        warned = db.execute(Q["warn_clocks"], {"now": now}).scalar_one()
        escalated = _escalate(db, config, now)
        facts = {"warned": warned, "breached": breached, "escalated": escalated}
        db.execute(Q["beat"], {"name": "watch_sla", "now": now, "facts": json.dumps(facts)})
    return {"stage": "sla", "rows_in": warned + breached, "rows_out": warned + breached + escalated, **facts}


def _escalate(db: sa.Connection, config: Config, now: datetime) -> int:
    open_breaches = db.execute(Q["find_breach_days"]).all()
    if not open_breaches:
        return 0
    calendar = read_calendar(db, config, now)
    levels = []
    for row in open_breaches:
        due = sla.escalation_due(row.breached_at, now, calendar, row.escalated_to)
        if due is not None:
            given = {"breached_at": row.breached_at.isoformat(), "escalated_to": row.escalated_to}
            levels.append(given | {"level": due.level})
    if not levels:
        return 0
    return int(db.execute(Q["escalate_clocks"], {"levels": json.dumps(levels), "now": now}).scalar_one())
