"""The model card: window, factors, figures by cluster and segment, limits; nothing that a clock says."""

from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

import polars as pl

from include.models import quality, trees
from include.models.champions import POOLED
from include.models.fitting import Fitted, Plan
from include.models.quality import Figures
from include.models.training_sets import LabelledMonth

#: A segment with fewer churners has no figures of its own: they would be chance.
CHURNERS_PER_SEGMENT = 10
#: Of a segment with many values the largest are told.
_VALUES = 10
_SEGMENTS = ("cluster", "is_active", "value", "region_code")


class Card(TypedDict):
    """The model card as JSON. known: per factor its median in training and the share that missed it."""

    version: str
    campaign: str
    cluster: str
    kind: str
    log_loss_of_candidates: dict[str, float]
    trained_for: str
    months: list[str]
    judged_on: list[str]
    judged_by: str
    factors: list[str]
    known: dict[str, Mapping[str, float]]
    parameters: dict[str, Mapping[str, Any]]
    calibration: str
    base_rate_of_all_months: float
    kept_share_of_stayers: float
    contacted_dropped: int
    figures: Figures
    segments: list[dict[str, Any]]
    limits: list[str]


def card_of(version: str, campaign: str, plan: Plan, fitted: Fitted, figures: Figures) -> Card:
    """The card of a version as JSON, the same for the same data."""
    return {
        "version": version,
        "campaign": campaign,
        "cluster": plan.cluster,
        "kind": fitted.kind,
        "log_loss_of_candidates": dict(fitted.candidates),
        "trained_for": plan.all_months[-1].month,
        "months": [each.month for each in plan.all_months],
        "judged_on": [each.month for each in plan.judge],
        "judged_by": "older months" if len(plan.fit) < len(plan.all_months) else "folds of subscribers",
        "factors": list(plan.factors),
        "known": dict(fitted.known),
        "parameters": {kind: trees.RECIPES[kind].described() for kind in trees.parts_of(fitted.kind)},
        "calibration": fitted.calibration.kind,
        "base_rate_of_all_months": fitted.base_rate,
        "kept_share_of_stayers": plan.kept_share,
        "contacted_dropped": sum(_contacted(each) for each in plan.all_months),
        "figures": figures,
        "segments": list(_by_segment(fitted.judged)),
        "limits": list(_limits(plan, fitted, figures)),
    }


def _contacted(month: LabelledMonth) -> int:
    return month.weights.filter(pl.col("weight") == 0).height


def _by_segment(judged: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Figures of the judged people by cluster, activity, value (thirds) and region."""
    third = pl.col("value_yuan").rank("ordinal") / pl.col("value_yuan").count()
    value = pl.when(third <= 1 / 3).then(pl.lit("low")).when(third <= 2 / 3).then(pl.lit("middle"))
    people = judged.with_columns(
        value=pl.when(pl.col("value_yuan").is_not_null()).then(value.otherwise(pl.lit("high")))
    )
    for segment in _SEGMENTS:
        counts = people[segment].drop_nulls().value_counts().sort("count", segment, descending=[True, False])
        for name in counts[segment].head(_VALUES):
            yield from _figures_of(segment, name, people.filter(pl.col(segment) == name))


def _figures_of(segment: str, name: object, rows: pl.DataFrame) -> Iterator[dict[str, Any]]:
    figures = quality.figures(
        *(rows[each].to_numpy() for each in ("probability", "happened", "weight", "margin"))
    )
    whose = {"segment": segment, "value": str(name).lower() if isinstance(name, bool) else name}
    if (figures["churners"] or 0) < CHURNERS_PER_SEGMENT:
        figures = {each: figures[each] for each in ("n", "churners", "base_rate")}
    yield {**whose, **figures}


def _limits(plan: Plan, fitted: Fitted, figures: Figures) -> Iterator[str]:
    """What the model must not be taken for, in sentences."""
    window = f"{plan.all_months[0].month} to {plan.all_months[-1].month}"
    yield (
        f"It learned from {window} and says how the month after would go if people, prices and "
        "competitors stayed as they were then."
    )
    if len(plan.all_months) == 1:
        yield "One month was all there was: other people of that month have judged it, no other month."
    churners = figures["churners"] or 0
    if churners < 200:
        yield f"Its figures rest on {churners} churners; an AUC may be 0.03 off by chance alone."
    if plan.cluster != POOLED:
        yield f"It scores subscribers of the tenure cluster {plan.cluster} only."
    if not fitted.judged["is_active"].any():
        yield "Who was active is not known; auc_active is missing."
    yield "Its reasons tell what moved the score, not what would keep the customer."
    yield "It is made to rank whom to call; nothing else about a person may be decided by it."
