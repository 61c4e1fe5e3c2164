"""Models per tenure cluster, the choice between kinds, the card, and what a challenger must show."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa

from include.config import Config
from include.domain.periods.months import default_as_of
from include.lake import Lake
from include.lake.campaigns import scores_of
from include.models import champions, fitting, store, training_sets, trees
from include.stages import features, prediction, training
from tests.fixtures.runs import run_of
from tests.stages.province import FACTORS, Province, quick_recipes
from tests.stages.worked_cycle import CAMPAIGN, LEAVING

AS_OF = default_as_of("2026-12")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "build", lambda _run: {})
    monkeypatch.setattr(trees, "RECIPES", quick_recipes(40))


def with_clusters(config: Config, minimum: int) -> Config:
    """The configuration with so many churners needed for a model of a cluster."""
    campaign = config.campaigns[CAMPAIGN]
    training_rules = campaign.training.model_copy(update={"minimum_cluster_churners": minimum})
    changed = campaign.model_copy(update={"training": training_rules})
    return replace(config, campaigns={CAMPAIGN: changed})


def train(
    db: sa.Connection, lake: Lake, config: Config, month: str, as_of: datetime = AS_OF
) -> dict[str, Any]:
    return training.train(
        run_of(db=db, lake=lake, config=config, campaign=CAMPAIGN, month=month, as_of=as_of, now=as_of),
        nthread=1,
    )


def card_of(lake: Lake, version: str) -> dict[str, Any]:
    return json.loads(lake.read_file(f"models/{version}/card.json"))


# ---------------------------------------------------------------- clusters


def test_a_cluster_with_churners_enough_has_its_own_model_and_the_others_the_pooled(
    db: sa.Connection, lake: Lake, config: Config
) -> None:
    province = Province(lake, 2500, base=-2.5)
    province.live_through("2026-08")
    told = train(db, lake, with_clusters(config, 100), "2026-08")
    assert told["clusters"]["over_12"]["trained"] is True
    assert told["clusters"]["over_12"]["state"] == "champion"
    for cluster in ("under_6", "6_to_12"):
        assert told["clusters"][cluster]["trained"] is False
        assert "too few for a model of its own: 100 are needed" in told["clusters"][cluster]["reason"]
    own = told["clusters"]["over_12"]["model_version"]
    assert told["clusters"]["over_12"]["n"] < told["n"] == 2500

    province.publish("factors", "2026-09", province.factors(), facts={"factors": list(FACTORS)})
    prediction.predict(
        run_of(
            db=db,
            lake=lake,
            config=config,
            campaign=CAMPAIGN,
            cycle="2026-09",
            month="2026-09",
            as_of=AS_OF,
            revision=0,
        ),
        nthread=1,
    )
    scores = lake.scan(scores_of(CAMPAIGN), "2026-09").collect()
    by = dict(scores.group_by("cluster").agg(pl.col("model_version").unique().sort()).iter_rows())
    assert by == {"over_12": [own], "under_6": [told["model_version"]], "6_to_12": [told["model_version"]]}
    assert scores["probability"].null_count() == 0


def test_a_model_of_a_cluster_learns_from_its_people_alone(db: sa.Connection, lake: Lake) -> None:
    Province(lake, 600).live_through("2026-08")
    month = training_sets.Labelling(db, lake, CAMPAIGN, LEAVING, AS_OF).of_month("2026-08")
    own = month.of_cluster("under_6").people(lake).collect()
    assert own["cluster"].unique().to_list() == ["under_6"]
    assert sum(training_sets.churners_and_stayers(lake, month.of_cluster("under_6"))) == own.height < 600


def test_training_clusters_twice_changes_nothing(db: sa.Connection, lake: Lake, config: Config) -> None:
    Province(lake, 1500, base=-2.5).live_through("2026-08")
    few = with_clusters(config, 100)
    assert train(db, lake, few, "2026-08") == train(db, lake, few, "2026-08")


# ---------------------------------------------------------------- candidates


def told(noise: float, seed: int, happened: np.ndarray) -> np.ndarray:
    return happened + noise * np.random.default_rng(seed).normal(size=len(happened))


def choose(boosted: float, forest: float, people: int = 4000) -> fitting.Chosen:
    """The choice where each kind tells with so much noise who left."""
    happened = (np.random.default_rng(1).random(people) < 0.2).astype(float)
    fold = (np.arange(people) % training_sets.FOLDS).astype(np.uint8)
    found = {"xgboost": told(boosted, 2, happened), "random_forest": told(forest, 3, happened)}
    return fitting.choose(found, happened, np.ones(people), fold)


def test_two_kinds_that_tell_alike_are_blended() -> None:
    chosen = choose(1.0, 1.0)
    assert chosen.kind == "boosted_and_forest"
    assert chosen.losses["boosted_and_forest"] < min(chosen.losses["xgboost"], chosen.losses["random_forest"])


@pytest.mark.parametrize(("boosted", "forest", "kind"), [(0.5, 9, "xgboost"), (9, 0.5, "random_forest")])
def test_a_kind_that_is_surely_better_serves_alone(boosted: float, forest: float, kind: str) -> None:
    assert choose(boosted, forest).kind == kind


def test_a_small_lead_among_few_people_is_chance() -> None:
    chosen = choose(0.9, 1.3, people=150)
    assert chosen.kind == "boosted_and_forest"


@pytest.mark.parametrize("kind", ["xgboost", "random_forest", "boosted_and_forest"])
def test_each_kind_is_kept_as_json_and_its_contributions_sum_to_the_margin(
    db: sa.Connection, lake: Lake, config: Config, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(trees, "RECIPES", {each: quick_recipes(40)[each] for each in trees.parts_of(kind)})
    Province(lake, 2000, base=-2.5).live_through("2026-08")
    monkeypatch.setattr(fitting, "_is_surely_lower", lambda *_: False)
    told = train(db, lake, config, "2026-08")
    assert told["kind"] == kind
    with db.begin():
        sha256 = db.execute(sa.text("select sha256 from models")).scalar_one()
    model = store.load(lake, told["model_version"], sha256)
    rows = store.matrix(lake.scan("factors", "2026-08").collect(), model.factors)
    assert model.contributions(rows).sum(axis=1) == pytest.approx(model.margins(rows), abs=1e-4)


# ---------------------------------------------------------------- the card


def test_the_card_tells_window_factors_figures_by_segment_and_limits(
    db: sa.Connection, lake: Lake, config: Config
) -> None:
    Province(lake, 3000, base=-2.5).live_through("2026-08")
    card = card_of(lake, train(db, lake, config, "2026-08")["model_version"])
    assert card["months"] == card["judged_on"] == ["2026-08"]
    assert set(card["factors"]) == set(FACTORS)
    assert set(card["log_loss_of_candidates"]) == {"xgboost", "random_forest", "boosted_and_forest"}
    found = {(each["segment"], each["value"]): each for each in card["segments"]}
    assert {value for segment, value in found if segment == "cluster"} == {"under_6", "6_to_12", "over_12"}
    assert sum(each["n"] for (segment, _), each in found.items() if segment == "value") == 3000
    assert found["is_active", "true"]["auc"] > 0.6
    assert any("One month was all there was" in limit for limit in card["limits"])


# ---------------------------------------------------------------- promotion


def gain(low: float, high: float, error: float = 0.01, stale: float = 0.0) -> dict[str, Any]:
    """A comparison; `stale` is what the champion loses by being as it is served, in log loss and calibration."""
    middle = (low + high) / 2
    return {
        "log_loss_gain": {"value": middle, "low": low, "high": high},
        "log_loss_gain_as_served": {"value": middle + stale, "low": low + stale, "high": high + stale},
        "calibration_error": error,
        "calibration_error_of_champion": 0.01,
        "calibration_error_as_served": 0.01 + stale,
    }


@pytest.mark.parametrize(
    ("comparison", "is_first", "is_promoted"),
    [
        (gain(0.001, 0.003), False, True),
        (gain(-0.001, 0.003), False, False),
        (gain(0.001, 0.003, error=0.02), False, False),
        (gain(-0.001, 0.003, stale=0.003), False, True),
        (gain(-0.001, 0.003, stale=0.0015), False, False),  # stale, but by less than chance makes
        (gain(-0.001, 0.003, stale=0.0005), False, False),
        (gain(-0.003, -0.001, stale=0.004), False, False),  # stale, but it ranks surely better
        (gain(-0.001, 0.003), True, True),
        (gain(-0.003, -0.001), True, False),
        (gain(-0.003, -0.001, stale=0.004), True, True),  # what serves is what counts
    ],
)
def test_a_later_champion_must_be_surely_better_and_calibrated_no_worse_or_the_old_one_stale(
    comparison: dict[str, Any], is_first: bool, is_promoted: bool
) -> None:
    assert champions._has_earned(comparison, is_first=is_first) is is_promoted


def test_a_month_with_more_churn_is_no_merit_of_the_model_that_saw_it(
    db: sa.Connection, lake: Lake, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same trees know July's rate or August's: neither ranks people better."""
    province = Province(lake, 2500, base=-3.0)
    province.live_through("2026-07")
    train(db, lake, config, "2026-07", default_as_of("2026-08"))
    province.base = -2.0
    province.live_through("2026-08")
    monkeypatch.setattr(training, "WINDOW_MONTHS", 1)
    found = train(db, lake, config, "2026-08")["comparison"]
    assert found["log_loss_gain"]["low"] < 0 < found["log_loss_gain"]["high"]
    assert found["log_loss_gain_as_served"]["low"] > 0
    assert found["calibration_error_as_served"] > 2 * found["calibration_error"]


