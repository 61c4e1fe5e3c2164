"""Fitting: boosted trees, judged only by people and, where there are several, by months they never saw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import xgboost as xgb

from include.domain.months import shift
from include.lake import Lake
from include.stages import quality
from include.stages.calibration import Calibration, Floats, fit_calibration
from include.stages.examples import FOLDS, Examples, LabelledMonth, folds_of, read_examples
from include.stages.models import margins, matrix, threads

ROUNDS = 120
PARAMETERS: Mapping[str, Any] = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "max_depth": 4,
    "eta": 0.08,
    "min_child_weight": 2,
    "subsample": 0.8,
    "colsample_bytree": 0.6,
    "lambda": 5,
    "seed": 20,
}
#: People who stayed are sampled, and weigh more, beyond so many for each who left: more add time, not skill.
STAYERS_PER_CHURNER = 15
#: Below so many rows nobody is left out; more are never held in memory, whatever the province.
ENOUGH_ROWS, MAXIMUM_ROWS = 40_000, 400_000

_IDENTITY = ("subscriber_id", "cluster", "is_active")


@dataclass(frozen=True)
class Plan:
    """Which months to fit on while judging, which to judge by; the final model learns from all."""

    all_months: tuple[LabelledMonth, ...]
    fit: tuple[LabelledMonth, ...]
    judge: tuple[LabelledMonth, ...]
    factors: tuple[str, ...]
    kept_share: float
    nthread: int | None


@dataclass(frozen=True)
class Fitted:
    """The final model and what was learned of it out of sample.

    judged: one row per person and judged month with subscriber_id, month, cluster, is_active, has_churned,
    weight, fold, margin, probability; none of them from a model that saw the person.
    """

    booster: Any
    calibration: Calibration
    judged: pl.DataFrame
    fold_boosters: tuple[Any, ...]
    rows: int


def fit(lake: Lake, plan: Plan) -> Fitted:
    """Five models for judging, each without a fifth of the subscribers, then the one that serves."""
    examples = read_examples(lake, plan.all_months, plan.factors, plan.kept_share)
    positions = [position for position, month in enumerate(plan.all_months) if month in plan.fit]
    eligible = np.isin(examples.month, positions)
    boosters = tuple(boost(examples.taken(eligible & (examples.fold != fold)), plan) for fold in range(FOLDS))
    judged = pl.concat([_judged(lake, plan, boosters, month) for month in plan.judge])
    return Fitted(
        booster=boost(examples, plan),
        calibration=_calibration(judged, np.ones(judged.height, bool)),
        judged=judged.with_columns(probability=_crossed_probabilities(judged)),
        fold_boosters=boosters,
        rows=len(examples.weights),
    )


def boost(examples: Examples, plan: Plan) -> Any:
    """One booster on the examples."""
    nthread = threads(len(examples.weights), plan.nthread)
    rows = xgb.QuantileDMatrix(
        examples.matrix,
        examples.has_churned,
        weight=examples.weights,
        feature_names=list(plan.factors),
        nthread=nthread,
    )
    base_rate = float(np.clip(examples.base_rate, 1e-6, 1 - 1e-6))
    parameters = {**PARAMETERS, "base_score": base_rate, "nthread": nthread}
    return xgb.train(parameters, rows, num_boost_round=ROUNDS)


def out_of_fold_margins(people: pl.DataFrame, boosters: Sequence[Any], factors: tuple[str, ...]) -> Floats:
    """Each row's margin by the booster that never saw its subscriber."""
    fold, values = folds_of(people["subscriber_id"]), matrix(people, factors)
    found = np.empty(people.height)
    for number, booster in enumerate(boosters):
        found[fold == number] = margins(booster, values[fold == number])
    return found


def figures(lake: Lake, plan: Plan, fitted: Fitted) -> dict[str, Any]:
    """Out-of-sample figures of the judged months; auc_early is of scores made a month earlier."""
    judged = fitted.judged
    found = quality.figures(*_arrays(judged, "probability"))
    active = judged.filter(pl.col("is_active"))
    return {
        "auc_all": found.pop("auc"),
        "auc_active": quality.auc(*_arrays(active, "probability")),
        "auc_early": _auc_early(lake, plan, fitted),
        **found,
    }


def _judged(lake: Lake, plan: Plan, boosters: Sequence[Any], month: LabelledMonth) -> pl.DataFrame:
    shards = [
        _judged_shard(month.people(lake, shard), month.month, boosters, plan.factors)
        for shard in range(lake.shards)
    ]
    return pl.concat(shards)


def _judged_shard(
    people: pl.LazyFrame, month: str, boosters: Sequence[Any], factors: tuple[str, ...]
) -> pl.DataFrame:
    wanted = (*_IDENTITY, "has_churned", "weight", *_known(people, factors))
    rows = people.select(wanted).collect(engine="streaming")
    return rows.select(
        "subscriber_id",
        pl.lit(month).alias("month"),
        pl.col("cluster").cast(pl.String),
        pl.col("is_active").cast(pl.Boolean),
        pl.col("has_churned").cast(pl.Float64),
        pl.col("weight"),
        pl.Series("fold", folds_of(rows["subscriber_id"])),
        pl.Series("margin", out_of_fold_margins(rows, boosters, factors), dtype=pl.Float64),
    )


def _calibration(judged: pl.DataFrame, rows: Any) -> Calibration:
    taken = judged.filter(pl.Series(rows))
    return fit_calibration(*_arrays(taken, "margin"))


def _crossed_probabilities(judged: pl.DataFrame) -> pl.Series:
    """Probabilities by a calibration that did not see the person either."""
    fold, margin = judged["fold"].to_numpy(), judged["margin"].to_numpy()
    found = np.empty(judged.height)
    for number in range(FOLDS):
        found[fold == number] = _calibration(judged, fold != number).probabilities(margin[fold == number])
    return pl.Series(found)


def _auc_early(lake: Lake, plan: Plan, fitted: Fitted) -> float | None:
    newest = plan.judge[-1].month
    before = shift(newest, -1)
    if not lake.has("factors", before):
        return None
    happened = fitted.judged.filter(pl.col("month") == newest).select(
        "subscriber_id", "has_churned", "weight"
    )
    shards = [
        _early_shard(lake.scan("factors", before, shard), happened, fitted.fold_boosters, plan.factors)
        for shard in range(lake.shards)
    ]
    return quality.auc(*_arrays(pl.concat(shards), "margin"))


def _early_shard(
    people: pl.LazyFrame, happened: pl.DataFrame, boosters: Sequence[Any], factors: tuple[str, ...]
) -> pl.DataFrame:
    values = people.select("subscriber_id", *_known(people, factors))
    rows = values.join(happened.lazy(), on="subscriber_id").collect(engine="streaming")
    margin = pl.Series("margin", out_of_fold_margins(rows, boosters, factors), dtype=pl.Float64)
    return rows.select("has_churned", "weight", margin)


def _known(people: pl.LazyFrame, factors: tuple[str, ...]) -> list[str]:
    present = set(people.collect_schema().names())
    return [name for name in factors if name in present and name not in _IDENTITY]


def _arrays(frame: pl.DataFrame, scores: str) -> tuple[Floats, Floats, Floats]:
    return frame[scores].to_numpy(), frame["has_churned"].to_numpy(), frame["weight"].to_numpy()
