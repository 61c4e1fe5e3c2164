"""Fitting: the kinds of trees judged by months, or by people, they never saw; then the one that serves."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from include.lake import Lake
from include.models import quality, trees
from include.models.calibration import PLATT, Calibrated, Calibration, Floats, calibrate
from include.models.quality import Figures
from include.models.store import Matrix, margins, matrix
from include.models.training_sets import FOLDS, Examples, Folds, LabelledMonth, folds_of, read_examples

if TYPE_CHECKING:  # two seconds that only who fits needs
    from xgboost import Booster

#: People who stayed are sampled, and weigh more, beyond so many for each who left: more add time, not skill.
STAYERS_PER_CHURNER = 15
#: Below so many rows nobody is left out; more are never held in memory, whatever the province.
ENOUGH_ROWS, MAXIMUM_ROWS = 40_000, 400_000

_SEGMENTS: Mapping[str, pl.DataType] = {"region_code": pl.String(), "value_yuan": pl.Float64()}
_JUDGED = ("subscriber_id", "month", "cluster", "is_active", *_SEGMENTS, "happened", "weight", "fold")


@dataclass(frozen=True)
class Plan:
    """Which months to fit on while judging, which to judge by; the final model learns from all.

    cluster: the tenure cluster the months are cut down to, or "pooled"; kind: chosen before, on everybody;
    split: which way people are put into folds.
    """

    all_months: tuple[LabelledMonth, ...]
    fit: tuple[LabelledMonth, ...]
    judge: tuple[LabelledMonth, ...]
    factors: tuple[str, ...]
    kept_share: float
    nthread: int | None
    cluster: str = "pooled"
    kind: str | None = None
    split: int = 0

    @property
    def is_out_of_time(self) -> bool:
        """Whether a newer month judges what older ones taught; otherwise folds of people judge one another."""
        return not {each.month for each in self.judge} & {each.month for each in self.fit}


@dataclass(frozen=True)
class Chosen:
    """The chosen kind, its scores out of sample, and every kind's log loss.

    shares: of the blend's parts, where it is a candidate.
    """

    kind: str
    margins: Floats
    calibrated: Calibrated
    losses: Mapping[str, float]
    shares: Mapping[str, float]


@dataclass(frozen=True)
class Fitted:
    """The final model, of the kind that judged best, and what was learned of it out of sample.

    judged: one row per person and judged month with subscriber_id, month, cluster, is_active, region_code,
    value_yuan, happened, weight, fold, margin, probability; none from a model that saw the label.
    candidates: the log loss of every kind on those rows; base_rate: weighted, of all months that taught;
    known: per factor the median of training and the share that missed it.
    """

    kind: str
    booster: Any
    calibration: Calibration
    judged: pl.DataFrame
    candidates: Mapping[str, float]
    rows: int
    base_rate: float
    known: Mapping[str, Mapping[str, float]]


#: Per kind one booster, for months it never saw, or one a fold of people.
Boosters = Mapping[str, Sequence[Any]]


def fit(lake: Lake, plan: Plan) -> Fitted:
    """Boosters to judge with, the choice between their kinds, and the final one on all months."""
    examples = read_examples(lake, plan.all_months, plan.factors, plan.kept_share, plan.split)
    positions = [position for position, month in enumerate(plan.all_months) if month in plan.fit]
    eligible = examples.taken(np.isin(examples.month, positions)) if plan.is_out_of_time else examples
    boosters = judging_boosters(
        eligible, plan, trees.parts_of(plan.kind) if plan.kind else tuple(trees.RECIPES)
    )
    judged = pl.concat([_judged(lake, plan, boosters, month) for month in plan.judge])
    chosen = choose(
        {kind: judged[f"margin {kind}"].to_numpy() for kind in boosters},
        *(judged[name].to_numpy() for name in ("happened", "weight", "fold")),
    )
    found = (pl.Series("margin", chosen.margins), pl.Series("probability", chosen.calibrated.probabilities))
    return Fitted(
        kind=chosen.kind,
        booster=final_booster(examples, plan.factors, chosen, plan.nthread),
        calibration=chosen.calibrated.calibration,
        judged=judged.select(*_JUDGED, *found),
        candidates=chosen.losses,
        rows=len(examples.weights),
        base_rate=examples.base_rate,
        known=examples.known(plan.factors),
    )


def judging_boosters(examples: Examples, plan: Plan, kinds: Collection[str]) -> Boosters:
    """Boosters that can judge: of older months one a kind, else one a fold and kind without its people."""
    if plan.is_out_of_time:
        grown = [trees.grow(examples, plan.factors, kinds, plan.nthread)]
    else:
        grown = cross_grown(examples, plan.factors, kinds, plan.nthread)
    return {kind: tuple(each[kind] for each in grown) for kind in kinds}


def cross_grown(
    examples: Examples, factors: Sequence[str], kinds: Collection[str], nthread: int | None
) -> list[dict[str, "Booster"]]:
    """Per fold a booster of each kind that never saw the subscribers of the fold."""
    return [
        trees.grow(examples.taken(examples.fold != fold), factors, kinds, nthread) for fold in range(FOLDS)
    ]


def final_booster(examples: Examples, factors: Sequence[str], chosen: Chosen, nthread: int | None) -> Any:
    """The booster that serves, of the chosen kind."""
    grown = trees.grow(examples, factors, trees.parts_of(chosen.kind), nthread)
    return trees.blend(grown, chosen.shares) if chosen.kind == trees.BLEND else grown[chosen.kind]


def choose(margins_of: Mapping[str, Floats], happened: Floats, weights: Floats, fold: Folds) -> Chosen:
    """The blend of both kinds, unless one alone is surely better; then its calibration.

    Better is a lower log loss by Platt's line, surely by more than two standard errors of the paired
    difference: among few people the lowest loss is chance, and the mean of two kinds is the steadier.
    """
    shares = trees.shares_of(margins_of, weights)
    candidates = dict(margins_of)
    if shares:
        candidates = {trees.BLEND: trees.blended_margins(margins_of, shares), **candidates}
    losses = {
        kind: quality.losses(calibrate(found, happened, weights, fold, (PLATT,)).probabilities, happened)
        for kind, found in candidates.items()
    }
    means = {kind: float(weights @ each / weights.sum()) for kind, each in losses.items()}
    kind, standing = min(means, key=means.__getitem__), next(iter(candidates))
    if not _is_surely_lower(losses[kind], losses[standing], weights):
        kind = standing
    calibrated = calibrate(candidates[kind], happened, weights, fold)
    return Chosen(kind, candidates[kind], calibrated, means, shares)


def _is_surely_lower(losses: Floats, others: Floats, weights: Floats) -> bool:
    gain, total = others - losses, weights.sum()
    mean = float(weights @ gain / total)
    error = float(np.sqrt(weights**2 @ (gain - mean) ** 2)) / total
    return bool(mean > 2 * error)


def judged_margins(values: Matrix, fold: Folds, boosters: Sequence[Any]) -> Floats:
    """Each row's margin by the booster that never saw its fold, or by the only one."""
    if len(boosters) == 1:
        return margins(boosters[0], values)
    found = np.empty(len(values))
    for number, booster in enumerate(boosters):
        found[fold == number] = margins(booster, values[fold == number])
    return found


