"""Where a ticket goes: its team, the skill it asks for, the day it is expected, the number to call."""

from collections.abc import Sequence
from typing import Any

from include.config import Config
from include.domain import assignment
from include.domain.assignment import Decision, Routing
from include.domain.months import ZONE
from include.stages.capacity import Capacity
from include.stages.dispatch.run import Row, Run


def team_for(config: Config, row: Row) -> str:
    """The team of a warning with `value_yuan` and `tenure_months`; the same rule for both arms."""
    teams = config.teams
    routing = Routing(
        teams.vip, teams.vip_value_yuan, teams.new_subscriber, teams.new_subscriber_months, teams.others
    )
    return assignment.team_of(row["value_yuan"], row["tenure_months"], routing)


def routes(run: Run, decisions: Sequence[Decision], capacity: Capacity) -> dict[str, dict[str, Any]]:
    """`team`, `skill`, `expected_on` and `msisdn` of every treated subscriber."""
    treated = [each for each in decisions if each.decision == assignment.TREATED]
    teams = [each.worked_by or each.candidate.team for each in treated]
    today = run.now.astimezone(ZONE).date()
    days = (
        assignment.expected_days(teams, capacity.rooms, capacity.days)
        if capacity.is_limited
        else [today for _ in treated]
    )
    subscribers = [each.candidate.subscriber_id for each in treated]
    phones = _phones(run, subscribers)
    known = run.config.teams.teams
    return {
        subscriber: {
            "team": team,
            "skill": known[team].skill,
            "expected_on": day,
            "msisdn": phones.get(subscriber),
        }
        for subscriber, team, day in zip(subscribers, teams, days, strict=True)
    }


def _phones(run: Run, subscribers: list[str]) -> dict[str, str]:
    """The numbers to call; nothing else in the loop reads this table."""
    if not run.lake.has("contacts", run.month):
        return {}
    import polars as pl

    rows = run.lake.scan("contacts", run.month).filter(pl.col("subscriber_id").is_in(subscribers)).collect()
    return dict(rows.select("subscriber_id", "msisdn").iter_rows())
