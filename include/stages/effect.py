"""The effect of retention: how much less the treated left than the held-out, by intention to treat."""

from dataclasses import dataclass
from math import sqrt

#: Two-sided 95 %.
_Z = 1.959963984540054


@dataclass(frozen=True)
class Arm:
    """Everybody assigned to an arm, contacted or not, and how many of them left."""

    subscribers: int
    churned: int

    @property
    def churn_rate(self) -> float:
        """Share that left."""
        return self.churned / self.subscribers

    def interval(self) -> tuple[float, float]:
        """95 % interval of the churn rate (Wilson 1927): sound for small arms and rates near 0."""
        n, rate = self.subscribers, self.churn_rate
        middle = (rate + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half = _Z / (1 + _Z**2 / n) * sqrt(rate * (1 - rate) / n + _Z**2 / (4 * n**2))
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Effect:
    """Churn avoided per treated subscriber, with its 95 % interval."""

    avoided: float
    low: float
    high: float
    treated: int

    @property
    def saves(self) -> tuple[float, float, float]:
        """Incremental saves among the treated: estimate, low, high; negative when contact made them leave."""
        return self.avoided * self.treated, self.low * self.treated, self.high * self.treated


def effect_of(treated: Arm, held_out: Arm) -> Effect | None:
    """Churn rate of the held-out minus the treated (Newcombe 1998, method 10); None without both arms."""
    if treated.subscribers == 0 or held_out.subscribers == 0:
        return None
    avoided = held_out.churn_rate - treated.churn_rate
    (treated_low, treated_high), (held_low, held_high) = treated.interval(), held_out.interval()
    below = sqrt((held_out.churn_rate - held_low) ** 2 + (treated_high - treated.churn_rate) ** 2)
    above = sqrt((held_high - held_out.churn_rate) ** 2 + (treated.churn_rate - treated_low) ** 2)
    return Effect(avoided, avoided - below, avoided + above, treated.subscribers)
