"""Values in bins: how far two distributions lie apart, and how much a factor tells of what happened."""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]
Codes = NDArray[np.intp]
Counts = NDArray[np.float64]

#: Bins of equal share besides the one of what is unknown.
BINS = 10
#: A bin nobody is in counts as this share, so that no ratio is infinite.
LEAST_SHARE = 1e-4
_SMOOTHING = 0.5


def edges(values: Values) -> Values:
    """The inner bounds of bins that hold about equally many of the known values; fewer where values repeat."""
    known = values[~np.isnan(values)]
    if not len(known):
        return np.empty(0, dtype=np.float32)
    shares = np.arange(1, BINS) / BINS
    found = np.unique(np.quantile(known, shares, method="lower").astype(np.float32))
    below = known[known < found[0]]
    if len(below) and (known == found[0]).mean() >= 1 / BINS:
        return np.append(below.max(), found)  # what lies below a common lowest bound is told apart from it
    return found


def codes(values: Values, bounds: Values) -> Codes:
    """The bin of every value, 0 for unknown ones; a value on a bound belongs to the bin below it."""
    return np.where(np.isnan(values), 0, 1 + np.searchsorted(bounds, values, side="left"))


def shares(code: Codes, bounds: Values) -> Counts:
    """The share of every bin, the unknown first."""
    counts = np.bincount(code, minlength=len(bounds) + 2)
    return np.asarray(counts / max(counts.sum(), 1), dtype=np.float64)


def stability(before: Counts, after: Counts) -> float:
    """Population stability index of two shares over the same bins: 0 for the same, above 0.25 for others.

    The symmetric divergence of Jeffreys (1946), with the bounds credit scoring goes by (Siddiqi, Credit Risk
    Scorecards, 2006).
    """
    old, new = np.maximum(before, LEAST_SHARE), np.maximum(after, LEAST_SHARE)
    return float(((new - old) * np.log(new / old)).sum())


def information(code: Codes, happened: Counts, weights: Counts) -> tuple[float, float]:
    """Information value and mutual information (nats) of the bins about what happened (0 or 1).

    The first is the divergence of the shares of those with whom it happened and of the others, by weights of
    evidence (Good 1950; Siddiqi 2006); the second is Shannon's (1948), which does not grow with a rare event.

    Zero where nothing, or the same to everybody, happened.
    """
    size = int(code.max(initial=0)) + 1
    events, others = (
        np.bincount(code, weights=weights * which, minlength=size).astype(np.float64)
        for which in (happened, 1 - happened)
    )
    if not events.sum() or not others.sum():
        return 0.0, 0.0
    used = events + others > 0
    return _information_value(events[used], others[used]), _mutual(events[used], others[used])


def _information_value(events: Counts, others: Counts) -> float:
    """Smoothed by half a person a bin: a bin without events tells something, but not everything."""
    bad = (events + _SMOOTHING) / (events + _SMOOTHING).sum()
    good = (others + _SMOOTHING) / (others + _SMOOTHING).sum()
    return float(((bad - good) * np.log(bad / good)).sum())


def _mutual(events: Counts, others: Counts) -> float:
    joint = np.stack([events, others]) / (events.sum() + others.sum())
    apart = joint.sum(axis=0, keepdims=True) * joint.sum(axis=1, keepdims=True)
    there = joint > 0
    return float(max(0.0, (joint[there] * np.log(joint[there] / apart[there])).sum()))
