"""Figures of quality: how well probabilities rank and fit what happened, all of them weighted."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Figures = dict[str, float | int | None]


def auc(scores: Floats, has_churned: Floats, weights: Floats) -> float | None:
    """Area under the ROC curve; None when only one class is there. Rows of weight 0 do not count."""
    from sklearn.metrics import roc_auc_score

    counted = weights > 0
    if len(np.unique(has_churned[counted])) < 2:
        return None
    area = roc_auc_score(has_churned[counted], scores[counted], sample_weight=weights[counted])
    return float(area)


def figures(probabilities: Floats, has_churned: Floats, weights: Floats) -> Figures:
    """auc, pr_auc, brier, log_loss, top_decile_lift, base_rate, n, churners; None where undefined."""
    from sklearn.metrics import average_precision_score

    counted = weights > 0
    p, y, w = probabilities[counted], has_churned[counted], weights[counted]
    total, churned = float(w.sum()), float(w @ y)
    if total == 0:
        return {"n": 0, "churners": 0, **dict.fromkeys(_UNDEFINED)}
    return {
        "auc": auc(p, y, w),
        "pr_auc": float(average_precision_score(y, p, sample_weight=w)) if churned > 0 else None,
        "brier": float(w @ (p - y) ** 2) / total,
        "log_loss": log_loss(p, y, w),
        "top_decile_lift": top_decile_lift(p, y, w),
        "base_rate": churned / total,
        "n": len(y),
        "churners": int(y.sum()),
    }


_UNDEFINED = ("auc", "pr_auc", "brier", "log_loss", "top_decile_lift", "base_rate")


def log_loss(probabilities: Floats, has_churned: Floats, weights: Floats) -> float:
    """Weighted mean of −log of the probability given to what happened."""
    given = np.where(has_churned > 0, probabilities, 1 - probabilities)
    return float(-(weights @ np.log(np.clip(given, 1e-12, 1.0))) / weights.sum())


def top_decile_lift(probabilities: Floats, has_churned: Floats, weights: Floats) -> float | None:
    """Churn rate of the tenth (by weight) scored highest, over that of all; ties share their churners."""
    churned, total = float(weights @ has_churned), float(weights.sum())
    if churned == 0:
        return None
    _, tie = np.unique(-probabilities, return_inverse=True)
    weight = np.bincount(tie, weights)
    before = np.concatenate([[0.0], np.cumsum(weight)[:-1]])
    taken = np.clip((total / 10 - before) / weight, 0.0, 1.0)
    caught = float(taken @ np.bincount(tie, weights * has_churned))
    return caught / (total / 10) / (churned / total)
