"""Release: every working morning each team gets what it can first-contact that day; the clocks start here."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any

import sqlalchemy as sa

from include.config import Config
from include.database import lock
from include.domain.assignment import expected_days
from include.domain.months import ZONE
from include.domain.sharing import Caller, Waiting, share_out
from include.queries import load
from include.stages.calendar import fill_calendar
from include.stages.capacity import read_capacity
from include.stages.clocks import Clocks, read_clocks

Q = load("release")

_NOBODY = 0


def release(
    *, db: sa.Connection, config: Config, now: datetime, on_rest_days: bool = False
) -> dict[str, Any]:
    """Release what the teams can call today; on a rest day nothing, unless `on_rest_days`.

    A ticket goes to the least loaded of the team who serves its branch or region and has its skill; one that
    nobody of the team fits goes to the team's queue. On a rest day those on the roster still get theirs.
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
    fill_calendar(db, config, now)
    lock(db, "release")
    clocks = read_clocks(db, config, now)
    today = _today(now) | {"teams_at_rest": [] if on_rest_days else _at_rest(clocks, config, now)}
    agents = [] if is_unlimited else db.execute(Q["read_callers"], today).all()
    if agents and today["teams_at_rest"] and not any(row.contacts for row in agents):
        return _told(db, [], "today is a rest day; tickets wait for the next working morning")
    pairs = _shared_out(db, agents, today) if agents else _everything(db, today)
    if pairs:
        _hand_out(db, clocks, pairs, now)
    if agents:
        _expect_later(db, config, now)
    return _told(db, pairs)


def _hand_out(db: sa.Connection, clocks: Clocks, pairs: Sequence[tuple[int, int]], now: datetime) -> None:
    """State, assignee, event and both clocks of every ticket, each by the rules and calendar of its kind."""
    staff = dict(pairs)
    tickets = db.execute(Q["find_terms"], {"ticket_ids": list(staff)}).all()
    terms, started = clocks.at_release(tickets, now.astimezone(ZONE))
    values = {
        "ticket_ids": [ticket.ticket_id for ticket in tickets],
        "staff_ids": [staff[ticket.ticket_id] for ticket in tickets],
        "terms": terms,
        "clocks": json.dumps(started, ensure_ascii=False),
    }
    db.execute(Q["release_tickets"], values | {"now": now})


def _at_rest(clocks: Clocks, config: Config, now: datetime) -> list[str]:
    return [team for team in config.teams.teams if not clocks.calendar(team=team).is_working(now)]


def _today(now: datetime) -> dict[str, Any]:
    day = now.astimezone(ZONE).date()
    starts = datetime.combine(day, time(0), ZONE)
    return {"day": day, "day_starts_at": starts, "day_ends_at": starts + timedelta(days=1)}


def _everything(db: sa.Connection, today: Mapping[str, Any]) -> list[tuple[int, int]]:
    return [(row.ticket_id, _NOBODY) for row in db.execute(Q["find_all_waiting"], today)]


def _shared_out(
    db: sa.Connection, agents: Sequence[sa.Row[Any]], today: dict[str, Any]
) -> list[tuple[int, int]]:
    """(ticket, staff) pairs: to the least loaded who fits; what nobody fits goes to the team's queue."""
    teams = sorted({row.team for row in agents if row.room})
    queued = {row.team: row.queued for row in db.execute(Q["count_queued_today"], today)}
    waiting: dict[str, list[Waiting]] = {team: [] for team in teams}
    for row in db.execute(Q["find_waiting"], {"teams": teams, "day": today["day"]}):
        waiting[row.team].append(Waiting(row.ticket_id, tuple(row.line or ()), row.region_code, row.skill))
    pairs: list[tuple[int, int]] = []
    for team in teams:
        mine = [_caller(row) for row in agents if row.team == team]
        at_work = [caller for caller in mine if caller.room]
        left = max(0, sum(caller.room for caller in at_work) - queued.get(team, 0))
        given = share_out(waiting[team], at_work, [caller for caller in mine if not caller.room])
        to_queue = [(ticket_id, _NOBODY) for ticket_id in given.unfitting]
        pairs += (given.pairs + to_queue)[:left]
    return pairs


def _caller(row: sa.Row[Any]) -> Caller:
    return Caller(
        row.staff_id, row.room, row.contacts, row.unfinished, row.branch_code, row.region_code,
        frozenset(row.skills),
    )  # fmt: skip


def _expect_later(db: sa.Connection, config: Config, now: datetime) -> None:
    rows = db.execute(Q["find_waiting_by_team"]).all()
    if not rows:
        return
    tomorrow = now.astimezone(ZONE) + timedelta(days=1)
    capacity = read_capacity(db, config, 1, tomorrow)
    days = expected_days([row.team for row in rows], capacity.rooms, capacity.days)
    db.execute(Q["expect_later"], {"ticket_ids": [row.ticket_id for row in rows], "days": days})


def _told(db: sa.Connection, pairs: Sequence[tuple[int, int]], message: str | None = None) -> dict[str, Any]:
    waiting = {row.team: row.waiting for row in db.execute(Q["count_waiting"])}
    told: dict[str, Any] = {
        "stage": "release",
        "rows_in": len(pairs) + sum(waiting.values()),
        "rows_out": len(pairs),
        "released": len(pairs),
        "to_queue": sum(staff_id == _NOBODY for _, staff_id in pairs),
        "waiting": waiting,
    }
    return told | ({"message": message} if message else {})
