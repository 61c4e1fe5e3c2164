"""Where a ticket goes: its team, the day it is expected, the number to call."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from include.domain import assignment, months
from include.domain.assignment import Decision, Routing
from include.stages.dispatch.run import Q, Row, Run
from include.stages.sla import fill_calendar, read_calendar

_EXPECTED_HORIZON_DAYS = 60


def routes(run: Run, assigned: Sequence[Decision], rows: Mapping[str, Row]) -> dict[str, dict[str, Any]]:
    """`team`, `expected_on` and `msisdn` of every treated subscriber."""
    treated = [each.candidate.subscriber_id for each in assigned if each.decision == assignment.TREATED]
    routing = Routing(**run.config.teams.model_dump(exclude={"teams"}))
    teams = [
        assignment.team_of(rows[each]["value_yuan"], rows[each]["tenure_months"], routing) for each in treated
    ]
    per_day = {row.team: row.per_day for row in run.db.execute(Q["read_capacity"])}
    days = assignment.expected_days(teams, per_day, _working_days(run, bool(per_day)))
    phones = _phones(run, treated)
    return {
        subscriber: {"team": team, "expected_on": day, "msisdn": phones.get(subscriber)}
        for subscriber, team, day in zip(treated, teams, days, strict=True)
    }


def _working_days(run: Run, is_limited: bool) -> list[date]:
    today = run.now.astimezone(months.ZONE).date()
    if not is_limited:
        return [today]
    fill_calendar(run.db)
    calendar = read_calendar(run.db, run.config, run.now)
    span = (today + timedelta(days=ahead) for ahead in range(_EXPECTED_HORIZON_DAYS))
    return [day for day in span if calendar.is_working(day)]


def _phones(run: Run, subscribers: list[str]) -> dict[str, str]:
    """The numbers to call; nothing else in the loop reads this table."""
    if not run.lake.has("contacts", run.month):
        return {}
    import polars as pl

    rows = run.lake.scan("contacts", run.month).filter(pl.col("subscriber_id").is_in(subscribers)).collect()
    return dict(rows.select("subscriber_id", "msisdn").iter_rows())
