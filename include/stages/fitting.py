"""Fitting: boosted trees, judged only by people and, where there are several, by months they never saw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import xgboost as xgb

from include.lake import Lake
from include.stages import quality
from include.stages.calibration import Calibration, Floats, fit_calibration
from include.stages.examples import FOLDS, Examples, Folds, LabelledMonth, folds_of, read_examples
from include.stages.models import Matrix, margins, matrix, threads


@dataclass(frozen=True)
class Recipe:
    """One way to grow trees: XGBoost parameters and rounds. Every recipe yields XGBoost's own JSON."""

    parameters: Mapping[str, Any]
    rounds: int

    def told(self) -> dict[str, Any]:
        """What the model card and the version are made of."""
        return {**_SHARED, **self.parameters, "rounds": self.rounds}


_SHARED: Mapping[str, Any] = {"objective": "binary:logistic", "tree_method": "hist", "seed": 20}
#: The candidates by kind; the one with the lower log loss on the people who judge is kept.
RECIPES: Mapping[str, Recipe] = {
    "xgboost": Recipe(
        {
            "max_depth": 3,
            "eta": 0.05,
            "min_child_weight": 3,
            "subsample": 0.6,
            "colsample_bynode": 0.3,
            "lambda": 5,
        },
        rounds=150,
    ),
    # one round of many trees side by side is a random forest; the leaves are averaged, not summed up
    "random_forest": Recipe(
        {
            "max_depth": 10,
            "eta": 1,
            "num_parallel_tree": 120,
            "min_child_weight": 2,
            "subsample": 0.63,
            "colsample_bynode": 0.2,
            "lambda": 1,
        },
        rounds=1,
    ),
}
#: People who stayed are sampled, and weigh more, beyond so many for each who left: more add time, not skill.
STAYERS_PER_CHURNER = 15
#: Below so many rows nobody is left out; more are never held in memory, whatever the province.
ENOUGH_ROWS, MAXIMUM_ROWS = 40_000, 400_000

_IDENTITY = ("subscriber_id", "cluster", "is_active")
_SEGMENTS: Mapping[str, pl.DataType] = {"region_code": pl.String(), "value_yuan": pl.Float64()}
_JUDGED = ("subscriber_id", "month", "cluster", "is_active", *_SEGMENTS, "has_churned", "weight", "fold")


@dataclass(frozen=True)
class Plan:
    """Which months to fit on while judging, which to judge by; the final model learns from all.

    cluster: the tenure cluster the months are cut down to, or "pooled".
    """

    all_months: tuple[LabelledMonth, ...]
    fit: tuple[LabelledMonth, ...]
    judge: tuple[LabelledMonth, ...]
    factors: tuple[str, ...]
    kept_share: float
    nthread: int | None
    cluster: str = "pooled"


@dataclass(frozen=True)
class Fitted:
    """The final model, of the kind that judged best, and what was learned of it out of sample.

    judged: one row per person and judged month with subscriber_id, month, cluster, is_active, region_code,
    value_yuan, has_churned, weight, fold, margin, probability; none from a model that saw the person.
    candidates: the log loss of every kind on those rows.
    """

    kind: str
    booster: Any
    calibration: Calibration
    judged: pl.DataFrame
    candidates: Mapping[str, float]
    rows: int


@dataclass(frozen=True)
class Chosen:
    """The kind with the lower log loss, its scores out of sample, and every kind's log loss."""

    kind: str
    margins: Floats
    probabilities: Floats
    losses: Mapping[str, float]


def fit(lake: Lake, plan: Plan) -> Fitted:
    """Of every kind five models to judge, each without a fifth of the subscribers; then the one to serve."""
    examples = read_examples(lake, plan.all_months, plan.factors, plan.kept_share)
    positions = [position for position, month in enumerate(plan.all_months) if month in plan.fit]
    eligible = examples.taken(np.isin(examples.month, positions))
    boosters = {kind: cross_fit(eligible, plan.factors, kind, plan.nthread) for kind in RECIPES}
    judged = pl.concat([_judged(lake, plan, boosters, month) for month in plan.judge])
    chosen = choose(
        {kind: judged[f"margin {kind}"].to_numpy() for kind in RECIPES},
        *(judged[name].to_numpy() for name in ("has_churned", "weight", "fold")),
    )
    margin = pl.col(f"margin {chosen.kind}").alias("margin")
    judged = judged.select(*_JUDGED, margin, pl.Series("probability", chosen.probabilities))
    return Fitted(
        kind=chosen.kind,
        booster=boost(examples, plan.factors, chosen.kind, plan.nthread),
        calibration=fit_calibration(*_arrays(judged, "margin")),
        judged=judged,
        candidates=chosen.losses,
        rows=len(examples.weights),
    )


def boost(examples: Examples, factors: tuple[str, ...], kind: str, nthread: int | None) -> Any:
    """One booster of a kind on the examples."""
    used = threads(len(examples.weights), nthread)
    rows = xgb.QuantileDMatrix(
        examples.matrix,
        examples.has_churned,
        weight=examples.weights,
        feature_names=list(factors),
        nthread=used,
    )
    recipe = RECIPES[kind]
    base_rate = float(np.clip(examples.base_rate, 1e-6, 1 - 1e-6))
    parameters = {**_SHARED, **recipe.parameters, "base_score": base_rate, "nthread": used}
    return xgb.train(parameters, rows, num_boost_round=recipe.rounds)


