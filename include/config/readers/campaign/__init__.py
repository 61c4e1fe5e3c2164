"""campaigns/<cadence>/<campaign>.yaml: one use of the engine. What differs between campaigns stands there alone."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from include.config.expressions import Expression
from include.config.expressions import parse as parse_expression
from include.config.readers.campaign.work import Name, RetentionWork, Worded
from include.config.readers.operations import Count
from include.config.readers.reading import Entry, Flag, validated
from include.domain.periods import period
from include.domain.periods.horizon import Horizon
from include.domain.sla import Stop
from include.words import named

Text = Annotated[str, Field(min_length=1)]
Days = Annotated[int, Field(ge=0)]


class Event(Entry):
    """Whom an event of a feed befell: an expression over its columns, on so many whole days before the day of as_of."""

    feed: Name
    where: Text | None = None
    within_days: Count = 1

    @property
    def condition(self) -> Expression | None:
        """The checked expression over the event's columns; None for every event of the feed."""
        return _parsed(self.where)


class OfCampaign(Entry):
    """Whom another campaign's ticket ended so, on so many whole days before the day of as_of."""

    campaign: Name
    outcomes: Annotated[tuple[str, ...], Field(min_length=1)]
    within_days: Count = 31


class Source(Entry):
    """Where the people of a campaign come from: the factors of the month (nothing named), an event, an outcome."""

    event: Event | None = None
    outcome: OfCampaign | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "Source":
        if self.event and self.outcome:
            raise ValueError("a source is an event or an outcome, not both")
        return self


class Admission(Entry):
    """Who of the population is admitted.

    grade: those graded high whose tier is priority. Else everybody, of whom `where` (an expression over facts) is
    true, and of these at most the `top` ones by rank. Of them `write` (an expression over facts) says who is written
    to, by app or SMS, instead of called.
    """

    by: Literal["grade", "all"] = "grade"
    where: Text | None = None
    write: Text | None = None
    top: Count | None = None

    @model_validator(mode="after")
    def _grades_admit_alone(self) -> "Admission":
        if self.by == "grade" and (self.where or self.write):
            raise ValueError(
                "admission by grade takes no `where` and no `write`; narrow the population, or admit by: all"
            )
        return self


class Model(Entry):
    """What a model foretells: an expression over what is delivered later than the cycle."""

    label: Text = "left"


class NoMeasure(Entry):
    """Why a campaign holds nobody out."""

    because: Text


class Routing(Entry):
    """Who works a ticket.

    teams: the team rules of teams.yaml. manager, seller: the one of the subscriber, where they are at work, else by
    the team rules; `shared_by` names who shares the figure. pool: the queue of `team`, from which each takes the next
    by rank, at most `quota` a cycle. Elsewhere `team` stands in place of the team rules.
    """

    by: Literal["teams", "manager", "seller", "pool"] = "teams"
    team: str | None = None
    quota: Count | None = None
    shared_by: Literal["manager", "seller"] | None = None

    @model_validator(mode="after")
    def _a_pool_has_team_and_quota(self) -> "Routing":
        if (self.by == "pool") != (self.quota is not None):
            raise ValueError("a pool has a quota, and nothing else has one")
        if self.by == "pool" and self.team is None:
            raise ValueError("a pool belongs to a team: name it")
        return self


class Clock(Worded):
    """One service clock of a ticket.

    days: how many; None for first_contact and plan, whose days sla.yaml says. counts: working days of the ticket's
    calendar, or all days of the calendar. stops: what meets it (contact: the first attempt; reached: the first
    talk; survey; checklist: every item ticked; plan: survey and plan recorded; closed). Closing the ticket meets
    every clock that still runs: what its ending needs is recorded by then.
    """

    days: Count | None = None
    counts: Literal["working", "calendar"] = "working"
    stops: Stop


#: The clocks of a campaign that names none.
CLOCKS: Mapping[str, Clock] = {
    "first_contact": Clock(**named("clocks.first_contact"), stops="contact"),
    "plan": Clock(**named("clocks.plan"), stops="plan"),
}


class Rates(Entry):
    """How the campaign calls the three rates of its released tickets: answered, won, processed."""

    reached: Worded = Worded(**named("rates.reached"))
    willing: Worded = Worded(**named("rates.willing"))
    completed: Worded = Worded(**named("rates.completed"))


