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
from include.domain.assignment import Route
from include.lake import Lake, Manifest
from include.lake.campaigns import scores_of
from include.queries import load

Q = load("dispatch")

Row = Mapping[str, Any]


@dataclass
class Run:
    """One dispatch; `routes` lead its subscribers to teams, `arms` are those of its customers, once they are found."""

    db: sa.Connection
    lake: Lake
    config: Config
    key: dict[str, str]
    month: str
    as_of: datetime
    now: datetime
    revision: int
    arms: dict[str, sa.Row[Any]] = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)

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
        """The span its arms hold for."""
        return period.epoch_of(self.key["cycle"], self.measure.epoch if self.measure else "half_year")

    @property
    def scores(self) -> Manifest:
        """The scores its warnings were graded from."""
        return self.lake.manifest(scores_of(self.key["campaign"], self.revision), self.key["cycle"])
