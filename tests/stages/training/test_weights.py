"""The weights of contact: who was called says nothing of what would have come; the held-out stand in for them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa

from include.domain.periods.months import default_as_of, shift
from include.lake import Lake
from include.models import fitting, store, training_sets, trees
from include.models.training_sets import LabelledMonth
from tests.stages.province import FACTORS, Province, quick_recipes
from tests.stages.worked_cycle import CAMPAIGN, LEAVING, WorkedCycle

MONTH = "2026-08"
HELD_OUT, SAVED = 0.2, 0.75


def chances(people: pl.DataFrame) -> np.ndarray:
    """Of leaving, for those nobody calls."""
    risk = -2.8 + 1.2 * people["bill_fall"] + 0.9 * people["complaints"]
    return 1 / (1 + np.exp(-risk.to_numpy()))


@pytest.fixture
def month(db: sa.Connection, lake: Lake) -> LabelledMonth:
    """August: of those likely to leave four of five were called; the call kept three of four leavers it reached.

    Who has made up his mind answers less often.
    """
    province, random = Province(lake, 4000), np.random.default_rng(4)
    people = province.factors()
    province.publish("factors", MONTH, people, facts={"factors": list(FACTORS)})
    chance = chances(people)
    called = (chance > 0.3) & (random.random(4000) > HELD_OUT)
    would_leave = random.random(4000) < chance
    reached = called & (random.random(4000) < np.where(would_leave, 0.5, 0.9))
    leaves = would_leave & ~(reached & (random.random(4000) < SAVED))
    province.leave(shift(MONTH, 1), people["subscriber_id"].filter(pl.Series(leaves)).to_list())
    cycle = WorkedCycle(db, MONTH)
    for subscriber in people["subscriber_id"].filter(pl.Series(chance > 0.3)):
        at = int(subscriber[1:])
        cycle.assign(subscriber, "treated" if called[at] else "held_out", HELD_OUT)
        if called[at]:
            then = default_as_of(MONTH) + timedelta(days=2)
            cycle.contact(subscriber, then, "reached" if reached[at] else "no_answer")
    return training_sets.Labelling(db, lake, CAMPAIGN, LEAVING, default_as_of("2026-12")).of_month(MONTH)


def promised(lake: Lake, month: LabelledMonth, people: pl.DataFrame) -> Mapping[str, float]:
    """What a model of the month promises to `people`, and what it says of itself."""
    plan = fitting.Plan((month,), (month,), (month,), FACTORS, 1.0, 1)
    made = fitting.fit(lake, plan)
    values = store.matrix(people, tuple(made.booster.feature_names))
    given = made.calibration.probabilities(store.margins(made.booster, values))
    return {"mean": float(given.mean()), "base_rate": made.base_rate}


def test_with_the_weights_the_model_promises_what_comes_of_those_nobody_calls(
    lake: Lake, month: LabelledMonth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "RECIPES", quick_recipes(40))
    later = Province(lake, 20_000, seed=9).factors()
    likely = later.filter(pl.Series(chances(later) > 0.3))
    truth = float(chances(likely).mean())
    weighted = promised(lake, month, likely)
    unweighted = promised(lake, replace(month, weights=month.weights.head(0)), likely)
    assert weighted["mean"] == pytest.approx(truth, rel=0.15)
    assert unweighted["mean"] < 0.8 * truth
    assert weighted["base_rate"] == pytest.approx(float(chances(later).mean()), rel=0.15)


def test_the_contacted_count_neither_in_the_figures_nor_in_the_calibration(
    lake: Lake, month: LabelledMonth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "RECIPES", quick_recipes(20))
    plan = fitting.Plan((month,), (month,), (month,), FACTORS, 1.0, 1)
    made = fitting.fit(lake, plan)
    found = fitting.figures(lake, plan, made)
    called = month.weights.filter(pl.col("weight") == 0).height
    assert called > 100
    assert found["n"] == 4000 - called
    held_out = made.judged.filter(pl.col("weight") > 1)
    assert held_out["weight"].unique().to_list() == [5.0]
    counted = made.judged.filter(pl.col("weight") > 0)
    given = float(np.average(counted["probability"], weights=counted["weight"]))
    assert given == pytest.approx(made.base_rate, rel=0.05)
