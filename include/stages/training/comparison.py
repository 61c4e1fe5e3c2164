"""Comparison: the loop's model on its factors beside scikit-learn's trees on the raw columns, same folds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypedDict

import numpy as np
import polars as pl

from include.domain.errors import NotReady
from include.domain.periods.horizon import Horizon
from include.domain.periods.months import shift
from include.lake import Lake
from include.models import bootstrap, fitting, labels, quality, training_sets
from include.models.calibration import Floats
from include.models.fitting import Plan
from include.models.training_sets import FOLDS, Folds, LabelledMonth
from include.subscribers.histories import Histories

#: So many ways to put the people into folds; one way alone is chance where few left.
SPLITS = 5
_MONTHS = 6
_A_MONTH = Horizon(1)
_NO_WEIGHTS = {"subscriber_id": pl.String, "weight": pl.Float64}


class Rival(Protocol):
    """A model of scikit-learn."""

    def fit(self, values: Floats, happened: Floats) -> "Rival":
        """Learn; returns itself."""

    def predict_proba(self, values: Floats) -> Floats:
        """The probabilities (rows × classes)."""


class Compared(TypedDict):
    """Areas by view; in each `loop` is ours, and every rival has its own with the interval of the difference."""

    month: str
    kind: str
    factors: int
    splits: int
    views: dict[str, dict[str, Any]]


def compare(
    lake: Lake, month: str, horizon: Horizon = _A_MONTH, nthread: int | None = None, splits: int = SPLITS
) -> Compared:
    """Areas under the curve of `month` by view, and how far each rival lies behind (95 %, paired bootstrap).

    Everybody is cross-fitted `splits` times with the same folds for all models; areas are means over them.
    Views: all; active (call minutes in the month, where they are delivered); early (what was known a month
    before). Factors of the month, and of the month before, must stand; contacts are not looked at.
    """
    if not lake.has("factors", month):
        raise NotReady(f"The lake has no factors of {month}. Run the loop for it with --train first.")
    if missing := [each for each in horizon.after(month).months if not lake.has("churned", each)]:
        raise NotReady(f"The lake has no churned of {missing[0]}: nobody knows who left. Deliver it first.")
    everybody = lake.scan("factors", month).select("subscriber_id")
    truths = labels.truths(lake, labels.leaving(horizon), horizon.after(month), everybody)
    labelled = LabelledMonth(month, truths, pl.DataFrame(schema=_NO_WEIGHTS))
    plan = Plan(
        (labelled,), (labelled,), (labelled,), training_sets.common_factors(lake, [month]), 1.0, nthread
    )
    fitted = fitting.fit(lake, plan)
    every = [replace(plan, split=number) for number in range(splits)]
    now = [fitting.scores(lake, each, fitted.kind) for each in every]
    people = [_with_rivals(lake, each, month) for each in now if each is not None]
    early = [fitting.early_scores(lake, each, fitted.kind) for each in every]
    before = [_with_rivals(lake, each, shift(month, -1)) for each in early if each is not None]
    views = {"all": people, "active": [each.filter(pl.col("is_active")) for each in people], "early": before}
    return {
        "month": month,
        "kind": fitted.kind,
        "factors": len(plan.factors),
        "splits": splits,
        "views": {name: _view(scored) for name, scored in views.items() if scored},
    }


def _with_rivals(lake: Lake, scored: pl.DataFrame, month: str) -> pl.DataFrame:
    """The loop's margins as "loop", and a column of each rival's scores."""
    people = scored.rename({"margin": "loop"})
    return people.with_columns(**_rivals(_raw(lake, people, month), people))


def _raw(lake: Lake, people: pl.DataFrame, month: str) -> pl.DataFrame:
    """Every numeric usage column of the months up to `month`, and the tenure, in the order of `people`."""
    rows = people.select("subscriber_id").lazy()
    tenure = lake.scan("factors", month).select("subscriber_id", "tenure_months")
    rows = rows.join(tenure, on="subscriber_id", how="left", maintain_order="left")
    histories = Histories.of(lake, month)
    for back in range(_MONTHS):
        past = shift(month, -back)
        if lake.has("usage_months", past):
            numbers = pl.selectors.numeric().cast(pl.Float64).name.suffix(f" {past}")
            usage = histories.usage(past).select("subscriber_id", numbers)
            rows = rows.join(usage, on="subscriber_id", how="left", maintain_order="left")
    return rows.drop("subscriber_id").collect()


def _rivals(raw: pl.DataFrame, people: pl.DataFrame) -> Mapping[str, pl.Series]:
    """Out-of-fold scores of scikit-learn's models on the raw columns, with the loop's folds."""
    fold, happened = people["fold"].to_numpy(), people["happened"].to_numpy()
    values = raw.to_numpy()
    return {name: pl.Series(_crossed(rival, values, happened, fold)) for name, rival in rivals().items()}


def rivals() -> dict[str, Rival]:
    """The models of scikit-learn to compare with, as they come."""
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

    return {
        "hist_gradient_boosting": HistGradientBoostingClassifier(random_state=0),
        "random_forest": RandomForestClassifier(n_estimators=300, random_state=0),
    }


def _crossed(rival: Rival, values: Floats, happened: Floats, fold: Folds) -> Floats:
    found = np.empty(len(happened))
    for number in range(FOLDS):
        seen = fold != number
        found[~seen] = rival.fit(values[seen], happened[seen]).predict_proba(values[~seen])[:, 1]
    return found


def _view(scored: Sequence[pl.DataFrame]) -> dict[str, Any]:
    """Mean areas over the splits of one view; `scored` holds the same people in the same order."""
    happened, weights = scored[0]["happened"].to_numpy(), scored[0]["weight"].to_numpy()
    ours = [each["loop"].to_numpy() for each in scored]
    areas: dict[str, Any] = {
        "people": len(happened),
        "churners": int(happened.sum()),
        "loop": _mean_area(ours, happened, weights),
    }
    for name in ("hist_gradient_boosting", "random_forest"):
        theirs = [each[name].to_numpy() for each in scored]
        low, high = bootstrap.mean_auc_difference(ours, theirs, happened, weights) or (None, None)
        auc = _mean_area(theirs, happened, weights)
        areas[name] = {"auc": auc, "difference_low": low, "difference_high": high}
    return areas


def _mean_area(scores: Sequence[Floats], happened: Floats, weights: Floats) -> float | None:
    areas = [quality.auc(each, happened, weights) for each in scores]
    known = [area for area in areas if area is not None]
    return float(np.mean(known)) if known else None
