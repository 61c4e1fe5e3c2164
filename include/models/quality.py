"""Figures of quality: how well probabilities rank and fit what happened, all of them weighted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Figures = dict[str, float | int | None]


@dataclass(frozen=True)
class Ranking:
    """Scores ordered once, so that figures under many weights (a bootstrap) cost one pass each.

    tie: per row the number of its group of equal scores, the lowest score being 0.
    """

    tie: NDArray[np.intp]
    ties: int

    @classmethod
    def of(cls, scores: Floats) -> "Ranking":
        """The ranking of `scores` (rows)."""
        levels, tie = np.unique(scores, return_inverse=True)
        return cls(tie.astype(np.intp), len(levels))

    def _by_tie(self, happened: Floats, weights: Floats) -> tuple[Floats, Floats]:
        """Weight of churners and of all in each tie, the lowest first."""
        churned = np.bincount(self.tie, weights * happened, self.ties)
        total = np.bincount(self.tie, weights, self.ties)
        return churned.astype(np.float64), total.astype(np.float64)

    def auc(self, happened: Floats, weights: Floats) -> float | None:
        """Area under the ROC curve as the rank statistic it is (Hanley and McNeil 1982); None with one class alone."""
        churned, total = self._by_tie(happened, weights)
        stayed = total - churned
        pairs = float(churned.sum()) * float(stayed.sum())
        if pairs <= 0:
            return None
        return float(churned @ (np.cumsum(stayed) - stayed / 2)) / pairs

    def average_precision(self, happened: Floats, weights: Floats) -> float | None:
        """Area under the precision-recall steps (Davis and Goadrich 2006), not lines; None without churners."""
        churned, total = (values[::-1] for values in self._by_tie(happened, weights))
        if float(churned.sum()) <= 0:
            return None
        reached = np.cumsum(total)
        precision = np.divide(np.cumsum(churned), reached, out=np.zeros_like(reached), where=reached > 0)
        return float(churned @ precision) / float(churned.sum())

    def top_decile_lift(self, happened: Floats, weights: Floats) -> float | None:
        """Churn rate of the tenth (by weight) scored highest, over that of all; ties share their churners."""
        churned, weight = (values[::-1] for values in self._by_tie(happened, weights))
        total, all_churned = float(weight.sum()), float(churned.sum())
        if all_churned <= 0:
            return None
        room = np.clip(total / 10 - (np.cumsum(weight) - weight), 0.0, weight)
        share = np.divide(room, weight, out=np.zeros_like(weight), where=weight > 0)
        return float(share @ churned) / (total / 10) / (all_churned / total)


def auc(scores: Floats, happened: Floats, weights: Floats) -> float | None:
    """Area under the ROC curve; None when only one class is there. Rows of weight 0 do not count."""
    return Ranking.of(scores).auc(happened, weights)


def figures(
    probabilities: Floats, happened: Floats, weights: Floats, ranked_by: Floats | None = None
) -> Figures:
    """auc, pr_auc, brier, log_loss, top_decile_lift, base_rate, n, churners; None where undefined.

    `ranked_by`: scores to rank by instead, where the probabilities come from calibrations that differ by
    fold. The model that serves has one, which changes no rank.
    """
    counted = weights > 0
    p, y, w = probabilities[counted], happened[counted], weights[counted]
    total, churned = float(w.sum()), float(w @ y)
    if total == 0:
        return {"n": 0, "churners": 0, **dict.fromkeys(_UNDEFINED)}
    ranking = Ranking.of(p if ranked_by is None else ranked_by[counted])
    return {
        "auc": ranking.auc(y, w),
        "pr_auc": ranking.average_precision(y, w),
        "brier": float(w @ (p - y) ** 2) / total,
        "log_loss": log_loss(p, y, w),
        "top_decile_lift": ranking.top_decile_lift(y, w),
        "base_rate": churned / total,
        "n": len(y),
        "churners": int(y.sum()),
    }


_UNDEFINED = ("auc", "pr_auc", "brier", "log_loss", "top_decile_lift", "base_rate")


def losses(probabilities: Floats, happened: Floats) -> Floats:
    """Per person −log of the probability given to what happened."""
    given = np.where(happened > 0, probabilities, 1 - probabilities)
    return np.asarray(-np.log(np.clip(given, 1e-12, 1.0)))


def log_loss(probabilities: Floats, happened: Floats, weights: Floats) -> float:
    """Weighted mean of the losses."""
    return float(weights @ losses(probabilities, happened) / weights.sum())


def top_decile_lift(probabilities: Floats, happened: Floats, weights: Floats) -> float | None:
    """As `Ranking.top_decile_lift`."""
    return Ranking.of(probabilities).top_decile_lift(happened, weights)


def calibration_error(probabilities: Floats, happened: Floats, weights: Floats, bins: int = 10) -> float:
    """Expected calibration error (Naeini, Cooper and Hauskrecht 2015): |promised − seen| over tenths, weighted.

    The tenths are of the people by probability, so that each counts alike.
    """
    order = np.argsort(probabilities, kind="stable")
    w = weights[order]
    total = float(w.sum())
    tenth = np.minimum(((np.cumsum(w) - w / 2) / total * bins).astype(np.intp), bins - 1)
    gap = np.bincount(tenth, w * (probabilities[order] - happened[order]), bins)
    return float(np.abs(gap).sum()) / total
