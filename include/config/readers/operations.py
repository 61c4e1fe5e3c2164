"""What operations and marketing configure alike in several files: grading, hold-outs, amounts."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field, model_validator

from include.config.readers.reading import Entry, validated

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


def parse_grading(raw: object, file: str) -> Grading:
    """grading.yaml."""
    return validated(Grading, raw, file)
