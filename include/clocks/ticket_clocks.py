"""Which rules and which calendar a ticket's clocks go by, and the values to store for them."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any, NamedTuple, NotRequired, Protocol, TypedDict

import sqlalchemy as sa

from include.config import Config
from include.config.readers.campaign import Campaign, Clock
from include.config.readers.sla import Rules, Sla
from include.database.queries import load
from include.domain import sla
from include.domain.countdown import working_time_between
from include.domain.deadline import Deadline
from include.domain.periods.months import ZONE
from include.domain.workdays import EveryDay, WorkCalendar, WorkDay
from include.run.cycles import campaign_of

Q = load("clocks/calendar")


class Ticket(Protocol):
    """What the choice of rules and layers goes by: a row of tickets with at least these columns."""

    @property
    def campaign(self) -> str: ...
    @property
    def cycle(self) -> str: ...
    @property
    def tier(self) -> str: ...
    @property
    def team(self) -> str: ...
    @property
    def branch_code(self) -> str | None: ...


WORKING = "working"
#: Whose days the service levels say, where the clock itself says none.
_FROM_SLA = {"first_contact": "contact_days", "plan": "plan_days"}


class FrozenTerms(TypedDict):
    """A `Frozen` as JSON."""

    days: int
    layers: list[str]
    closes: str
    early_warning: str
    counts: NotRequired[str]


class StoredClock(TypedDict):
    """The columns of ticket_clocks that say when (ISO instants); the explanation is JSON text."""

    warn_at: str
    due_at: str
    is_provisional: bool
    explanation: str


class StartedClock(TypedDict):
    """A clock that begins, as a JSON row to store."""

    warn_at: str
    due_at: str
    is_provisional: bool
    clock: str
    stops: str
    explanation: dict[str, Any]


class ClockOfTerms(StartedClock):
    """A clock that begins for every ticket of the numbered terms."""

    terms: int


class Frozen(NamedTuple):
    """What a running clock was started with; stored in its explanation, so that an edit does not change it."""

    days: int
    layers: tuple[str, ...]
    closes: time
    early_warning: time
    counts: str = WORKING

    def stored(self) -> FrozenTerms:
        """As JSON; what counts is told where it is not working days, so that clocks of before read alike."""
        terms: FrozenTerms = {
            "days": self.days,
            "layers": list(self.layers),
            "closes": f"{self.closes:%H:%M}",
            "early_warning": f"{self.early_warning:%H:%M}",
        }
        return terms if self.counts == WORKING else {**terms, "counts": self.counts}

    def counted_by(self, calendar: WorkCalendar) -> WorkCalendar:
        """The days that count: those worked by the calendar of its layers, or all there are."""
        return calendar if self.counts == WORKING else EveryDay((), closing=self.closes)


@dataclass(frozen=True)
class Terms:
    """The rules and the calendar of one ticket."""

    rules: Rules
    calendar: WorkCalendar

    def started(self, clocks: Mapping[str, Clock], started_at: datetime) -> list[StartedClock]:
        """These clocks of a ticket, begun at `started_at`, as JSON rows to store."""
        rows: list[StartedClock] = []
        for name, clock in clocks.items():
            stored = stored_clock(self._frozen(name, clock), self.calendar, started_at, ())
            rows.append(
                {
                    "warn_at": stored["warn_at"],
                    "due_at": stored["due_at"],
                    "is_provisional": stored["is_provisional"],
                    "explanation": json.loads(stored["explanation"]),
                    "clock": name,
                    "stops": clock.stops,
                }
            )
        return rows

    def is_within_hours(self, now: datetime) -> bool:
        """Whether `now` lies between opening and closing time, on whatever day."""
        return self.rules.opens <= now.astimezone(ZONE).time() <= self.rules.closes

    def left(self, now: datetime, due_at: datetime, counted: WorkCalendar | None = None) -> timedelta:
        """Working time from `now` to `due_at`, negative when that has passed; of the `counted` days where given."""
        days = counted or self.calendar
        return working_time_between(now, due_at, days.is_working, self.rules.opens, self.rules.closes)

    def _frozen(self, name: str, clock: Clock) -> Frozen:
        rules = self.rules
        days = clock.days or getattr(rules, _FROM_SLA[name])
        return Frozen(days, self.calendar.layers, rules.closes, rules.early_warning, clock.counts)


def stored_clock(
    frozen: Frozen, calendar: WorkCalendar, started_at: datetime, paused: Sequence[sla.Pause]
) -> StoredClock:
    """A clock's stored values: warn_at, due_at, is_provisional and the explanation."""
    counted = frozen.counted_by(calendar)
    deadline = sla.plan_deadline(started_at, counted, frozen.days, paused)
    warn_at = sla.warn_at(started_at, counted, frozen.days, paused, frozen.early_warning)
    return as_stored(frozen, deadline, warn_at)


def as_stored(frozen: Frozen, deadline: Deadline, warn_at: datetime) -> StoredClock:
    """The columns of ticket_clocks that say when; the explanation also keeps the terms."""
    return {
        "warn_at": warn_at.isoformat(),
        "due_at": deadline.at.isoformat(),
        "is_provisional": deadline.is_provisional,
        "explanation": json.dumps({**deadline.to_json(), "terms": frozen.stored()}, ensure_ascii=False),
    }