def figures(lake: Lake, plan: Plan, fitted: Fitted) -> Figures:
    """Out-of-sample figures of the judged months; auc_early is of what was known a month earlier."""
    judged = fitted.judged
    found = quality.figures(*_arrays(judged, "probability"), judged["margin"].to_numpy())
    active = judged.filter(pl.col("is_active"))
    return {
        "auc_all": found.pop("auc"),
        "auc_active": quality.auc(*_arrays(active, "margin")),
        "auc_early": None if plan.kind else _auc_early(lake, plan, fitted),
        **found,
        "calibration_error": quality.calibration_error(*_arrays(judged, "probability")),
    }


def early_scores(lake: Lake, plan: Plan, kind: str) -> pl.DataFrame | None:
    """How the factors of the month before tell the newest label, judged the same way as the model itself.

    None when the lake has no factors of that month; columns as `Fitted.judged`, without probability.
    """
    early = plan.judge[-1].seen_a_month_earlier()
    taught = [
        month for each in plan.fit if lake.has("factors", (month := each.seen_a_month_earlier()).seen_in)
    ]
    if not taught or not lake.has("factors", early.seen_in):
        return None
    return _scores(lake, plan, kind, taught, early)


def scores(lake: Lake, plan: Plan, kind: str) -> pl.DataFrame | None:
    """The margins out of sample of the newest month by models of `kind`; columns as `early_scores`."""
    return _scores(lake, plan, kind, plan.fit, plan.judge[-1])


def _scores(
    lake: Lake, plan: Plan, kind: str, taught: Sequence[LabelledMonth], month: LabelledMonth
) -> pl.DataFrame | None:
    examples = read_examples(lake, taught, plan.factors, plan.kept_share, plan.split)
    if not 0 < examples.happened.sum() < len(examples.happened):
        return None
    judged = _judged(lake, plan, judging_boosters(examples, plan, trees.parts_of(kind)), month)
    found = {each: judged[f"margin {each}"].to_numpy() for each in trees.parts_of(kind)}
    shares = trees.shares_of(found, judged["weight"].to_numpy()) or {next(iter(found)): 1.0}
    return judged.select(*_JUDGED, pl.Series("margin", trees.blended_margins(found, shares)))


def _judged(lake: Lake, plan: Plan, boosters: Boosters, month: LabelledMonth) -> pl.DataFrame:
    shards = [
        _judged_shard(month.people_of_views(lake, shard), month.month, boosters, plan)
        for shard in range(lake.shards)
    ]
    return pl.concat(shards).sort("subscriber_id")


def _judged_shard(people: pl.LazyFrame, month: str, boosters: Boosters, plan: Plan) -> pl.DataFrame:
    there = people.collect_schema().names()
    wanted = ("subscriber_id", "cluster", "is_active", "happened", "weight", *plan.factors, *_SEGMENTS)
    rows = people.select(name for name in dict.fromkeys(wanted) if name in there).collect(engine="streaming")
    fold, values = folds_of(rows["subscriber_id"], plan.split), matrix(rows, plan.factors)
    return rows.select(
        "subscriber_id",
        pl.lit(month).alias("month"),
        pl.col("cluster").cast(pl.String),
        pl.col("is_active").cast(pl.Boolean),
        *(
            (pl.col(name) if name in rows.columns else pl.lit(None)).cast(kind).alias(name)
            for name, kind in _SEGMENTS.items()
        ),
        pl.col("happened").cast(pl.Float64),
        pl.col("weight"),
        pl.Series("fold", fold),
        *(
            pl.Series(f"margin {kind}", judged_margins(values, fold, each), dtype=pl.Float64)
            for kind, each in boosters.items()
        ),
    )


def _auc_early(lake: Lake, plan: Plan, fitted: Fitted) -> float | None:
    early = early_scores(lake, plan, fitted.kind)
    return None if early is None else quality.auc(*_arrays(early, "margin"))


def _arrays(frame: pl.DataFrame, scores: str) -> tuple[Floats, Floats, Floats]:
    return frame[scores].to_numpy(), frame["happened"].to_numpy(), frame["weight"].to_numpy()
