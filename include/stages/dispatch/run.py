"""What one dispatch works with inside its transaction: which cycle, as of when, at which instant."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from include.config import Config
from include.config.readers.campaign import Campaign
from include.config.readers.measures import Measure
from include.database.queries import load
from include.domain.dispatch.assignment import Route
from include.domain.periods import period
from include.lake import Lake, Manifest
from include.lake.campaigns import grades_of, scores_of
from include.models.champions import POOLED, Champion, rules_champion

Q = load("stages/dispatch")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Drawn:
    """The arm of a customer, and the share that was held out when it was drawn."""

    arm: str
    held_out_share: float


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
    arms: dict[str, Drawn] = field(default_factory=dict)
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
        """The span its arms hold for; of a campaign without a draw the half-year."""
        return period.epoch_of(self.key["cycle"], self.measure.epoch if self.measure else "half_year")

    @property
    def grades(self) -> Manifest:
        """The grades its warnings are of; its facts say what they were made from."""
        return self.lake.manifest(grades_of(self.key["campaign"], self.revision), self.key["cycle"])

    @property
    def champions(self) -> dict[str, Champion]:
        """Who scored its people: of a campaign without a model the rules."""
        return champions_of(self.lake, self.config, self.key, self.revision)


def champions_of(lake: Lake, config: Config, key: Mapping[str, str], revision: int) -> dict[str, Champion]:
    """Who scored the people of a cycle's revision: of a campaign without a model the rules."""
    if config.campaign(key["campaign"]).model is None:
        return {POOLED: rules_champion(config.texts["rules.yaml"])}
    scores = lake.manifest(scores_of(key["campaign"], revision), key["cycle"])
    return dict(scores.facts["champions"])
