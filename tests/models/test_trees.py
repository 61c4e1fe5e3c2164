"""Trees: two kinds in one booster give the sum of their margins and of their exact contributions."""

import numpy as np
import pytest
import xgboost as xgb

from include.models import trees
from include.models.calibration import fit_calibration
from include.models.store import Model, margins
from include.models.training_sets import Examples
from tests.stages.province import quick_recipes


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "RECIPES", quick_recipes(20))


@pytest.fixture
def people() -> Examples:
    """800 people, of three factors two tell; a tenth of the values is missing."""
    random = np.random.default_rng(2)
    values = random.normal(size=(800, 3)).astype(np.float32)
    chance = 1 / (1 + np.exp(2 - values[:, 0] - values[:, 1]))
    happened = (random.random(800) < chance).astype(float)
    values[random.random(values.shape) < 0.1] = np.nan
    fold = np.zeros(800, np.uint8)
    return Examples(values, happened, random.uniform(0.5, 2, 800), fold, fold)


def blended(people: Examples) -> tuple[xgb.Booster, dict[str, np.ndarray], dict[str, float]]:
    grown = trees.grow(people, ("a", "b", "c"), (trees.BOOSTED, trees.FOREST), 1)
    found = {kind: margins(booster, people.matrix) for kind, booster in grown.items()}
    shares = trees.shares_of(found, people.weights)
    return trees.blend(grown, shares), found, shares


def test_a_blended_booster_gives_the_blended_margins(people: Examples) -> None:
    booster, found, shares = blended(people)
    expected = trees.blended_margins(found, shares)
    assert margins(booster, people.matrix) == pytest.approx(expected, abs=1e-5)


def test_its_exact_contributions_are_those_of_its_parts_and_sum_to_the_margin(people: Examples) -> None:
    grown = trees.grow(people, ("a", "b", "c"), (trees.BOOSTED, trees.FOREST), 1)
    calibration = fit_calibration("platt", people.happened, people.happened, people.weights)
    models = {
        kind: Model("v", ("a", "b", "c"), booster, calibration, {}, 1) for kind, booster in grown.items()
    }
    booster, _, shares = blended(people)
    whole = Model("v", ("a", "b", "c"), booster, calibration, {}, 1).contributions(people.matrix)
    parts = sum(share * models[kind].contributions(people.matrix) for kind, share in shares.items())
    assert whole == pytest.approx(parts, abs=1e-4)
    assert whole.sum(axis=1) == pytest.approx(margins(booster, people.matrix), abs=1e-4)


def test_a_blended_booster_survives_its_own_json(people: Examples) -> None:
    booster, _, _ = blended(people)
    again = xgb.Booster()
    again.load_model(bytearray(booster.save_raw(raw_format="json")))
    assert again.feature_names == ["a", "b", "c"]
    assert (margins(again, people.matrix) == margins(booster, people.matrix)).all()


def test_both_kinds_spread_people_equally_in_a_blend(people: Examples) -> None:
    _, found, shares = blended(people)
    spread = {kind: shares[kind] * trees._spread(found[kind], people.weights) for kind in shares}
    assert spread[trees.BOOSTED] == pytest.approx(spread[trees.FOREST])


def test_there_is_no_blend_of_one_kind_or_of_one_that_tells_nobody_apart() -> None:
    told, same = np.array([0.0, 1.0, 2.0]), np.zeros(3)
    assert trees.shares_of({trees.BOOSTED: told}, np.ones(3)) == {}
    assert trees.shares_of({trees.BOOSTED: told, trees.FOREST: same}, np.ones(3)) == {}