def cross_fit(
    examples: Examples, factors: tuple[str, ...], kind: str, nthread: int | None
) -> tuple[Any, ...]:
    """A booster per fold that never saw the subscribers of the fold."""
    return tuple(
        boost(examples.taken(examples.fold != fold), factors, kind, nthread) for fold in range(FOLDS)
    )


def choose(margins_of: Mapping[str, Floats], has_churned: Floats, weights: Floats, fold: Folds) -> Chosen:
    """The kind whose calibrated probabilities have the lowest log loss; the first named of equals."""
    crossed = {
        kind: _crossed_probabilities(found, has_churned, weights, fold) for kind, found in margins_of.items()
    }
    losses = {kind: quality.log_loss(found, has_churned, weights) for kind, found in crossed.items()}
    kind = min(losses, key=losses.__getitem__)
    return Chosen(kind, margins_of[kind], crossed[kind], losses)


def out_of_fold_margins(values: Matrix, fold: Folds, boosters: Sequence[Any]) -> Floats:
    """Each row's margin by the booster that never saw its fold."""
    found = np.empty(len(values))
    for number, booster in enumerate(boosters):
        found[fold == number] = margins(booster, values[fold == number])
    return found


def figures(lake: Lake, plan: Plan, fitted: Fitted) -> dict[str, Any]:
    """Out-of-sample figures of the judged months; auc_early is of what was known a month earlier."""
    judged = fitted.judged
    found = quality.figures(*_arrays(judged, "probability"), judged["margin"].to_numpy())
    active = judged.filter(pl.col("is_active"))
    return {
        "auc_all": found.pop("auc"),
        "auc_active": quality.auc(*_arrays(active, "margin")),
        "auc_early": _auc_early(lake, plan, fitted),
        **found,
    }


def early_scores(lake: Lake, plan: Plan, kind: str) -> pl.DataFrame | None:
    """How the factors of the month before tell the newest label: its people, cross-fitted on those factors.

    None when the lake has no factors of that month; columns as `Fitted.judged`, without probability.
    """
    early = plan.judge[-1].seen_a_month_earlier()
    if not lake.has("factors", early.seen_in):
        return None
    examples = read_examples(lake, [early], plan.factors, plan.kept_share)
    if not 0 < examples.has_churned.sum() < len(examples.has_churned):
        return None
    boosters = {kind: cross_fit(examples, plan.factors, kind, plan.nthread)}
    return _judged(lake, plan, boosters, early).rename({f"margin {kind}": "margin"})


def _judged(
    lake: Lake, plan: Plan, boosters: Mapping[str, Sequence[Any]], month: LabelledMonth
) -> pl.DataFrame:
    shards = [
        _judged_shard(month.people(lake, shard), month.month, boosters, plan.factors)
        for shard in range(lake.shards)
    ]
    return pl.concat(shards)


def _judged_shard(
    people: pl.LazyFrame, month: str, boosters: Mapping[str, Sequence[Any]], factors: tuple[str, ...]
) -> pl.DataFrame:
    known = _known(people, factors)
    segments = [name for name in _SEGMENTS if name in people.collect_schema() and name not in known]
    wanted = (*_IDENTITY, "has_churned", "weight", *known, *segments)
    rows = people.select(wanted).collect(engine="streaming")
    fold, values = folds_of(rows["subscriber_id"]), matrix(rows, factors)
    return rows.select(
        "subscriber_id",
        pl.lit(month).alias("month"),
        pl.col("cluster").cast(pl.String),
        pl.col("is_active").cast(pl.Boolean),
        *(
            (pl.col(name) if name in rows.columns else pl.lit(None)).cast(kind).alias(name)
            for name, kind in _SEGMENTS.items()
        ),
        pl.col("has_churned").cast(pl.Float64),
        pl.col("weight"),
        pl.Series("fold", fold),
        *(
            pl.Series(f"margin {kind}", out_of_fold_margins(values, fold, each), dtype=pl.Float64)
            for kind, each in boosters.items()
        ),
    )


def _crossed_probabilities(margin: Floats, has_churned: Floats, weights: Floats, fold: Folds) -> Floats:
    """Probabilities by a calibration that did not see the person either."""
    found = np.empty(len(margin))
    for number in range(FOLDS):
        seen = fold != number
        calibration = fit_calibration(margin[seen], has_churned[seen], weights[seen])
        found[~seen] = calibration.probabilities(margin[~seen])
    return found


def _auc_early(lake: Lake, plan: Plan, fitted: Fitted) -> float | None:
    early = early_scores(lake, plan, fitted.kind)
    return None if early is None else quality.auc(*_arrays(early, "margin"))


def _known(people: pl.LazyFrame, factors: tuple[str, ...]) -> list[str]:
    present = set(people.collect_schema().names())
    return [name for name in factors if name in present and name not in _IDENTITY]


def _arrays(frame: pl.DataFrame, scores: str) -> tuple[Floats, Floats, Floats]:
    return frame[scores].to_numpy(), frame["has_churned"].to_numpy(), frame["weight"].to_numpy()
