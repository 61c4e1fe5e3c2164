"""Comparison: the loop's model on its factors beside scikit-learn's trees on the raw columns, same folds."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from include.domain.errors import NotReady
from include.domain.months import shift
from include.lake import Lake
from include.stages import bootstrap, examples, fitting, labels, quality
from include.stages.calibration import Floats
from include.stages.examples import FOLDS, Folds, LabelledMonth, folds_of
from include.stages.fitting import Plan

_MONTHS = 6
_NO_WEIGHTS = {"subscriber_id": pl.String, "weight": pl.Float64}


def compare(lake: Lake, month: str, horizon: int = 1, nthread: int | None = None) -> dict[str, Any]:
    """Areas under the curve of `month` by view, and how far each rival lies behind (95 %, paired bootstrap).

    Views: all; active (call minutes in the month, where they are delivered); early (what was known a month
    before). Factors of the month, and of the month before, must stand; contacts are not looked at.
    """
    if not lake.has("factors", month):
        raise NotReady(f"The lake has no factors of {month}. Run the loop for it with --train first.")
    if missing := [each for each in labels.window(month, horizon) if not lake.has(labels.CHURNED, each)]:
        raise NotReady(f"The lake has no churned of {missing[0]}: nobody knows who left. Deliver it first.")
    labelled = LabelledMonth(month, labels.leavers(lake, month, horizon), pl.DataFrame(schema=_NO_WEIGHTS))
    plan = Plan((labelled,), (labelled,), (labelled,), examples.common_factors(lake, [month]), 1.0, nthread)
    fitted = fitting.fit(lake, plan)
    people = _with_rivals(lake, fitted.judged.rename({"margin": "loop"}), month)
    views = {"all": _view(people), "active": _view(people.filter(pl.col("is_active")))}
    early = fitting.early_scores(lake, plan, fitted.kind)
    if early is not None:
        before = early.rename({"margin": "loop"})
        views["early"] = _view(_with_rivals(lake, before, shift(month, -1)))
    return {"month": month, "kind": fitted.kind, "factors": len(plan.factors), "views": views}


def _with_rivals(lake: Lake, people: pl.DataFrame, month: str) -> pl.DataFrame:
    return people.with_columns(**_rivals(_raw(lake, people, month), people))


def _raw(lake: Lake, people: pl.DataFrame, month: str) -> pl.DataFrame:
    """Every numeric usage column of the months up to `month`, and the tenure, in the order of `people`."""
    rows = people.select("subscriber_id").lazy()
    tenure = lake.scan("factors", month).select("subscriber_id", "tenure_months")
    rows = rows.join(tenure, on="subscriber_id", how="left", maintain_order="left")
    for back in range(_MONTHS):
        past = shift(month, -back)
        if lake.has("usage_months", past):
            numbers = pl.selectors.numeric().cast(pl.Float64).name.suffix(f" {past}")
            usage = lake.scan("usage_months", past).select("subscriber_id", numbers)
            rows = rows.join(usage, on="subscriber_id", how="left", maintain_order="left")
    return rows.drop("subscriber_id").collect()


def _rivals(raw: pl.DataFrame, people: pl.DataFrame) -> Mapping[str, pl.Series]:
    """Out-of-fold scores of scikit-learn's models on the raw columns, with the loop's folds."""
    fold, happened = folds_of(people["subscriber_id"]), people["has_churned"].to_numpy()
    values = raw.to_numpy()
    return {name: pl.Series(_crossed(rival, values, happened, fold)) for name, rival in rivals().items()}


def rivals() -> dict[str, Any]:
    """The models of scikit-learn to compare with, as they come."""
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

    return {
        "hist_gradient_boosting": HistGradientBoostingClassifier(random_state=0),
        "random_forest": RandomForestClassifier(n_estimators=300, random_state=0),
    }


def _crossed(rival: Any, values: Floats, happened: Floats, fold: Folds) -> Floats:
    found = np.empty(len(happened))
    for number in range(FOLDS):
        seen = fold != number
        found[~seen] = rival.fit(values[seen], happened[seen]).predict_proba(values[~seen])[:, 1]
    return found


def _view(people: pl.DataFrame) -> dict[str, Any]:
    happened, weights = people["has_churned"].to_numpy(), people["weight"].to_numpy()
    ours = people["loop"].to_numpy()
    told: dict[str, Any] = {
        "people": people.height,
        "churners": int(happened.sum()),
        "loop": quality.auc(ours, happened, weights),
    }
    for name in ("hist_gradient_boosting", "random_forest"):
        theirs = people[name].to_numpy()
        low, high = bootstrap.auc_difference(ours, theirs, happened, weights) or (None, None)
        told[name] = {
            "auc": quality.auc(theirs, happened, weights), "difference_low": low, "difference_high": high
        }  # fmt: skip
    return told