@dataclass(frozen=True)
class Clocks:
    """Rules and calendars of every campaign, tier, team and branch, as configured and stored.

    `campaign_of(campaign, cycle)` is what a ticket is worked by, and names its clocks.
    """

    config: Sla
    days: tuple[WorkDay, ...]
    campaign_of: Callable[[str, str], Campaign]
    ancestors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    _calendars: dict[Any, WorkCalendar] = field(default_factory=dict)

    def of(self, ticket: Ticket) -> Terms:
        """The terms of a ticket: any row with campaign, tier, team and branch_code."""
        return self.terms(ticket.campaign, ticket.tier, ticket.team, ticket.branch_code)

    def terms(
        self,
        campaign: str | None = None,
        tier: str | None = None,
        team: str | None = None,
        branch: str | None = None,
    ) -> Terms:
        """The terms of tickets of that kind; what is not named is as for every ticket."""
        rules = self.rules(campaign, tier, team)
        return Terms(rules, self.layered(self.config.layers_of(team, self._branches(branch)), rules.closes))

    def rules(self, campaign: str | None = None, tier: str | None = None, team: str | None = None) -> Rules:
        """What holds for a ticket of that campaign, tier and team."""
        return self.config.rules(campaign, tier, team)

    def calendar(self, team: str | None = None, branch: str | None = None) -> WorkCalendar:
        """The working days of a team or branch; of everybody when neither is named."""
        return self.terms(team=team, branch=branch).calendar

    def layered(self, layers: tuple[str, ...], closes: time) -> WorkCalendar:
        """The calendar of these layers, each overriding those before."""
        if (layers, closes) not in self._calendars:
            own = [day for day in self.days if day.layer in layers]
            self._calendars[layers, closes] = WorkCalendar.from_rows(own, layers, closes)
        return self._calendars[layers, closes]

    def at_release(
        self, tickets: Iterable[Ticket], started_at: datetime
    ) -> tuple[list[int], list[ClockOfTerms]]:
        """Which terms each ticket goes by, and the clocks of each: rows that bear the number of their terms."""
        numbers: dict[tuple[Any, ...], int] = {}
        chosen = []
        for ticket in tickets:
            key = (ticket.cycle, ticket.campaign, ticket.tier, ticket.team, ticket.branch_code)
            chosen.append(numbers.setdefault(key, len(numbers)))
        clocks: list[ClockOfTerms] = [
            {**clock, "terms": number}
            for (cycle, campaign, *place), number in numbers.items()
            for clock in self.terms(campaign, *place).started(
                self.campaign_of(campaign, cycle).clocks, started_at
            )
        ]
        return chosen, clocks

    def again(
        self, explanation: Mapping[str, Any], started_at: datetime, paused: Sequence[sla.Pause]
    ) -> StoredClock:
        """A running clock counted anew with these pauses, by the terms it was started with."""
        frozen = self.frozen(explanation)
        return stored_clock(frozen, self.layered(frozen.layers, frozen.closes), started_at, paused)

    def frozen(self, explanation: Mapping[str, Any]) -> Frozen:
        """The terms in a stored explanation; those of every ticket where it is older than they are."""
        terms = explanation.get("terms", {})
        counted = sum(note["counted"] for note in explanation["days"])
        return Frozen(
            terms.get("days", counted),
            tuple(terms.get("layers", self.config.layers)),
            time.fromisoformat(terms["closes"]) if terms else self.config.closes,
            time.fromisoformat(terms["early_warning"]) if terms else self.config.early_warning,
            terms.get("counts", WORKING),
        )

    def _branches(self, branch: str | None) -> tuple[str, ...]:
        return () if branch is None else (*self.ancestors.get(branch, ()), branch)


def read_clocks(db: sa.Connection, config: Config, now: datetime) -> Clocks:
    """Rules as configured, working days as stored from the year before `now` on; inside a transaction.

    The days last read are kept, and read again when they have changed: a desk asks for them at every page.
    """
    values = {"layers": list(config.sla.every_layer), "since": date(now.year - 1, 1, 1)}
    key = (values["since"], tuple(db.execute(Q["read_print_of_days"], values).one()))
    kept = _KEPT.get(key)
    if kept is None or kept.config is not config.sla:
        days = (WorkDay(**row) for row in db.execute(Q["read_work_days"], values).mappings())
        kept = _Days(config.sla, tuple(days), {})
        # changed between the two looks: used once, not kept
        if tuple(db.execute(Q["read_print_of_days"], values).one()) == key[1]:
            _KEPT.clear()
            _KEPT[key] = kept
    return Clocks(
        kept.config, kept.days, partial(campaign_of, db, config), _ancestors(db, config), kept.calendars
    )


class _Days(NamedTuple):
    config: Sla
    days: tuple[WorkDay, ...]
    calendars: dict[Any, WorkCalendar]


#: The one set of days read last, with the calendars made of it.
_KEPT: dict[tuple[Any, ...], _Days] = {}


def _ancestors(db: sa.Connection, config: Config) -> dict[str, tuple[str, ...]]:
    """The branches above each one, from the top; asked for only where branches have layers."""
    if not config.sla.branch_layers:
        return {}
    return {row.branch_code: tuple(row.above) for row in db.execute(Q["read_branches_above"])}
