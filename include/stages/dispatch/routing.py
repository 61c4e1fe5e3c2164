"""Where a ticket goes: its team, whom it is for, the skill it asks for, the day it is expected, the number to call."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TypedDict

import sqlalchemy as sa

from include.clocks.capacity import Capacity
from include.config import Config
from include.domain.dispatch import assignment
from include.domain.dispatch.assignment import Decision, Route, Routing
from include.domain.periods.months import ZONE
from include.lake import Lake
from include.run import Run
from include.stages.dispatch.run import Dispatching, Q, Row

#: Where the profile of the month names who looks after a subscriber, or sold to them.
_CODES = {"manager": "manager_code", "seller": "seller_code"}


def find_routes(run: Run, rows: Sequence[Row]) -> dict[str, Route]:
    """The route of every warning of `rows` (subscriber_id, value_yuan, tenure_months), as `routing` says."""
    routing = run.rules.routing
    subscribers = [row["subscriber_id"] for row in rows]
    leads = _codes(run.lake, run.month, routing.by, subscribers)
    shares = _codes(run.lake, run.month, routing.shared_by, subscribers)
    teams = _teams_of(run.db, run.config, leads.values())
    found = {}
    for row in rows:
        subscriber, own = row["subscriber_id"], str(routing.team or team_for(run.config, row))
        code = leads.get(subscriber)
        led_by = code if code in teams else None
        team = teams[led_by] if led_by else own
        found[subscriber] = Route(team, routing.by == "pool", led_by, shares.get(subscriber))
    return found


def _codes(lake: Lake, month: str, whose: str | None, subscribers: Sequence[str]) -> dict[str, str]:
    """The manager's or seller's code by subscriber, as far as the operator delivers it."""
    column = _CODES.get(whose or "")
    if column is None or not lake.has("subscribers", month):
        return {}
    import polars as pl

    people = lake.scan("subscribers", month)
    if column not in people.collect_schema().names():
        return {}
    is_wanted = pl.col("subscriber_id").is_in(list(subscribers)) & pl.col(column).is_not_null()
    rows = people.filter(is_wanted).select("subscriber_id", column).collect(engine="streaming")
    return dict(rows.iter_rows())


def _teams_of(db: sa.Connection, config: Config, codes: Iterable[str]) -> dict[str, str]:
    """The team of each code an active agent of a configured team has."""
    values = {"codes": sorted(set(codes)), "teams": sorted(config.teams.teams)}
    return {row.staff_code: row.team for row in db.execute(Q["find_leaders"], values)}


def counts_of_routes(run: Dispatching, decisions: Iterable[Decision]) -> dict[str, int]:
    """For the summary: tickets for the subscriber's manager or seller, and those that lack one at work.

    Nothing where the campaign routes by something else.
    """
    if run.rules.routing.by not in _CODES:
        return {}
    treated = [each for each in decisions if each.decision == assignment.TREATED]
    led = sum(_led_by(run, each) is not None for each in treated)
    return {"led": led, "without_leader": len(treated) - led}


def _led_by(run: Dispatching, decision: Decision) -> str | None:
    """Whom a ticket is for, unless another team takes their overflow."""
    route = run.routes[decision.candidate.subscriber_id]
    return route.led_by if decision.worked_by in (None, route.team) else None


def team_for(config: Config, row: Row) -> str:
    """The team of a warning with `value_yuan` and `tenure_months`; the same rule for both arms."""
    teams = config.teams
    routing = Routing(
        teams.vip, teams.vip_value_yuan, teams.new_subscriber, teams.new_subscriber_months, teams.others
    )
    return assignment.team_of(row["value_yuan"], row["tenure_months"], routing)


class TicketRoute(TypedDict):
    """Who works a ticket and when, and the number to call."""

    team: str
    skill: str | None
    expected_on: date
    msisdn: str | None
    is_pool: bool
    led_by: str | None
    shared_by: str | None


def routes(run: Dispatching, decisions: Sequence[Decision], capacity: Capacity) -> dict[str, TicketRoute]:
    """What the ticket of every treated subscriber says of who works it and when, and the number to call."""
    treated = [each for each in decisions if each.decision == assignment.TREATED]
    teams = [each.worked_by or each.candidate.team for each in treated]
    days = _days(run, teams, capacity)
    subscribers = [each.candidate.subscriber_id for each in treated]
    phones = _phones(run, subscribers)
    known = run.config.teams.teams
    return {
        subscriber: {
            "team": team,
            "skill": known[team].skill,
            "expected_on": day,
            "msisdn": phones.get(subscriber),
            "is_pool": run.routes[subscriber].is_pool,
            "led_by": _led_by(run, each),
            "shared_by": run.routes[subscriber].shared_by,
        }
        for each, subscriber, team, day in zip(treated, subscribers, teams, days, strict=True)
    }


def _days(run: Dispatching, teams: Sequence[str], capacity: Capacity) -> list[date]:
    """When each ticket is expected: by the rooms of its team, all of a pool at once."""
    if not capacity.is_limited:
        return [run.now.astimezone(ZONE).date()] * len(teams)
    if run.rules.routing.by == "pool":
        return [capacity.days[0]] * len(teams)
    return assignment.expected_days(teams, capacity.rooms, capacity.days)


def _phones(run: Run, subscribers: list[str]) -> dict[str, str]:
    """The numbers to call; nothing else in the loop reads this table."""
    if not run.lake.has("contacts", run.month):
        return {}
    import polars as pl

    rows = run.lake.scan("contacts", run.month).filter(pl.col("subscriber_id").is_in(subscribers)).collect()
    return dict(rows.select("subscriber_id", "msisdn").iter_rows())
