"""What each team can contact on the next working days, as its roster stands, and what of it is spoken for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from include.clocks.ticket_clocks import read_clocks
from include.config import Config
from include.database.queries import load
from include.domain.periods.months import ZONE

Q = load("clocks/capacity")
_HORIZON_DAYS = 60


@dataclass(frozen=True)
class Capacity:
    """First contacts by team and working day from today on (`rooms[team][0]` is the first of `days`).

    `cycle_days` of them are what one cycle may fill. Without anybody hired there is no limit.
    """

    days: Sequence[date]
    rooms: Mapping[str, Sequence[int]]
    agents: Mapping[str, int]
    cycle_days: int

    @property
    def is_limited(self) -> bool:
        """Whether anybody was ever hired."""
        return bool(self.rooms)

    @property
    def of_cycle(self) -> dict[str, int] | None:
        """First contacts each team can make in a cycle; None without a limit."""
        if not self.is_limited:
            return None
        return {team: sum(room[: self.cycle_days]) for team, room in self.rooms.items()}

    def left(self, taken: Mapping[str, int]) -> dict[str, int] | None:
        """What is left of it after the tickets each team has `taken`; None without a limit."""
        whole = self.of_cycle
        return whole and {team: max(0, room - taken.get(team, 0)) for team, room in whole.items()}

    def of_one_agent(self, team: str) -> int:
        """First contacts of a usual agent of the team in a cycle; of any team when it has none."""
        whole = self.of_cycle or {}
        if self.agents.get(team):
            return round(whole[team] / self.agents[team])
        return round(sum(whole.values()) / max(1, sum(self.agents.values())))


def read_capacity(db: sa.Connection, config: Config, cycle_days: int, now: datetime) -> Capacity:
    """The capacity as the roster stands at `now`; inside a transaction that has filled the calendar."""
    days = working_days(db, config, now)
    rooms: dict[str, list[int]] = {}
    agents: dict[str, int] = {}
    for row in db.execute(Q["read_rooms"], {"days": days}):
        rooms.setdefault(row.team, []).append(int(row.contacts))
        agents[row.team] = row.agents
    return Capacity(days, rooms, agents, cycle_days)


def taken(db: sa.Connection, key: Mapping[str, str], now: datetime) -> dict[str, int]:
    """First contacts of each team that are spoken for: by the cycle itself, and by every campaign's open tickets.

    Sold but once only to who holds the lock of all dispatches.
    """
    rows = db.execute(Q["count_taken"], {**key, "now": now})
    return {row.team: row.tickets for row in rows}


def working_days(db: sa.Connection, config: Config, now: datetime) -> list[date]:
    """Today, when worked, and the working days of the two months after it."""
    calendar = read_clocks(db, config, now).calendar()
    today = now.astimezone(ZONE).date()
    span = (today + timedelta(days=ahead) for ahead in range(_HORIZON_DAYS))
    return [day for day in span if calendar.is_working(day)]


def has_agents(db: sa.Connection) -> bool:
    """Whether anybody was hired: without people there is no limit."""
    return bool(db.execute(Q["has_agents"]).scalar())
