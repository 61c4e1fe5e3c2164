"""The effect of retention: how differently it went with the treated and the held-out, by intention to treat."""

from dataclasses import dataclass
from math import sqrt

#: Two-sided 95 %.
_Z = 1.959963984540054


@dataclass(frozen=True)
class Arm:
    """Everybody assigned to an arm, contacted or not, and with how many of them something happened."""

    subscribers: int
    happened: int

    @property
    def rate(self) -> float:
        """Share with whom it happened."""
        return self.happened / self.subscribers

    def interval(self) -> tuple[float, float]:
        """95 % interval of the rate (Wilson 1927): sound for small arms and rates near 0."""
        n, rate = self.subscribers, self.rate
        middle = (rate + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half = _Z / (1 + _Z**2 / n) * sqrt(rate * (1 - rate) / n + _Z**2 / (4 * n**2))
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Difference:
    """By how much one arm's rate lies above the other's, with its 95 % interval."""

    value: float
    low: float
    high: float


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


def difference(upper: Arm, lower: Arm) -> Difference | None:
    """Rate of `upper` minus that of `lower` (Newcombe 1998, method 10); None without both arms."""
    if upper.subscribers == 0 or lower.subscribers == 0:
        return None
    value = upper.rate - lower.rate
    (upper_low, upper_high), (lower_low, lower_high) = upper.interval(), lower.interval()
    below = sqrt((upper.rate - upper_low) ** 2 + (lower_high - lower.rate) ** 2)
    above = sqrt((upper_high - upper.rate) ** 2 + (lower.rate - lower_low) ** 2)
    return Difference(value, value - below, value + above)


def effect_of(treated: Arm, held_out: Arm) -> Effect | None:
    """Churn rate of the held-out minus the treated; None without both arms."""
    avoided = difference(held_out, treated)
    return Effect(avoided.value, avoided.low, avoided.high, treated.subscribers) if avoided else None
