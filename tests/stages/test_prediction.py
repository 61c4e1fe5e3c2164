"""Prediction on a made-up province: everybody gets a score, never one from a model that knew the answer."""

import re
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa
from polars.testing import assert_frame_equal

from include.config import Config
from include.domain.errors import NotReady
from include.domain.periods.months import default_as_of
from include.lake import Lake
from include.lake.campaigns import OUT_OF_FOLD, of_campaign, scores_of
from include.models import store, trees
from include.stages import features, prediction, training
from tests.fixtures.runs import run_of
from tests.stages.province import FACTORS, Province, quick_recipes
from tests.stages.worked_cycle import CAMPAIGN

AS_OF = default_as_of("2026-09")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The province publishes its factors itself, and a short fit is good enough for it."""
    monkeypatch.setattr(features, "build", lambda _run: {})
    monkeypatch.setattr(trees, "RECIPES", quick_recipes(30))


@pytest.fixture
def province(lake: Lake) -> Province:
    """August is labelled, September has factors only."""
    made = Province(lake, 2000, base=-2.5)
    made.live_through("2026-08")
    made.publish("factors", "2026-09", made.factors(), facts={"factors": list(FACTORS)})
    return made


def train(db: sa.Connection, lake: Lake, config: Config) -> dict[str, Any]:
    return training.train(
        run_of(db=db, lake=lake, config=config, campaign=CAMPAIGN, month="2026-08", as_of=AS_OF, now=AS_OF),
        nthread=1,
    )


def champions(db: sa.Connection, lake: Lake, config: Config, month: str = "2026-09") -> dict[str, Any]:
    return prediction.champions(
        run_of(db=db, lake=lake, config=config, campaign=CAMPAIGN, month=month, as_of=AS_OF)
    )


def predict(
    db: sa.Connection, lake: Lake, config: Config, month: str = "2026-09", revision: int = 0
) -> pl.DataFrame:
    prediction.predict(
        run_of(
            db=db,
            lake=lake,
            config=config,
            campaign=CAMPAIGN,
            cycle=month,
            month=month,
            as_of=AS_OF,
            revision=revision,
        )
    )
    return lake.scan(scores_of(CAMPAIGN, revision), month).collect()


def publish(db: sa.Connection, lake: Lake, config: Config, month: str, **made: Any) -> None:
    prediction.publish(
        run_of(db=db, lake=lake, config=config, campaign=CAMPAIGN, month=month, as_of=AS_OF), **made
    )


def predict_with(
    db: sa.Connection, lake: Lake, config: Config, chosen: dict[str, Any], month: str = "2026-09"
) -> pl.DataFrame:
    parts = [
        prediction.predict_shard(
            run_of(lake=lake, config=config, campaign=CAMPAIGN, cycle=month, month=month),
            shard=shard,
            champions=chosen,
        )
        for shard in range(lake.shards)
    ]
    publish(db, lake, config, month=month, parts=parts, champions=chosen)
    return lake.scan(scores_of(CAMPAIGN), month).sort("subscriber_id").collect()


def test_without_a_model_the_rules_serve_with_their_own_version(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    scores = predict(db, lake, config)
    assert scores.columns == ["subscriber_id", "probability", "model_version", "cluster"]
    assert scores.schema["probability"] == pl.Float64
    assert scores["probability"].null_count() == scores.height == lake.manifest("factors", "2026-09").rows
    (version,) = scores["model_version"].unique()
    assert re.fullmatch("rules-[0-9a-f]{8}", version)
    chosen = champions(db, lake, config)
    assert prediction.reasons(lake=lake, month="2026-09", champions=chosen, subscriber_ids=["S0000001"]) == {
        "S0000001": []
    }


def test_everybody_with_factors_gets_a_calibrated_probability(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    trained = train(db, lake, config)
    scores = predict(db, lake, config)
    assert scores.height == lake.manifest("factors", "2026-09").rows
    assert scores["probability"].is_between(0, 1, closed="none").all()
    assert set(scores["model_version"]) == {trained["model_version"]}
    assert scores["probability"].mean() == pytest.approx(trained["base_rate"], rel=0.25)
    assert set(scores["cluster"]) == {"under_6", "6_to_12", "over_12"}


def test_predicting_again_gives_the_same_scores(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    train(db, lake, config)
    first = predict(db, lake, config)
    fingerprint = lake.manifest(scores_of(CAMPAIGN), "2026-09").fingerprint
    assert_frame_equal(first, predict(db, lake, config))
    assert lake.manifest(scores_of(CAMPAIGN), "2026-09").fingerprint == fingerprint


def test_chunks_and_shards_do_not_change_a_score(
    db: sa.Connection,
    lake: Lake,
    config: Config,
    province: Province,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train(db, lake, config)
    whole = predict(db, lake, config)
    chosen = champions(db, lake, config)
    many = Lake.create(tmp_path / "many", subscribers=2_000_000)
    copytree(lake.root / "models", many.root / "models")
    Province(many, 0).publish("factors", "2026-09", lake.scan("factors", "2026-09").collect())
    monkeypatch.setattr(prediction, "CHUNK", 101)
    assert many.shards == 4
    assert_frame_equal(predict_with(db, many, config, chosen), whole)


def test_a_labelled_month_is_scored_by_models_that_did_not_know_the_answer(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    train(db, lake, config)
    chosen = champions(db, lake, config, "2026-08")
    assert chosen["pooled"]["is_out_of_fold"]
    scores = predict(db, lake, config, "2026-08")
    unseen = lake.scan(of_campaign(OUT_OF_FOLD, CAMPAIGN), "2026-08").collect()
    assert_frame_equal(
        scores.select("subscriber_id", "probability"), unseen.select("subscriber_id", "probability")
    )
    knowing = predict_with(
        db, lake, config, {"pooled": {**chosen["pooled"], "is_out_of_fold": False}}, "2026-08"
    )
    assert (knowing["probability"] != scores["probability"]).mean() > 0.9


def test_lost_out_of_fold_scores_stop_the_run_instead_of_leaking(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    train(db, lake, config)
    (lake.root / of_campaign(OUT_OF_FOLD, CAMPAIGN) / "month=2026-08" / "_manifest.json").unlink()
    with pytest.raises(NotReady, match="Train 2026-08 again"):
        predict(db, lake, config, "2026-08")
    train(db, lake, config)
    assert predict(db, lake, config, "2026-08")["probability"].null_count() == 0


def test_a_champion_that_learned_from_an_older_month_does_not_score_it(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    province.live_through("2026-09")
    late = default_as_of("2026-11")
    training.train(
        run_of(db=db, lake=lake, config=config, campaign=CAMPAIGN, month="2026-09", as_of=late, now=late)
    )
    chosen = prediction.champions(
        run_of(db=db, lake=lake, config=config, campaign=CAMPAIGN, month="2026-08", as_of=late)
    )
    assert chosen["pooled"]["kind"] == "rules"


def test_a_factor_missing_at_scoring_counts_as_typical_and_an_unknown_one_is_ignored(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    train(db, lake, config)
    chosen = champions(db, lake, config)
    whole = predict_with(db, lake, config, chosen)
    people = lake.scan("factors", "2026-09").collect()
    nulls = people.with_columns(bill_fall=pl.lit(None, pl.Float64), stranger=pl.lit(7.0))
    province.publish("factors", "2026-09", nulls)
    unknown = predict_with(db, lake, config, chosen)
    province.publish("factors", "2026-09", people.drop("bill_fall"))
    assert_frame_equal(predict_with(db, lake, config, chosen), unknown)
    assert unknown["probability"].null_count() == 0
    typical = people.with_columns(bill_fall=pl.lit(0.0))
    province.publish("factors", "2026-09", typical)
    given = predict_with(db, lake, config, chosen)["probability"]
    assert unknown["probability"].to_numpy() == pytest.approx(given.to_numpy(), rel=0.2)
    assert whole["probability"].std() > 1.3 * unknown["probability"].std()


def test_what_a_whole_feed_told_is_not_taken_for_the_worst_when_it_fails_to_come(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    """Nobody's complaints were ever unknown: the trees send the unknown to those who complain most."""
    train(db, lake, config)
    people = lake.scan("factors", "2026-09").collect()
    whole = predict(db, lake, config)["probability"]
    calm = people.with_columns(complaints=pl.lit(0.0))
    province.publish("factors", "2026-09", calm)
    nobody = predict(db, lake, config)["probability"]
    province.publish("factors", "2026-09", people.drop("complaints"))
    told = prediction.predict(
        run_of(
            db=db,
            lake=lake,
            config=config,
            campaign=CAMPAIGN,
            cycle="2026-09",
            month="2026-09",
            as_of=AS_OF,
            revision=0,
        )
    )
    silent = lake.scan(scores_of(CAMPAIGN), "2026-09").collect()["probability"]
    assert told["factors_missing"] == ["complaints"]
    assert silent.to_list() == nobody.to_list()  # the median of complaints is none
    assert silent.mean() < whole.mean()


