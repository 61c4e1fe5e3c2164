"""Calibration: from a model's margin (log-odds) to a probability that means what it says, kept as a table."""

import json
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PLATT, ISOTONIC = "platt", "isotonic"

#: From so many churners a free monotone curve may be better than a line in log-odds: the data choose.
ISOTONIC_FROM = 200
#: The curve's finest step: an end block of a few people would promise them 0 or 1.
CHURNERS_PER_STEP = 25
#: Nobody is surer than this.
_CERTAIN = 1e-6


@dataclass(frozen=True)
class Calibration:
    """Points (margin → log-odds) with straight lines between them, and a line of `slope` beyond either end.

    kind "platt" is one point and its line; "isotonic" has as many points as the data speak for.
    """

    kind: str
    margins: tuple[float, ...]
    log_odds: tuple[float, ...]
    slope: float

    def probabilities(self, margins: Floats) -> Floats:
        """The probability of churn for each margin, shape as given, within [1e-6, 1 − 1e-6]."""
        within = np.clip(margins, self.margins[0], self.margins[-1])
        return _probability(np.interp(within, self.margins, self.log_odds) + self.slope * (margins - within))

    def to_json(self) -> str:
        """The table as text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Calibration":
        """The table written by `to_json`."""
        stored = json.loads(text)
        return cls(stored["kind"], tuple(stored["margins"]), tuple(stored["log_odds"]), stored["slope"])


@dataclass(frozen=True)
class Calibrated:
    """A calibration, and the probabilities that ones of its kind gave to people they did not see."""

    calibration: Calibration
    probabilities: Floats


def calibrate(
    margins: Floats,
    happened: Floats,
    weights: Floats,
    fold: NDArray[np.uint8],
    kinds: tuple[str, ...] = (PLATT, ISOTONIC),
) -> Calibrated:
    """Of `kinds` whichever has the lower log loss on folds it did not see.

    `margins` are of a model that did not see these rows; weights 0 do not count. Fewer than 200 churners
    (of weight) leave Platt's line.
    """
    enough = happened[weights > 0].sum() >= ISOTONIC_FROM
    kinds = kinds if enough else (PLATT,)
    crossed = {kind: _crossed(kind, margins, happened, weights, fold) for kind in kinds}
    kind = min(kinds, key=lambda each: _loss(crossed[each], happened, weights))
    return Calibrated(fit_calibration(kind, margins, happened, weights), crossed[kind])


def _crossed(
    kind: str, margins: Floats, happened: Floats, weights: Floats, fold: NDArray[np.uint8]
) -> Floats:
    found = np.empty(len(margins))
    for number in np.unique(fold):
        seen = fold != number
        calibration = fit_calibration(kind, margins[seen], happened[seen], weights[seen])
        found[~seen] = calibration.probabilities(margins[~seen])
    return found


def _loss(probabilities: Floats, happened: Floats, weights: Floats) -> float:
    given = np.where(happened > 0, probabilities, 1 - probabilities)
    return float(-(weights @ np.log(given)))


def fit_calibration(kind: str, margins: Floats, happened: Floats, weights: Floats) -> Calibration:
    """Fit on margins of a model that did not see these rows; weights 0 do not count.

    "isotonic": pool adjacent violators (Zadrozny and Elkan 2002) over steps of 25 churners, joined at their centres
    so that few ties remain; "platt": a line with smoothed targets (Platt 1999).
    """
    counted = weights > 0
    margins, happened, weights = margins[counted], happened[counted], weights[counted]
    return (_isotonic if kind == ISOTONIC else _platt)(margins, happened, weights)


def _isotonic(margins: Floats, happened: Floats, weights: Floats) -> Calibration:
    from sklearn.isotonic import IsotonicRegression

    order = np.argsort(margins, kind="stable")
    margins, happened, weights = margins[order], happened[order], weights[order]
    last = happened.sum() // CHURNERS_PER_STEP - 1
    step = np.minimum(np.cumsum(happened) // CHURNERS_PER_STEP, last).astype(np.intp)
    weight, centres, rates = _steps(step, margins, happened, weights)
    level = IsotonicRegression(y_min=0.0, y_max=1.0).fit_transform(centres, rates, sample_weight=weight)
    _, block = np.unique(level, return_inverse=True)
    _, centres, rates = _steps(block, centres, rates, weight)
    tails = _platt(margins, happened, weights).slope
    return Calibration(ISOTONIC, _plain(centres), _plain(log_odds(rates)), tails)


def _steps(
    step: NDArray[np.intp], margins: Floats, rates: Floats, weights: Floats
) -> tuple[Floats, Floats, Floats]:
    """Weight, mean margin and mean rate of each step."""
    weight = np.bincount(step, weights).astype(np.float64)
    return weight, np.bincount(step, weights * margins) / weight, np.bincount(step, weights * rates) / weight


def _platt(margins: Floats, happened: Floats, weights: Floats) -> Calibration:
    churned, stayed = float(weights @ happened), float(weights @ (1 - happened))
    targets = np.where(happened > 0, (churned + 1) / (churned + 2), 1 / (stayed + 2))
    intercept, slope = _logistic_line(margins, targets, weights)
    if slope <= 0:  # the ranking is worth nothing: everybody gets the base rate
        rate = (churned + 1) / (churned + stayed + 2)
        intercept, slope = float(log_odds(np.array(rate))), 0.0
    return Calibration(PLATT, (0.0,), (intercept,), slope)


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


def log_odds(rates: Floats) -> Floats:
    """The logarithm of rate : 1 − rate, of rates held within [1e-6, 1 − 1e-6]."""
    rates = np.clip(rates, _CERTAIN, 1 - _CERTAIN)
    return np.asarray(np.log(rates / (1 - rates)))


def _plain(values: Floats) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
