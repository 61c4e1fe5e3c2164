"""What operations and marketing configure: grading, service levels, teams, strategies, campaigns."""

from datetime import time
from decimal import Decimal
from typing import Annotated

from pydantic import Field, model_validator

from include.config.reading import Entry, validated
from include.expressions import Expression
from include.expressions import parse as parse_expression

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Yuan = Annotated[Decimal, Field(ge=0, max_digits=14, decimal_places=4)]


class Grading(Entry):
    """How probability, rule hits and value become grade and tier."""

    base_rate: Share
    high_times: Annotated[float, Field(gt=1)]
    mid_times: Annotated[float, Field(gt=1)]
    rules_only_high_points: Annotated[float, Field(gt=0)]
    rules_only_high_share: Share
    priority_value_yuan: Yuan
    secondary_value_yuan: Yuan

    @model_validator(mode="after")
    def _high_is_above_mid(self) -> "Grading":
        if self.high_times <= self.mid_times:
            raise ValueError(f"high_times {self.high_times} must be above mid_times {self.mid_times}")
        return self


class Sla(Entry):
    """The clocks of a ticket: working hours, days to plan and first contact, pauses, unreachable."""

    opens: time
    closes: time
    early_warning: time
    plan_days: Count
    contact_days: Count
    max_pause_days: Count
    unreachable_attempts: Count
    unreachable_days: Count
    layers: tuple[str, ...]

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> "Sla":
        if not self.opens < self.early_warning < self.closes:
            raise ValueError("opens, early_warning and closes must follow one another within a day")
        return self


class Team(Entry):
    """One retention team."""

    zh: str
    en: str


class Teams(Entry):
    """The teams and the rule that sends a ticket to one of them."""

    teams: dict[str, Team]
    vip: str
    vip_value_yuan: Yuan
    new_subscriber: str
    new_subscriber_months: Annotated[float, Field(gt=0)]
    others: str

    @model_validator(mode="after")
    def _routes_lead_to_teams(self) -> "Teams":
        for route in (self.vip, self.new_subscriber, self.others):
            if route not in self.teams:
                raise ValueError(f"team '{route}' is routed to but not defined; known: {sorted(self.teams)}")
        return self


class Strategy(Entry):
    """One offer for one reason to leave."""

    zh: str
    en: str
    reason: str
    offer_zh: str
    offer_en: str
    cost_yuan: Yuan
    valid_days: Count


class Strategies(Entry):
    """The offers an agent may plan, by name."""

    strategies: dict[str, Strategy]


class HoldOut(Entry):
    """The random control group: its share and what the draw is made of."""

    share: Annotated[float, Field(ge=0, lt=1)]
    salt: Annotated[str, Field(min_length=8)]


class Approval(Entry):
    """When a person must agree before tickets go out."""

    tickets: Count
    share_warned_times: Annotated[float, Field(gt=1)]


class Training(Entry):
    """When a model may be fitted: of everybody, and of one tenure cluster alone."""

    minimum_churners: Count
    minimum_cluster_churners: Count = 500


class Campaign(Entry):
    """One use of the engine: horizon, hold-out, capacity, caps and approval.

    population: whom it is for, an expression over factors; the others are graded and watched, never contacted.
    """

    zh: str
    en: str
    horizon_months: Count
    hold_out: HoldOut
    capacity_days: Count
    cooling_off_days: Annotated[int, Field(ge=0)]
    approval: Approval
    training: Training
    population: str | None = None

    @property
    def members(self) -> Expression | None:
        """The checked expression of the population; None for everybody."""
        return None if self.population is None else parse_expression(self.population)


def parse_grading(raw: object, file: str) -> Grading:
    """grading.yaml."""
    return validated(Grading, raw, file)


def parse_sla(raw: object, file: str) -> Sla:
    """sla.yaml."""
    return validated(Sla, raw, file)


def parse_teams(raw: object, file: str) -> Teams:
    """teams.yaml."""
    return validated(Teams, raw, file)


def parse_strategies(raw: object, file: str) -> Strategies:
    """strategies.yaml."""
    return validated(Strategies, raw, file)


def parse_campaign(raw: object, file: str) -> Campaign:
    """campaigns/<campaign>.yaml."""
    return validated(Campaign, raw, file)
