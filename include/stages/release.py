"""Release: every working morning each team gets what it can first-contact that day; the clocks start here.

Every campaign has its least share of a team's day first, in the order of precedence; then what waits goes by
precedence, cycle and rank. What lies in a pool takes nobody's day: all of it is offered to the team.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

import sqlalchemy as sa

from include.clocks.calendar import fill_calendar
from include.clocks.capacity import read_capacity
from include.clocks.expiry import expire_waiting
from include.clocks.ticket_clocks import Clocks, read_clocks
from include.config import Config
from include.database import lock
from include.database.queries import load
from include.domain.dispatch.assignment import expected_days
from include.domain.dispatch.sharing import NOBODY, Caller, Waiting, in_turn, least_of, share_among
from include.domain.periods.months import ZONE
from include.run.results import Counts

Q = load("stages/release")


class Released(Counts):
    """How many tickets were handed out, how many of them to a queue, and how many wait, by team."""

    released: int
    to_queue: int
    waiting: dict[str, int]


def release(*, db: sa.Connection, config: Config, now: datetime, on_rest_days: bool = False) -> Released:
    """Release what the teams can call today; on a rest day nothing, unless `on_rest_days`.

    A ticket goes to whom it is for when they are at work, else to the least loaded of the team who serves its
    branch or region and has its skill; one that nobody of the team fits goes to the team's queue, and so does all
    that lies in a pool, whose clocks start as well. On a rest day those on the roster still get theirs. Run twice
    a day it gives out no more than the day's contacts; without staff everything goes at once.
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
) -> Released:
    """The same inside a transaction that is open already; `is_unlimited` when no capacity is configured."""
    fill_calendar(db, config, now)
    lock(db, "release")
    expire_waiting(db, now)
    clocks = read_clocks(db, config, now)
    today = _today(now) | {"teams_at_rest": [] if on_rest_days else _at_rest(clocks, config, now)}
    agents = [] if is_unlimited else db.execute(Q["read_callers"], today).all()
    if agents and today["teams_at_rest"] and not any(row.contacts for row in agents):
        return _counts(db, [], "today is a rest day; tickets wait for the next working morning")
    pairs = _shared_out(db, config, agents, today) if agents else _everything(db, today)
    if pairs:
        _hand_out(db, clocks, pairs, now)
    if agents:
        _expect_later(db, config, now)
    return _counts(db, pairs)


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
    return [(row.ticket_id, NOBODY) for row in db.execute(Q["find_all_waiting"], today)]


def _shares(config: Config) -> dict[str, float]:
    """The least share of each campaign that has one, in the order of precedence; a broken one has none."""
    named = sorted(config.campaigns.items(), key=lambda each: (each[1].precedence, each[0]))
    return {name: campaign.capacity_share for name, campaign in named if campaign.capacity_share}


@dataclass(frozen=True)
class _Day:
    """A team's day: its people, what was released of each campaign already, how much of that lies in its queue."""

    agents: Sequence[sa.Row[Any]]
    released: Mapping[str, int]
    queued: int

    def share(self, waiting: Sequence[Waiting], shares: Mapping[str, float]) -> list[tuple[int, int]]:
        """(ticket, staff) pairs of what is still to be released today."""
        people = [_caller(row) for row in self.agents]
        left = max(0, sum(each.room for each in people) - self.queued)
        whole = least_of(shares, sum(each.contacts for each in people))
        least = {name: max(0, count - self.released.get(name, 0)) for name, count in whole.items()}
        at_work = [each for each in people if each.room]
        return share_among(waiting, least, at_work, [each for each in people if not each.room], left)


def _shared_out(
    db: sa.Connection, config: Config, agents: Sequence[sa.Row[Any]], today: dict[str, Any]
) -> list[tuple[int, int]]:
    """(ticket, staff) pairs: by share and precedence, then what lies in a pool of a team at work."""
    teams = sorted({row.team for row in agents if row.room})
    released = db.execute(Q["count_released_today"], today).all()
    waiting = _by_team(db.execute(Q["find_waiting"], {"teams": teams, "day": today["day"]}))
    pairs: list[tuple[int, int]] = []
    for team in teams:
        of_team = [row for row in released if row.team == team]
        day = _Day(
            [row for row in agents if row.team == team],
            {row.campaign: row.released for row in of_team},
            sum(row.queued for row in of_team),
        )
        pairs += day.share(waiting.get(team, ()), _shares(config))
    return pairs + _pooled(db, {row.team for row in agents if row.contacts}, today)


def _by_team(rows: Iterable[sa.Row[Any]]) -> dict[str, list[Waiting]]:
    waiting: dict[str, list[Waiting]] = {}
    for row in rows:
        ticket = Waiting(
            row.ticket_id, tuple(row.line or ()), row.region_code, row.skill, row.campaign, row.led_by
        )
        waiting.setdefault(row.team, []).append(ticket)
    return waiting


def _pooled(db: sa.Connection, teams: Collection[str], today: Mapping[str, Any]) -> list[tuple[int, int]]:
    values = {"teams": sorted(teams), "day": today["day"]}
    return [(row.ticket_id, NOBODY) for row in db.execute(Q["find_pooled"], values)]


def _caller(row: sa.Row[Any]) -> Caller:
    return Caller(
        row.staff_id, row.room, row.contacts, row.unfinished, row.branch_code, row.region_code,
        frozenset(row.skills),
    )  # fmt: skip


def _expect_later(db: sa.Connection, config: Config, now: datetime) -> None:
    """The day each waiting ticket is expected: as the next days share it out, a pool's on the first of them."""
    rows = db.execute(Q["find_waiting_by_team"]).all()
    if not rows:
        return
    tomorrow = now.astimezone(ZONE) + timedelta(days=1)
    capacity = read_capacity(db, config, 1, tomorrow)
    expected = {row.ticket_id: capacity.days[0] for row in rows if row.is_pool}
    waiting: dict[str, list[Waiting]] = {}
    for row in rows:
        if not row.is_pool:
            waiting.setdefault(row.team, []).append(Waiting(row.ticket_id, campaign=row.campaign))
    for team, tickets in waiting.items():
        turn = in_turn(tickets, _shares(config), capacity.rooms.get(team, ()))
        days = expected_days([team] * len(turn), capacity.rooms, capacity.days)
        expected |= {ticket.ticket_id: day for ticket, day in zip(turn, days, strict=True)}
    db.execute(Q["expect_later"], {"ticket_ids": list(expected), "days": list(expected.values())})


def _counts(db: sa.Connection, pairs: Sequence[tuple[int, int]], message: str | None = None) -> Released:
    waiting = {row.team: row.waiting for row in db.execute(Q["count_waiting"])}
    counts: Released = {
        "stage": "release",
        "rows_in": len(pairs) + sum(waiting.values()),
        "rows_out": len(pairs),
        "released": len(pairs),
        "to_queue": sum(staff_id == NOBODY for _, staff_id in pairs),
        "waiting": waiting,
    }
    if message:
        counts["message"] = message
    return counts
