"""What one dispatch works with inside its transaction: which cycle, as of when, at which instant."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from include.config import Config
from include.config.campaign import Campaign
from include.config.measures import Measure
from include.domain import period
from include.lake import Lake
from include.queries import load

Q = load("dispatch")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Drawn:
    """The arm of a customer, and the share that was held out when it was drawn."""

    arm: str
    held_out_share: float


@dataclass
class Run:
    """One dispatch; `arms` are the arms of its customers once they are drawn."""

    db: sa.Connection
    lake: Lake
    config: Config
    key: dict[str, str]
    month: str
    as_of: datetime
    now: datetime
    revision: int
    arms: dict[str, Drawn] = field(default_factory=dict)

    @property
    def campaign(self) -> Campaign:
        """The campaign as configured."""
        return self.config.campaign(self.key["campaign"])

    @property
    def measure(self) -> Measure | None:
        """The draw of its hold-out; None where nobody is held out."""
        return self.config.measure(self.key["campaign"])

    @property
    def epoch(self) -> str:
        """The span its arms hold for; of a campaign without a draw the half-year."""
        return period.epoch_of(self.key["cycle"], self.measure.epoch if self.measure else "half_year")


def scores_table(revision: int) -> str:
    """The lake table with the scores of a revision."""
    return "scores" if revision == 0 else "scores_revised"
