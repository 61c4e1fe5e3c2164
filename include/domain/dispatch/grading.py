"""Grade, tier and rank as rules of the business, for a handful of subscribers at a time.

The grading stage applies the same rules to millions at once; a test holds the two against each other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

HIGH, MID, LOW = GRADES = ("high", "mid", "low")
PRIORITY, SECONDARY, MONITORING = TIERS = ("priority", "secondary", "monitoring")
# Without a model one indicator may be chance; two that have nothing to do with each other rarely are.
INDEPENDENT_HITS = 2


@dataclass(frozen=True)
class Limits:
    """The thresholds of grading.yaml; `base_rate` is the model's, or the configured one."""

    base_rate: float
    high_times: float
    mid_times: float
    rules_only_high_points: float
    rules_only_high_share: float
    priority_value_yuan: float
    secondary_value_yuan: float


@dataclass(frozen=True)
class Scored:
    """One subscriber before grading; `has_high_floor` when a hit rule guarantees the grade high.

    `value_yuan` is the mean monthly bill, `refused` whether contact lately failed or was refused.
    """

    subscriber_id: str
    probability: float | None
    hits: int
    points: float
    has_high_floor: bool
    value_yuan: float | None
    refused: bool = False

    @property
    def worth(self) -> float:
        """What ranks within a grade: probability, else points, times the value at stake."""
        strength = self.points if self.probability is None else self.probability
        return strength * max(self.value_yuan or 0.0, 0.0)


@dataclass(frozen=True)
class Graded:
    """One subscriber after grading; rank 1 comes first."""

    subscriber_id: str
    grade: str
    tier: str
    rank: int


def grade_of(one: Scored, limits: Limits, *, is_strongest: bool) -> str:
    """high, mid or low from the probability relative to the base rate and the floors of the rules hit.

    `is_strongest` says whether somebody without a probability is among the strongest by rules.
    """
    if one.has_high_floor or is_strongest:
        return HIGH
    if one.probability is not None and one.probability >= limits.high_times * limits.base_rate:
        return HIGH
    if one.hits or (one.probability is not None and one.probability >= limits.mid_times * limits.base_rate):
        return MID
    return LOW


def tier_of(grade: str, value_yuan: float | None, limits: Limits, *, refused: bool) -> str:
    """What is done: a person calls, an automatic message goes out, or the subscriber is watched."""
    value = value_yuan or 0.0
    if grade == HIGH:
        return PRIORITY if value >= limits.priority_value_yuan and not refused else SECONDARY
    return SECONDARY if grade == MID and value >= limits.secondary_value_yuan else MONITORING


def high_places(population: int, floored: int, limits: Limits) -> int:
    """How many subscribers without a probability may be high beyond those whom a rule's floor lifts.

    The share is never exceeded, but in a population however small one place is given.
    """
    share = math.floor(limits.rules_only_high_share * population + 1e-9)
    return max(0, max(1, share) - floored)


def strongest_by_rules(subscribers: Sequence[Scored], limits: Limits) -> set[str]:
    """Whom several indicators together make high where no model ranks: a capped share, strongest first."""
    unranked = [one for one in subscribers if one.probability is None]
    candidates = [
        one
        for one in unranked
        if not one.has_high_floor
        and one.hits >= INDEPENDENT_HITS
        and one.points >= limits.rules_only_high_points
    ]
    candidates.sort(key=lambda one: (-one.points, -(one.value_yuan or 0.0), one.subscriber_id))
    places = high_places(len(unranked), sum(one.has_high_floor for one in unranked), limits)
    return {one.subscriber_id for one in candidates[:places]}


def grade_all(subscribers: Sequence[Scored], limits: Limits) -> list[Graded]:
    """Everybody's grade, tier and unique rank 1 … N, best rank first."""
    strongest = strongest_by_rules(subscribers, limits)
    grades = {
        one.subscriber_id: grade_of(one, limits, is_strongest=one.subscriber_id in strongest)
        for one in subscribers
    }
    ordered = sorted(
        subscribers, key=lambda one: (GRADES.index(grades[one.subscriber_id]), -one.worth, one.subscriber_id)
    )
    return [
        Graded(
            one.subscriber_id,
            grades[one.subscriber_id],
            tier_of(grades[one.subscriber_id], one.value_yuan, limits, refused=one.refused),
            rank,
        )
        for rank, one in enumerate(ordered, start=1)
    ]


@dataclass(frozen=True)
class Wanted:
    """One subscriber of a campaign that admits without grades: whether they are wanted, and what orders them."""

    subscriber_id: str
    is_wanted: bool
    order: float | None


def admitted(subscribers: Sequence[Wanted], top: int | None = None) -> list[tuple[str, bool]]:
    """Everybody in the order of their rank, and whether they are admitted: at most the `top` wanted ones.

    The wanted go first, of them the largest `order`, the unknown last, then by subscriber_id.
    """
    ordered = sorted(
        subscribers,
        key=lambda one: (not one.is_wanted, one.order is None, -(one.order or 0.0), one.subscriber_id),
    )
    places = len(ordered) if top is None else top
    return [(one.subscriber_id, one.is_wanted and rank < places) for rank, one in enumerate(ordered)]