def test_a_champion_and_a_challenger_of_several_months_are_calibrated_on_the_newest_alone(
    db: sa.Connection, lake: Lake, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too few churners to judge by August: July and August cross-fit, and July had fewer leavers."""
    province = Province(lake, 2500, base=-4.0)
    province.live_through("2026-07")
    train(db, lake, config, "2026-07", default_as_of("2026-08"))
    province.base = -2.2
    province.live_through("2026-08")
    crossed = training._plan
    monkeypatch.setattr(
        training,
        "_plan",
        lambda *given: replace(plan := crossed(*given), fit=plan.all_months, judge=plan.all_months),
    )
    found = train(db, lake, config, "2026-08")
    assert found["judged_on"] == ["2026-07", "2026-08"]
    assert found["comparison"]["calibration_error"] < 0.03  # by the mean of both months it would be 0.08


def test_one_as_good_as_the_champion_stays_a_candidate_and_says_how_it_compared(
    db: sa.Connection, lake: Lake, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    province = Province(lake, 2500, base=-2.5)
    province.live_through("2026-07")
    old = train(db, lake, config, "2026-07", default_as_of("2026-08"))
    province.live_through("2026-08")
    monkeypatch.setattr(training, "WINDOW_MONTHS", 1)
    new = train(db, lake, config, "2026-08")
    assert (old["state"], old["comparison"]) == ("champion", None)
    assert new["state"] == "candidate"
    assert new["comparison"]["against"] == old["model_version"]
    assert new["comparison"]["people"] == new["n"]
    assert new["comparison"]["log_loss_gain"]["low"] < 0


def test_what_was_known_a_month_earlier_is_judged_by_models_of_that_month(
    db: sa.Connection, lake: Lake, config: Config
) -> None:
    """July's factors tell nothing here; whoever left in August is not asked about September."""
    province = Province(lake, 2500, base=-2.5)
    province.live_through("2026-07")
    gone = set(province.gone)
    province.live_through("2026-08")
    month = (
        training_sets.Labelling(db, lake, CAMPAIGN, LEAVING, AS_OF).of_month("2026-08").seen_a_month_earlier()
    )
    seen = month.people(lake).collect()
    assert not gone & set(seen["subscriber_id"])
    assert seen.height == lake.manifest("factors", "2026-08").rows
    earlier = lake.scan("factors", "2026-07").select("subscriber_id", "bill_fall").collect()
    assert seen.select("subscriber_id", "bill_fall").equals(
        earlier.join(seen.select("subscriber_id"), on="subscriber_id", how="semi")
    )
