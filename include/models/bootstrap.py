"""Bootstrap: how far a figure, or the difference of two models on the same people, may be chance."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from include.models.calibration import Floats
from include.models.quality import Ranking

DRAWS = 400
SEED = 20
#: More people than this are drawn in so many groups.
GROUPS = 20_000
#: Percentiles of the draws that bound 95 %.
BOUNDS = (2.5, 97.5)

Interval = tuple[float, float]


def intervals(
    probabilities: Floats, happened: Floats, weights: Floats, ranked_by: Floats, draws: int = DRAWS
) -> dict[str, Interval | None]:
    """95 % intervals of auc, pr_auc, top_decile_lift and brier over resampled people (Efron 1979)."""
    ranking, missed = Ranking.of(ranked_by), (probabilities - happened) ** 2
    figures: dict[str, Callable[[Floats], float | None]] = {
        "auc": lambda w: ranking.auc(happened, w),
        "pr_auc": lambda w: ranking.average_precision(happened, w),
        "top_decile_lift": lambda w: ranking.top_decile_lift(happened, w),
        "brier": lambda w: float(w @ missed / w.sum()) if w.sum() else None,
    }
    found: dict[str, list[float]] = {name: [] for name in figures}
    for drawn in resampled(weights, draws):
        for name, figure in figures.items():
            if (value := figure(drawn)) is not None:
                found[name].append(value)
    return {name: interval(values) for name, values in found.items()}


def auc_difference(
    ours: Floats, theirs: Floats, happened: Floats, weights: Floats, draws: int = 2 * DRAWS
) -> Interval | None:
    """95 % interval of auc(ours) − auc(theirs), both judged by the same people in every draw."""
    return mean_auc_difference([ours], [theirs], happened, weights, draws)


def mean_auc_difference(
    ours: Sequence[Floats],
    theirs: Sequence[Floats],
    happened: Floats,
    weights: Floats,
    draws: int = 2 * DRAWS,
) -> Interval | None:
    """The same of the mean over several scorings of the same people: a single split's chance counts less."""
    pairs = [(Ranking.of(mine), Ranking.of(other)) for mine, other in zip(ours, theirs, strict=True)]
    values = []
    for drawn in resampled(weights, draws):
        found = [(mine.auc(happened, drawn), other.auc(happened, drawn)) for mine, other in pairs]
        known = [a - b for a, b in found if a is not None and b is not None]
        if known:
            values.append(float(np.mean(known)))
    return interval(values)


def mean_difference(losses: Floats, weights: Floats, draws: int = 2 * DRAWS) -> Interval | None:
    """95 % interval of the weighted mean of `losses`: differences of two models, person by person.

    Beyond so many people random groups of them are drawn: as exact, and quick for a million.
    """
    group = np.random.default_rng(SEED).permutation(len(losses)) % GROUPS
    summed, weight = np.bincount(group, weights * losses), np.bincount(group, weights)
    values = []
    for drawn in resampled(np.ones(len(weight)), draws):
        if (total := float(drawn @ weight)) > 0:
            values.append(float(drawn @ summed) / total)
    return interval(values)


def resampled(weights: Floats, draws: int) -> Iterator[Floats]:
    """The weights of people drawn with replacement, as many as there are; the same draws every time."""
    random, people = np.random.default_rng(SEED), len(weights)
    for _ in range(draws if people else 0):
        yield weights * np.bincount(random.integers(0, people, people), minlength=people)


def interval(values: list[float]) -> Interval | None:
    """The middle 95 % of the values; None of none."""
    if not values:
        return None
    low, high = np.percentile(values, BOUNDS)
    return float(low), float(high)
