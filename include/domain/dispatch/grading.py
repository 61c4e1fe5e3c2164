"""Grades and tiers: their names, the thresholds between them, and how many the rules alone may make high."""

import math
from dataclasses import dataclass

HIGH, MID, LOW = GRADES = ("high", "mid", "low")
PRIORITY, SECONDARY, MONITORING = TIERS = ("priority", "secondary", "monitoring")
# Without a model one indicator may be chance; two that have nothing to do with each other rarely are.
INDEPENDENT_HITS = 2


@dataclass(frozen=True)
class Thresholds:
    """What grading.yaml sets; `base_rate` is the model's, or the configured one."""

    base_rate: float
    high_times: float
    mid_times: float
    rules_only_high_points: float
    rules_only_high_share: float
    priority_value_yuan: float
    secondary_value_yuan: float


def high_places(population: int, floored: int, thresholds: Thresholds) -> int:
    """How many subscribers without a probability may be high beyond those whom a rule's floor lifts.

    The share is never exceeded, but in a population however small one place is given.
    """
    share = math.floor(thresholds.rules_only_high_share * population + 1e-9)
    return max(0, max(1, share) - floored)
