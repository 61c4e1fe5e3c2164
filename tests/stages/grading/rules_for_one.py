"""Grade, tier and rank for a handful of subscribers at a time: what the stage for millions is held against."""

from collections.abc import Sequence
from dataclasses import dataclass

from include.domain.dispatch.grading import (
    GRADES,
    HIGH,
    INDEPENDENT_HITS,
    LOW,
    MID,
    MONITORING,
    PRIORITY,
    SECONDARY,
    Thresholds,
    high_places,
)


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


def grade_of(one: Scored, thresholds: Thresholds, *, is_strongest: bool) -> str:
    """high, mid or low from the probability relative to the base rate and the floors of the rules hit.

    `is_strongest` says whether somebody without a probability is among the strongest by rules.
    """
    if one.has_high_floor or is_strongest:
        return HIGH
    if one.probability is not None and one.probability >= thresholds.high_times * thresholds.base_rate:
        return HIGH
    if one.hits or (
        one.probability is not None and one.probability >= thresholds.mid_times * thresholds.base_rate
    ):
        return MID
    return LOW


def tier_of(grade: str, value_yuan: float | None, thresholds: Thresholds, *, refused: bool) -> str:
    """What is done: a person calls, an automatic message goes out, or the subscriber is watched."""
    value = value_yuan or 0.0
    if grade == HIGH:
        return PRIORITY if value >= thresholds.priority_value_yuan and not refused else SECONDARY
    return SECONDARY if grade == MID and value >= thresholds.secondary_value_yuan else MONITORING


def strongest_by_rules(subscribers: Sequence[Scored], thresholds: Thresholds) -> set[str]:
    """Whom several indicators together make high where no model ranks: a capped share, strongest first."""
    unranked = [one for one in subscribers if one.probability is None]
    candidates = [
        one
        for one in unranked
        if not one.has_high_floor
        and one.hits >= INDEPENDENT_HITS
        and one.points >= thresholds.rules_only_high_points
    ]
    candidates.sort(key=lambda one: (-one.points, -(one.value_yuan or 0.0), one.subscriber_id))
    places = high_places(len(unranked), sum(one.has_high_floor for one in unranked), thresholds)
    return {one.subscriber_id for one in candidates[:places]}


def grade_all(subscribers: Sequence[Scored], thresholds: Thresholds) -> list[Graded]:
    """Everybody's grade, tier and unique rank 1 … N, best rank first."""
    strongest = strongest_by_rules(subscribers, thresholds)
    grades = {
        one.subscriber_id: grade_of(one, thresholds, is_strongest=one.subscriber_id in strongest)
        for one in subscribers
    }
    ordered = sorted(
        subscribers, key=lambda one: (GRADES.index(grades[one.subscriber_id]), -one.worth, one.subscriber_id)
    )
    return [
        Graded(
            one.subscriber_id,
            grades[one.subscriber_id],
            tier_of(grades[one.subscriber_id], one.value_yuan, thresholds, refused=one.refused),
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
