"""Release: every working morning each team gets what it can first-contact that day; the clocks start here."""

import json
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa

from include.config import Config
from include.database import lock
from include.domain.assignment import Caller, expected_days, share_out
from include.domain.months import ZONE
from include.domain.workdays import WorkCalendar
from include.queries import load
from include.stages.sla import clocks_from, fill_calendar, read_calendar

Q = load("release")

_HORIZON_DAYS = 60
_NOBODY = 0


def release(
    *, db: sa.Connection, config: Config, now: datetime, on_rest_days: bool = False
) -> dict[str, Any]:
    """Release what the teams can call today; on a rest day nothing, unless `on_rest_days`.

    Run twice a day it gives out no more than the day's contacts; without staff everything goes at once.
    """
    with db.begin():
        return release_within(db, config, now, on_rest_days=on_rest_days)


def release_within(
    db: sa.Connection,
    config: Config,
    now: datetime,
    *,
    on_rest_days: bool = False,
    is_unlimited: bool = False,
) -> dict[str, Any]:
    """The same inside a transaction that is open already; `is_unlimited` when no capacity is configured."""
    lock(db, "release")
    fill_calendar(db)
    calendar = read_calendar(db, config, now)
    present = [] if is_unlimited else _present(db, now)
    if present and not on_rest_days and not calendar.is_working(now):
        return _told(db, 0, "today is a rest day; tickets wait for the next working morning")
    today = now.astimezone(ZONE).date()
    pairs = _shared_out(db, present, today) if present else _everything(db, today)
    if pairs:
        clocks = clocks_from(calendar, config, now.astimezone(ZONE))
        values = {"ticket_ids": [pair[0] for pair in pairs], "staff_ids": [pair[1] for pair in pairs]}
        db.execute(
            Q["release_tickets"], values | {"now": now, "clocks": json.dumps(clocks, ensure_ascii=False)}
        )
    if present:
        _expect_later(db, calendar, present, now)
    return _told(db, len(pairs))


def _present(db: sa.Connection, now: datetime) -> Sequence[sa.Row[Any]]:
    """Everybody who can call today, with team, daily contacts and room left; empty when there is no staff."""
    starts = datetime.combine(now.astimezone(ZONE).date(), time(0), ZONE)
    return db.execute(
        Q["read_callers"], {"day_starts_at": starts, "day_ends_at": starts + timedelta(days=1)}
    ).all()


def _everything(db: sa.Connection, today: date) -> list[tuple[int, int]]:
    return [(row.ticket_id, _NOBODY) for row in db.execute(Q["find_all_waiting"], {"today": today})]


def _shared_out(db: sa.Connection, present: Sequence[sa.Row[Any]], today: date) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    for team in sorted({row.team for row in present}):
        callers = [Caller(row.staff_id, row.room) for row in present if row.team == team]
        values = {"team": team, "room": sum(caller.room for caller in callers), "today": today}
        tickets = [row.ticket_id for row in db.execute(Q["find_waiting"], values)]
        pairs += share_out(tickets, callers)
    return pairs


def _expect_later(
    db: sa.Connection, calendar: WorkCalendar, present: Sequence[sa.Row[Any]], now: datetime
) -> None:
    rows = db.execute(Q["find_waiting_by_team"]).all()
    if not rows:
        return
    per_day: dict[str, int] = {}
    for row in present:
        per_day[row.team] = per_day.get(row.team, 0) + row.contacts_per_day
    today = now.astimezone(ZONE).date()
    span = [today + timedelta(days=ahead) for ahead in range(1, _HORIZON_DAYS)]
    days = expected_days(
        [row.team for row in rows], per_day, [day for day in span if calendar.is_working(day)]
    )
    db.execute(Q["expect_later"], {"ticket_ids": [row.ticket_id for row in rows], "days": days})


def _told(db: sa.Connection, released: int, message: str | None = None) -> dict[str, Any]:
    waiting = {row.team: row.waiting for row in db.execute(Q["count_waiting"])}
    told: dict[str, Any] = {
        "stage": "release",
        "rows_in": released + sum(waiting.values()),
        "rows_out": released,
        "released": released,
        "waiting": waiting,
    }
    return told | ({"message": message} if message else {})
