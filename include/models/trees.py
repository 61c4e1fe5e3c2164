"""Trees: how each kind of model grows, and how two kinds become one booster that is still XGBoost's own JSON.

Boosted trees as in Chen and Guestrin (2016), random forests as in Breiman (2001).
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from include.models.calibration import Floats
from include.models.store import threads
from include.models.training_sets import Examples

if TYPE_CHECKING:  # two seconds that only who fits needs
    from xgboost import Booster

BOOSTED, FOREST, BLEND = "xgboost", "random_forest", "boosted_and_forest"

#: Up to so many rows chance decides much of a tree: each round then averages several.
FEW_ROWS = 10_000
_SHARED: Mapping[str, Any] = {"objective": "binary:logistic", "tree_method": "hist", "seed": 20}


@dataclass(frozen=True)
class Recipe:
    """One way to grow trees: XGBoost parameters, and what to add (with the rounds) for few and many rows."""

    parameters: Mapping[str, Any]
    few: Mapping[str, Any]
    many: Mapping[str, Any]

    def described(self) -> Mapping[str, int | float | str | Mapping[str, float]]:
        """What the model card and the version are made of."""
        ways = {"few": dict(self.few), "many": dict(self.many), "few_rows": FEW_ROWS}
        return {**_SHARED, **self.parameters, **ways}

    def for_rows(self, rows: int) -> tuple[dict[str, int | float | str], int]:
        """The parameters and the rounds for so many rows."""
        way = dict(self.few if rows <= FEW_ROWS else self.many)
        rounds = way.pop("rounds")
        return {**_SHARED, **self.parameters, **way}, rounds


#: The kinds that are grown; the mean of both is a third candidate.
RECIPES: Mapping[str, Recipe] = {
    BOOSTED: Recipe(
        {"min_child_weight": 3, "subsample": 0.6, "colsample_bynode": 0.3, "lambda": 5},
        few={"max_depth": 2, "eta": 0.1, "rounds": 80, "num_parallel_tree": 4},
        many={"max_depth": 3, "eta": 0.05, "rounds": 150},
    ),
    # one round of many trees side by side is a random forest; the leaves are averaged, not summed up
    FOREST: Recipe(
        {"max_depth": 10, "eta": 1, "subsample": 0.63, "colsample_bynode": 0.2},
        few={"num_parallel_tree": 200, "min_child_weight": 0.2, "lambda": 0.1, "rounds": 1},
        many={"num_parallel_tree": 60, "min_child_weight": 2, "lambda": 1, "rounds": 1},
    ),
}


def grow(
    examples: Examples, factors: Sequence[str], kinds: Collection[str], nthread: int | None
) -> dict[str, "Booster"]:
    """A booster of each of `kinds` on the examples, which are cut into bins once for all of them."""
    import xgboost as xgb

    used = threads(len(examples.weights), nthread)
    rows = xgb.QuantileDMatrix(
        examples.matrix,
        examples.happened,
        weight=examples.weights,
        feature_names=list(factors),
        nthread=used,
    )
    base_rate = float(np.clip(examples.base_rate, 1e-6, 1 - 1e-6))
    common = {"base_score": base_rate, "nthread": used}
    grown = {}
    for kind in kinds:
        parameters, rounds = RECIPES[kind].for_rows(len(examples.weights))
        grown[kind] = xgb.train(parameters | common, rows, num_boost_round=rounds)
    return grown


def parts_of(kind: str) -> tuple[str, ...]:
    """The kinds to grow for a model of `kind`."""
    return (BOOSTED, FOREST) if kind == BLEND else (kind,)


def shares_of(margins: Mapping[str, Floats], weights: Floats) -> dict[str, float]:
    """How much of each kind's margin a blend takes: halves, once the forest's spread is the boosted trees'.

    A forest's margin grows with the share of trees, not its logarithm, so the two differ in spread. No label
    is looked at. Nothing where a kind is missing or does not tell people apart.
    """
    if set(margins) != {BOOSTED, FOREST}:
        return {}
    spread = {kind: _spread(values, weights) for kind, values in margins.items()}
    if min(spread.values()) <= 0:
        return {}
    return {BOOSTED: 0.5, FOREST: 0.5 * spread[BOOSTED] / spread[FOREST]}


def blended_margins(margins: Mapping[str, Floats], shares: Mapping[str, float]) -> Floats:
    """The margins a blended booster gives."""
    return np.asarray(sum(share * margins[kind] for kind, share in shares.items()))


def blend(boosters: Mapping[str, Any], shares: Mapping[str, float]) -> Any:
    """One booster whose margin is the sum of each one's times its share: all their trees, leaves scaled.

    So its exact contributions are the same sum of theirs. All must have grown on the same examples.
    """
    from xgboost import Booster

    models = {kind: json.loads(bytes(boosters[kind].save_raw(raw_format="json"))) for kind in shares}
    whole = next(iter(models.values()))
    intercept = sum(share * _intercept(models[kind]) for kind, share in shares.items())
    trees = [_scaled(tree, share) for kind, share in shares.items() for tree in _inner(models[kind])["trees"]]
    count = len(trees)
    _inner(whole).update(
        trees=[{**tree, "id": number} for number, tree in enumerate(trees)],
        tree_info=[0] * count,
        iteration_indptr=list(range(count + 1)),
        gbtree_model_param={"num_parallel_tree": "1", "num_trees": str(count)},
    )
    probability = 1 / (1 + np.exp(-intercept))
    whole["learner"]["learner_model_param"]["base_score"] = f"[{probability:.9E}]"
    booster = Booster()
    booster.load_model(bytearray(json.dumps(whole).encode()))
    return booster


def _spread(values: Floats, weights: Floats) -> float:
    mean = float(np.average(values, weights=weights))
    return float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))


def _inner(model: dict[str, Any]) -> dict[str, Any]:
    inner: dict[str, Any] = model["learner"]["gradient_booster"]["model"]
    return inner


def _intercept(model: dict[str, Any]) -> float:
    stored = model["learner"]["learner_model_param"]["base_score"]
    probability = float(stored.strip("[]"))
    return float(np.log(probability / (1 - probability)))


def _scaled(tree: dict[str, Any], share: float) -> dict[str, Any]:
    """The tree with its leaves times `share`; a node without a left child is a leaf, its value the condition."""
    conditions = [
        value * share if left == -1 else value
        for value, left in zip(tree["split_conditions"], tree["left_children"], strict=True)
    ]
    return {
        **tree,
        "split_conditions": conditions,
        "base_weights": [value * share for value in tree["base_weights"]],
    }
