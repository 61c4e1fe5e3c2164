"""What one dispatch works with inside its transaction: which cycle, as of when, at which instant."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from include.config import Config
from include.config.operations import Campaign
from include.domain import assignment
from include.lake import Lake, Manifest
from include.lake.campaigns import scores_of
from include.queries import load

Q = load("dispatch")

Row = Mapping[str, Any]


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
    arms: dict[str, sa.Row[Any]] = field(default_factory=dict)

    @property
    def campaign(self) -> Campaign:
        """The campaign as configured."""
        return self.config.campaign(self.key["campaign"])

    @property
    def epoch(self) -> str:
        """The half-year its arms hold for."""
        return assignment.epoch_of(self.month)

    @property
    def scores(self) -> Manifest:
        """The scores its warnings were graded from."""
        return self.lake.manifest(scores_of(self.key["campaign"], self.revision), self.key["cycle"])