class Approval(Entry):
    """When a person must agree before tickets go out."""

    tickets: Count
    share_warned_times: Annotated[float, Field(gt=1)]


class Training(Entry):
    """When a model may be fitted: of everybody, and of one tenure cluster alone."""

    minimum_churners: Count
    minimum_cluster_churners: Count = 500


class Campaign(RetentionWork):
    """One campaign; README: a campaign of your own. What is not said has the value here."""

    zh: Text
    en: Text
    kind: Literal["service", "marketing"] = "marketing"
    phase: str | None = None
    people: Literal["living", "left"] = "living"
    enabled: Flag = True
    shadow: Flag = False
    # whom
    source: Source = Source()
    population: Text | None = None
    admission: Admission = Admission()
    rank: Text | None = None
    splits: tuple[Name, ...] = ()
    # what is foretold, and what counts as success; both over what is delivered later
    model: Model | None = Model()
    success: Text = "not left"
    horizon_months: Count | None = None
    horizon_days: Count | None = None
    # the draw, by its name in measures.yaml, or because of what nobody is held out
    measure: Name | NoMeasure
    # how many, beside whom, until when
    precedence: Annotated[int, Field(ge=1, le=1000)] = 100
    beside_others: Flag = False
    capacity_days: Count = 3
    capacity_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    cooling_off_days: Days = 0
    waiting_days: Count = 27
    # so many days after its key's end a cycle is not dispatched any more; else a month later, or three days
    late_days: Count | None = None
    approval: Approval
    training: Training = Training(minimum_churners=50)
    # the work
    routing: Routing = Routing()
    clocks: dict[Name, Clock] = Field(default_factory=lambda: dict(CLOCKS))
    rates: Rates = Rates()

    @model_validator(mode="before")
    @classmethod
    def _without_model(cls, raw: Any) -> Any:
        """`model: none` is what a person writes for no model."""
        return {**raw, "model": None} if isinstance(raw, dict) and raw.get("model") == "none" else raw

    @model_validator(mode="after")
    def _has_one_horizon(self) -> "Campaign":
        if (self.horizon_months is None) == (self.horizon_days is None):
            raise ValueError("give horizon_months or horizon_days, one of them")
        return self

    @model_validator(mode="after")
    def _every_clock_can_be_met(self) -> "Campaign":
        for name, clock in self.clocks.items():
            if clock.days is None and name not in CLOCKS:
                raise ValueError(
                    f"clock '{name}' needs its days; sla.yaml knows those of {', '.join(CLOCKS)} alone"
                )
            if clock.stops == "checklist" and not self.checklist:
                raise ValueError(f"clock '{name}' waits for a checklist, and the campaign has none")
        return self

    @property
    def members(self) -> Expression | None:
        """The checked expression of the population; None for everybody."""
        return _parsed(self.population)

    @property
    def admitted(self) -> Expression | None:
        """The checked expression of the admission; None where grade or nothing admits."""
        return _parsed(self.admission.where)

    @property
    def written(self) -> Expression | None:
        """The checked expression of whom the admission writes to instead of calling; None where it is nobody."""
        return _parsed(self.admission.write)

    @property
    def order(self) -> Expression | None:
        """The checked expression of the rank, the largest first; None for probability × value."""
        return _parsed(self.rank)

    @property
    def measure_name(self) -> str | None:
        """The draw it shares; None where nobody is held out."""
        return self.measure if isinstance(self.measure, str) else None

    @property
    def horizon(self) -> Horizon:
        """How far its cycles look ahead."""
        if self.horizon_days is not None:
            return Horizon(self.horizon_days, is_in_days=True)
        return Horizon(self.horizon_months or 0)  # one of them is given

    def horizon_ends_at(self, key: str) -> datetime:
        """The instant at which what the cycle `key` is about is over."""
        return self.horizon.ends_at(key)

    def dispatch_ends_at(self, key: str) -> datetime:
        """From which instant on tickets of the cycle `key` would be cold, unless somebody sends them all the same."""
        return period.dispatch_ends_at(key, self.late_days)


def _parsed(text: str | None) -> Expression | None:
    return None if text is None else parse_expression(text)


def parse_campaign(raw: object, file: str) -> Campaign:
    """campaigns/<cadence>/<campaign>.yaml."""
    return validated(Campaign, raw, file)