def test_new_plans_unknown_clusters_and_missing_feeds_are_scored_by_the_pooled_model(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    """A cluster nobody knew, none at all, a plan launched this month, and no event feed: all get a number."""
    version = train(db, lake, config)["model_version"]
    chosen = champions(db, lake, config)
    people = lake.scan("factors", "2026-09").collect().with_row_index("number")
    strange = pl.when(pl.col("number") % 2 == 0).then(pl.lit("returned")).alias("cluster")
    changed = people.with_columns(strange, plan_code=pl.lit("NEW-9")).drop("number", "complaints")
    province.publish("factors", "2026-09", changed, facts={"factors": ["bill_fall", "noise"]})
    scores = predict_with(db, lake, config, chosen)
    assert scores.height == people.height
    assert scores["probability"].null_count() == 0
    assert set(scores["model_version"]) == {version}
    told = prediction.reasons(
        lake=lake, month="2026-09", champions=chosen, subscriber_ids=[scores["subscriber_id"][0]]
    )
    assert all(each["value"] is None for each in next(iter(told.values())) if each["factor"] == "complaints")


def test_infinite_factors_count_as_unknown() -> None:
    frame = pl.DataFrame({"ratio": [1.0, float("inf"), 1e300, None], "flag": [True, False, None, True]})
    made = store.matrix(frame, ("flag", "ratio", "absent"))
    assert made.dtype == np.float32
    assert np.array_equal(
        made,
        np.array(
            [[1, 1, np.nan], [0, np.nan, np.nan], [np.nan, np.nan, np.nan], [1, np.nan, np.nan]], np.float32
        ),
        equal_nan=True,
    )


def test_a_cluster_with_a_champion_of_its_own_is_scored_by_it(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    train(db, lake, config)
    model = champions(db, lake, config)["pooled"]
    chosen = {"pooled": {"version": "rules-12345678", "kind": "rules", "base_rate": None}, "under_6": model}
    scores = predict_with(db, lake, config, chosen)
    own = pl.col("cluster") == "under_6"
    assert scores.filter(own)["probability"].null_count() == 0
    assert set(scores.filter(~own)["model_version"]) == {"rules-12345678"}
    assert scores.height == lake.manifest("factors", "2026-09").rows


def test_a_revision_stands_beside_the_scores_acted_on(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    acted_on = predict(db, lake, config)
    train(db, lake, config)
    revised = predict(db, lake, config, revision=1)
    assert revised["probability"].null_count() == 0
    assert_frame_equal(lake.scan(scores_of(CAMPAIGN), "2026-09").collect(), acted_on)


@pytest.mark.parametrize("revision", [0, 3])
def test_scores_say_which_run_they_came_from(
    db: sa.Connection, lake: Lake, config: Config, province: Province, revision: int
) -> None:
    predict(db, lake, config, revision=revision)
    facts = lake.manifest(scores_of(CAMPAIGN, revision), "2026-09").facts
    del facts["champions"]
    assert facts == {
        "campaign": CAMPAIGN, "cycle": "2026-09", "as_of": AS_OF.isoformat(), "config_hash": config.hash,
        "revision": revision,
    }  # fmt: skip


def test_scores_are_not_published_while_a_shard_is_missing(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    with pytest.raises(NotReady, match="Shard 0 of 2026-09"):
        publish(db, lake, config, month="2026-09", parts=[], champions={})


def test_reasons_are_exact_and_sum_to_the_margin(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    train(db, lake, config)
    chosen = champions(db, lake, config)
    people = lake.scan("factors", "2026-09").head(50).collect()
    ids = people["subscriber_id"].to_list()
    found = prediction.reasons(lake=lake, month="2026-09", champions=chosen, subscriber_ids=ids, top=None)
    model = store.load(lake, chosen["pooled"]["version"], chosen["pooled"]["sha256"])
    matrix = store.matrix(people, model.factors)
    base = model.contributions(matrix)[:, -1]
    told = [sum(reason["contribution"] for reason in found[each]) for each in ids]
    assert np.array(told) + base == pytest.approx(model.margins(matrix), abs=1e-4)
    for row, each in zip(people.iter_rows(named=True), ids, strict=True):
        contributions = [reason["contribution"] for reason in found[each]]
        assert contributions == sorted(contributions, reverse=True)
        values = {reason["factor"]: reason["value"] for reason in found[each]}
        assert values == {
            name: pytest.approx(row[name]) if row[name] is not None else None for name in FACTORS
        }


def test_only_the_strongest_reasons_are_told(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    train(db, lake, config)
    who = lake.scan("factors", "2026-09").sort("bill_fall").tail(1).collect()["subscriber_id"].to_list()
    found = prediction.reasons(
        lake=lake, month="2026-09", champions=champions(db, lake, config), subscriber_ids=who, top=1
    )
    assert [reason["factor"] for reason in found[who[0]]] == ["bill_fall"]
