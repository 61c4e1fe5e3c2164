"""What one dispatch works with: its run, how it was asked for, and what it has found out about the people."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any, NotRequired, TypedDict

from include.database.queries import load
from include.domain.dispatch.assignment import Route
from include.domain.periods import period
from include.lake import Manifest
from include.models.champions import POOLED, Champion, rules_champion
from include.run import Run
from include.run.results import Counts

Q = load("stages/dispatch")

Row = Mapping[str, Any]


class Dispatched(Counts):
    """What a dispatch did; of one that did nothing, or only compared, the message says why."""

    treated: int
    held_out: NotRequired[int]
    not_reached: NotRequired[int]
    ineligible: NotRequired[dict[str, int]]
    yields_to: NotRequired[dict[str, int]]
    capacity: NotRequired[int | None]
    capacity_taken: NotRequired[int]
    teams: NotRequired[dict[str, dict[str, Any]]]
    high: NotRequired[int]
    scored: NotRequired[int]
    cut: NotRequired[dict[str, Any]]
    top_up: NotRequired[bool]
    released: NotRequired[int]
    shadow: NotRequired[bool]
    led: NotRequired[int]
    without_leader: NotRequired[int]
    already_fixed: NotRequired[bool]
    would_differ: NotRequired[int]
    would_come: NotRequired[int]
    would_go: NotRequired[int]


@dataclass(frozen=True)
class Choices:
    """How a dispatch is asked for.

    dispatch_late: although the time to act is over. top_up: fill what capacity a fixed cycle has left. most: the
    number of tickets that was approved, if any was; planned: the fingerprint of the plan it was approved for.
    """

    dispatch_late: bool = False
    top_up: bool = False
    most: int | None = None
    planned: str | None = None


class CandidateRow(TypedDict):
    """One of the admitted with what the database knows; see `find_candidates`. yields_to: a better-placed campaign."""

    subscriber_id: str
    customer_key: str
    rank: int
    cluster: str | None
    probability: float | None
    model_version: str
    grade: str | None
    tier: str
    rule_hits: list[str]
    rule_points: float
    value_yuan: Decimal | None
    region_code: str | None
    branch_code: str | None
    tenure_months: float | None
    unfinished_ticket_id: int | None
    is_assigned: bool
    is_elsewhere: bool
    is_cooling_off: bool
    taken_up_in_month: int
    taken_up_in_quarter: int
    own_arm: str | None
    yields_to: str | None


@dataclass(frozen=True)
class Drawn:
    """The arm of a customer, and the share that was held out when it was drawn."""

    arm: str
    held_out_share: float


@dataclass(frozen=True, kw_only=True)
class Dispatching(Run):
    """One dispatch; `routes` lead its subscribers to teams, `arms` are those of its customers, once they are found."""

    arms: dict[str, Drawn] = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)

    @classmethod
    def by(cls, run: Run) -> "Dispatching":
        """The dispatch of a run, before anything is found out."""
        return cls(**{each.name: getattr(run, each.name) for each in fields(Run)})

    @property
    def epoch(self) -> str:
        """The span its arms hold for; of a campaign without a draw the half-year."""
        return period.epoch_of(self.cycle, self.measure.epoch if self.measure else "half_year")

    @property
    def grades(self) -> Manifest:
        """The grades its warnings are of; its facts say what they were made from."""
        return self.lake.manifest(self.grades_table, self.cycle)


def champions_of(run: Run) -> dict[str, Champion]:
    """Who scored the people of a cycle's revision: of a campaign without a model the rules."""
    if run.rules.model is None:
        return {POOLED: rules_champion(run.config.texts["rules.yaml"])}
    return dict(run.lake.manifest(run.scores_table, run.cycle).facts["champions"])
