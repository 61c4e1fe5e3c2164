"""Calibration: from a model's margin (log-odds) to a probability that means what it says, kept as a table."""

import json
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: From so many churners a free monotone curve is steadier than it is noisy; below, a line in log-odds.
ISOTONIC_FROM = 1_000
#: A curve through few rows would promise 0 or 1; nobody is that sure.
_CERTAIN = 1e-6


@dataclass(frozen=True)
class Calibration:
    """Points (margin → `values`) with straight lines between them.

    kind "platt": two points, values in log-odds, the line goes on beyond them. kind "isotonic": values are
    probabilities, level beyond the ends.
    """

    kind: str
    margins: tuple[float, ...]
    values: tuple[float, ...]

    def probabilities(self, margins: Floats) -> Floats:
        """The probability of churn for each margin, shape as given, within [1e-6, 1 − 1e-6]."""
        if self.kind == "isotonic":
            return np.clip(np.interp(margins, self.margins, self.values), _CERTAIN, 1 - _CERTAIN)
        slope = (self.values[1] - self.values[0]) / (self.margins[1] - self.margins[0])
        return _probability(self.values[0] + slope * (margins - self.margins[0]))

    def to_json(self) -> str:
        """The table as text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Calibration":
        """The table written by `to_json`."""
        stored = json.loads(text)
        return cls(stored["kind"], tuple(stored["margins"]), tuple(stored["values"]))


def fit_calibration(margins: Floats, has_churned: Floats, weights: Floats) -> Calibration:
    """Fit on margins of a model that did not see these rows; weights 0 do not count.

    Isotonic (pool adjacent violators, joined at the blocks' centres so that few ties remain) from 1,000
    churners, else Platt's line with his smoothed targets (Platt 1999).
    """
    counted = weights > 0
    margins, has_churned, weights = margins[counted], has_churned[counted], weights[counted]
    if has_churned.sum() >= ISOTONIC_FROM:
        return _isotonic(margins, has_churned, weights)
    return _platt(margins, has_churned, weights)


def _isotonic(margins: Floats, has_churned: Floats, weights: Floats) -> Calibration:
    from sklearn.isotonic import IsotonicRegression

    level = IsotonicRegression(y_min=0.0, y_max=1.0).fit_transform(
        margins, has_churned, sample_weight=weights
    )
    values, block = np.unique(level, return_inverse=True)
    weight = np.bincount(block, weights)
    centres = np.bincount(block, weights * margins) / weight
    # An empty block is not an impossible one: half a churner among its rows at least.
    values = np.clip(values, 0.5 / (weight[0] + 1), 1 - 0.5 / (weight[-1] + 1))
    return Calibration("isotonic", _plain(centres), _plain(values))


def _platt(margins: Floats, has_churned: Floats, weights: Floats) -> Calibration:
    churned, stayed = float(weights @ has_churned), float(weights @ (1 - has_churned))
    targets = np.where(has_churned > 0, (churned + 1) / (churned + 2), 1 / (stayed + 2))
    intercept, slope = _logistic_line(margins, targets, weights)
    if slope <= 0:  # the ranking is worth nothing: everybody gets the base rate
        rate = (churned + 1) / (churned + stayed + 2)
        intercept, slope = float(np.log(rate / (1 - rate))), 0.0
    return Calibration("platt", (0.0, 1.0), (intercept, intercept + slope))


def _logistic_line(margins: Floats, targets: Floats, weights: Floats) -> tuple[float, float]:
    """Intercept and slope by Newton steps on the weighted log loss, held by a small ridge."""
    design = np.column_stack([np.ones_like(margins), margins])
    line = np.zeros(2)
    for _ in range(100):
        fitted = _probability(design @ line)
        gradient = design.T @ (weights * (fitted - targets)) + 1e-6 * line
        curvature = (design.T * (weights * fitted * (1 - fitted))) @ design + 1e-6 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        # A full step from far away may overshoot; bounded ones converge as surely and soon are full.
        line -= step * min(1.0, 4.0 / max(float(np.abs(step).max()), 1e-12))
        if float(np.abs(step).max()) < 1e-10:
            break
    return float(line[0]), float(line[1])


def _probability(log_odds: Floats) -> Floats:
    return np.clip(1 / (1 + np.exp(-np.clip(log_odds, -30, 30))), _CERTAIN, 1 - _CERTAIN)


def _plain(values: Floats) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
