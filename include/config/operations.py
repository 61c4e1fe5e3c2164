"""What operations and marketing configure: grading, teams, campaigns."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field, model_validator

from include.config.reading import Entry, validated
from include.config.work import RetentionWork
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


class Campaign(RetentionWork):
    """One use of the engine: horizon, hold-out, capacity, caps, approval, and how its tickets are worked.

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


def parse_campaign(raw: object, file: str) -> Campaign:
    """campaigns/<campaign>.yaml."""
    return validated(Campaign, raw, file)
