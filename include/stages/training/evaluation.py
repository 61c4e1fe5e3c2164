"""Evaluation of a flat table: the loop's own model code, cross-validated, with intervals."""

from typing import Any, TypedDict, cast

import numpy as np

from include.domain.errors import BadInput
from include.models import bootstrap, fitting, quality, trees
from include.models.calibration import Floats
from include.models.fitting import Chosen
from include.models.training_sets import FOLDS, Examples
from include.stages.training.table import Table


class Bounded(TypedDict):
    """A figure and its 95 % interval; null where it is not defined."""

    value: float | None
    low: float | None
    high: float | None


class Evaluation(TypedDict):
    """What `evaluate` found; the figures that rank or fit are `Bounded`."""

    rows: int
    churners: int
    rows_without_label: int
    factors: int
    left_out: dict[str, str]
    folds: int
    kind: str
    log_loss_of_candidates: dict[str, float]
    base_rate: float | None
    auc: Bounded
    pr_auc: Bounded
    top_decile_lift: Bounded
    brier: Bounded
    calibration_error: float


def evaluate(table: Table, nthread: int | None = None) -> Evaluation:
    """Every row judged by models, and a calibration, that saw neither it nor its equals; JSON-able.

    Figures are value, low, high (95 %, bootstrap over rows). The kind is chosen as in training: the
    blend, unless one kind alone has a surely lower log loss.
    """
    weights = np.ones(len(table.happened))
    for fold in range(FOLDS):
        left = table.happened[table.fold != fold]
        if not 0 < left.sum() < len(left):
            raise BadInput("All rows that left stand in one fold: too few differ to cross-validate.")
    examples = Examples(
        table.values, table.happened, weights, table.fold, np.zeros(len(weights), dtype=np.uint8)
    )
    grown = fitting.cross_grown(examples, table.factors, tuple(trees.RECIPES), nthread)
    margins = {
        kind: fitting.judged_margins(table.values, table.fold, [each[kind] for each in grown])
        for kind in trees.RECIPES
    }
    chosen = fitting.choose(margins, table.happened, weights, table.fold)
    found = {
        "rows": len(weights),
        "churners": int(table.happened.sum()),
        "rows_without_label": table.unlabelled,
        "factors": len(table.factors),
        "left_out": table.left_out,
        "folds": FOLDS,
        "kind": chosen.kind,
        "log_loss_of_candidates": dict(chosen.losses),
        **_with_intervals(chosen, table.happened, weights),
    }
    return cast(Evaluation, found)


def _with_intervals(chosen: Chosen, happened: Floats, weights: Floats) -> dict[str, Any]:
    probabilities = chosen.calibrated.probabilities
    judged = (probabilities, happened, weights, chosen.margins)
    figures, bounds = quality.figures(*judged), bootstrap.intervals(*judged)
    found: dict[str, Any] = {"base_rate": figures["base_rate"]}
    for name, bound in bounds.items():
        low, high = bound or (None, None)
        found[name] = {"value": figures[name], "low": low, "high": high}
    found["calibration_error"] = quality.calibration_error(probabilities, happened, weights)
    return found
