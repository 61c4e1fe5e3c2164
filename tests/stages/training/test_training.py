"""Training on a made-up province: what counts as a label, who counts as an example, which version serves."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa

from include.config import Config
from include.domain.errors import BadInput
from include.domain.periods.horizon import Horizon
from include.domain.periods.months import default_as_of, month_start
from include.lake import Lake
from include.lake.campaigns import OUT_OF_FOLD, of_campaign
from include.models import champions, fitting, labels, store, training_sets, trees
from include.stages import features, training
from include.subscribers import later
from tests.fixtures.runs import run_of
from tests.stages.province import Province, quick_recipes
from tests.stages.worked_cycle import CAMPAIGN, LEAVING, WorkedCycle


@pytest.fixture(autouse=True)
def standing_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    """The province publishes its factors itself, and a short fit is good enough for it."""
    monkeypatch.setattr(features, "build", lambda _run: {})
    monkeypatch.setattr(trees, "RECIPES", quick_recipes(40))


def train(
    db: sa.Connection, lake: Lake, config: Config, month: str, as_of: datetime | None = None
) -> dict[str, Any]:
    as_of = as_of or default_as_of("2026-12")
    return training.train(
        run_of(db=db, lake=lake, config=config, campaign=CAMPAIGN, month=month, as_of=as_of, now=as_of),
        nthread=1,
    )


def rows(db: sa.Connection, statement: str) -> list[Any]:
    with db.begin():
        return [tuple(row) for row in db.execute(sa.text(statement))]


# ---------------------------------------------------------------- labels


def test_a_month_is_labelled_when_the_marker_lies_there_or_the_fifth_has_passed(lake: Lake) -> None:
    province = Province(lake, 20)
    people = province.factors()
    province.publish("churned", "2026-10", people.select("subscriber_id").head(1), facts={"complete": False})
    fifth, sixth = default_as_of("2026-10"), default_as_of("2026-10") + timedelta(days=1)
    assert not labels.is_labelled(lake, "2026-09", LEAVING, fifth)
    assert labels.is_labelled(lake, "2026-09", LEAVING, sixth)
    province.publish("churned", "2026-10", people.select("subscriber_id").head(1), facts={"complete": True})
    assert labels.is_labelled(lake, "2026-09", LEAVING, fifth)


def test_a_month_marked_complete_is_still_unknown_before_it_ends(lake: Lake) -> None:
    Province(lake, 20).leave("2026-10", ["S0000001"])
    assert not labels.is_labelled(lake, "2026-09", LEAVING, month_start("2026-11") - timedelta(seconds=1))
    assert labels.is_labelled(lake, "2026-09", LEAVING, month_start("2026-11"))


def test_a_longer_horizon_waits_for_its_last_month(lake: Lake) -> None:
    province = Province(lake, 20)
    province.leave("2026-09", ["S0000001"])
    assert labels.is_labelled(lake, "2026-08", LEAVING, default_as_of("2026-12"))
    assert not labels.is_labelled(lake, "2026-08", labels.leaving(Horizon(2)), default_as_of("2026-12"))
    province.leave("2026-10", ["S0000002"])
    assert labels.is_labelled(lake, "2026-08", labels.leaving(Horizon(2)), default_as_of("2026-12"))
    assert set(later.leavers(lake, Horizon(2).after("2026-08"))["subscriber_id"]) == {"S0000001", "S0000002"}


def test_a_month_without_a_delivery_never_means_that_nobody_left(
    db: sa.Connection, lake: Lake, config: Config
) -> None:
    province = Province(lake, 50)
    people = province.factors()
    for table in ("usage_months", "subscribers", "factors"):
        province.publish(table, "2026-08", people, facts={"factors": ["noise"]})
    result = train(db, lake, config, "2026-08")
    assert result["trained"] is False
    assert "2026-08" in result["reason"]


# ---------------------------------------------------------------- examples


def test_once_somebody_is_reached_the_treated_drop_out_and_the_held_out_weigh_for_them_all(
    db: sa.Connection, lake: Lake
) -> None:
    Province(lake, 200).live_through("2026-08")
    cycle = WorkedCycle(db, "2026-08")
    for subscriber in ("S0000001", "S0000002", "S0000003", "S0000005"):
        cycle.assign(subscriber, "treated")
    cycle.assign("S0000004", "held_out")
    cycle.contact("S0000001", default_as_of("2026-08") + timedelta(days=2))
    cycle.contact("S0000002", default_as_of("2026-08") + timedelta(days=2), result="no_answer")
    cycle.contact("S0000003", month_start("2026-10"))
    month = training_sets.Labelling(db, lake, CAMPAIGN, LEAVING, default_as_of("2026-12")).of_month("2026-08")
    # not reached, reached too late and never called count as little as those reached: it was no lot that chose them
    dropped = [("S0000001", 0.0), ("S0000002", 0.0), ("S0000003", 0.0)]
    assert month.weights.rows() == [*dropped, ("S0000004", 5.0), ("S0000005", 0.0)]
    read = training_sets.read_examples(lake, [month], ("noise",), kept_share=1.0)
    assert len(read.weights) == 196
    assert read.weights.sum() == 200


def test_where_nobody_is_held_out_only_those_reached_drop_out(db: sa.Connection, lake: Lake) -> None:
    Province(lake, 50).live_through("2026-08")
    cycle = WorkedCycle(db, "2026-08")
    cycle.assign("S0000001", "treated")
    cycle.assign("S0000002", "treated")
    cycle.contact("S0000001", default_as_of("2026-08") + timedelta(days=2))
    cycle.write_to("S0000003", default_as_of("2026-08") + timedelta(days=2))
    month = training_sets.Labelling(db, lake, CAMPAIGN, LEAVING, default_as_of("2026-12")).of_month("2026-08")
    assert month.weights.rows() == [("S0000001", 0.0), ("S0000003", 0.0)]


def test_who_was_written_to_drops_out_like_the_called_and_the_lists_own_held_out_stand_in(
    db: sa.Connection, lake: Lake
) -> None:
    Province(lake, 50).live_through("2026-08")
    cycle = WorkedCycle(db, "2026-08")
    cycle.assign("S0000001", "treated")
    cycle.assign("S0000002", "held_out")
    cycle.write_to("S0000003", default_as_of("2026-08") + timedelta(days=2))
    cycle.write_to("S0000004", month_start("2026-10"))
    cycle.write_to("S0000005", default_as_of("2026-08"), "held_out")
    month = training_sets.Labelling(db, lake, CAMPAIGN, LEAVING, default_as_of("2026-12")).of_month("2026-08")
    # nobody was called, so that the held-out of the tickets stand for nobody
    assert month.weights.rows() == [("S0000003", 0.0), ("S0000004", 0.0), ("S0000005", 10.0)]
    early = default_as_of("2026-08") + timedelta(days=1)
    assert training_sets.Labelling(db, lake, CAMPAIGN, LEAVING, early).of_month("2026-08").weights.is_empty()


def test_a_cycle_nobody_was_reached_in_leaves_all_weights_at_one(db: sa.Connection, lake: Lake) -> None:
    Province(lake, 50).live_through("2026-08")
    cycle = WorkedCycle(db, "2026-08")
    cycle.assign("S0000001", "treated")
    cycle.assign("S0000004", "held_out")
    month = training_sets.Labelling(db, lake, CAMPAIGN, LEAVING, default_as_of("2026-12")).of_month("2026-08")
    assert month.weights.is_empty()


def test_a_contact_after_as_of_is_not_known_yet(db: sa.Connection, lake: Lake) -> None:
    Province(lake, 50).live_through("2026-08")
    cycle = WorkedCycle(db, "2026-08")
    cycle.assign("S0000001", "treated")
    cycle.contact("S0000001", default_as_of("2026-08") + timedelta(days=9))
    as_of = default_as_of("2026-08") + timedelta(days=8)
    assert training_sets.Labelling(db, lake, CAMPAIGN, LEAVING, as_of).of_month("2026-08").weights.is_empty()


def test_sampling_keeps_every_churner_and_the_weight_of_those_who_stayed(
    db: sa.Connection, lake: Lake
) -> None:
    Province(lake, 8000).live_through("2026-08")
    month = training_sets.Labelling(db, lake, CAMPAIGN, LEAVING, default_as_of("2026-12")).of_month("2026-08")
    churners, stayers = training_sets.churners_and_stayers(lake, month)
    read = training_sets.read_examples(lake, [month], ("noise",), kept_share=0.25)
    assert read.happened.sum() == churners
    assert read.matrix.dtype == np.float32
    kept = read.weights[read.happened == 0]
    assert set(kept) == {4.0}
    assert kept.sum() == pytest.approx(stayers, rel=0.05)


def test_a_subscriber_is_in_the_same_fold_whatever_the_month_and_its_neighbours() -> None:
    ids = [f"S{number}" for number in range(1000)]
    one, other = training_sets.folds_of(pl.Series(ids)), training_sets.folds_of(pl.Series(ids[::-1]))
    assert (one == other[::-1]).all()
    assert np.bincount(one, minlength=training_sets.FOLDS).min() > 150


# ---------------------------------------------------------------- fitting and judging


def test_one_labelled_month_is_judged_by_folds_of_subscribers(
    db: sa.Connection, lake: Lake, config: Config
) -> None:
    Province(lake).live_through("2026-08")
    result = train(db, lake, config, "2026-08")
    assert result["trained"] is True
    assert result["months"] == result["judged_on"] == ["2026-08"]
    assert 0.7 < result["auc_all"] < 0.9
    assert result["n"] == 3000
    assert result["base_rate"] == pytest.approx(result["churners"] / 3000)
    assert 0 < result["brier"] < result["base_rate"] * (1 - result["base_rate"])
    assert result["state"] == "champion"


def test_figures_of_pure_noise_do_not_pretend(db: sa.Connection, lake: Lake, config: Config) -> None:
    province = Province(lake, 3000)
    people = province.factors()
    drawn = province.random.random(3000) < 0.06
    province.publish("factors", "2026-08", people, facts={"factors": ["bill_fall", "noise", "tenure_months"]})
    for feed in ("usage_months", "subscribers"):
        province.publish(feed, "2026-08", people.select("subscriber_id"))
    province.leave("2026-09", people["subscriber_id"].filter(pl.Series(drawn)).to_list())
    result = train(db, lake, config, "2026-08")
    assert 0.4 < result["auc_all"] < 0.6
    assert result["brier"] < 1.05 * result["base_rate"] * (1 - result["base_rate"])


def test_the_newest_of_several_months_judges_what_the_older_taught(
    db: sa.Connection, lake: Lake, config: Config
) -> None:
    province = Province(lake)
    for month in ("2026-06", "2026-07", "2026-08"):
        province.live_through(month)
    result = train(db, lake, config, "2026-08")
    assert result["months"] == ["2026-06", "2026-07", "2026-08"]
    assert result["judged_on"] == ["2026-08"]
    assert result["n"] == lake.manifest("factors", "2026-08").rows
    assert result["rows_in"] == sum(lake.manifest("factors", month).rows for month in result["months"])
    assert result["auc_early"] == pytest.approx(0.5, abs=0.1)  # this province forgets from month to month


def test_the_newest_month_is_judged_by_a_model_of_the_older_ones_alone(db: sa.Connection, lake: Lake) -> None:
    province = Province(lake, 1500)
    for month in ("2026-07", "2026-08"):
        province.live_through(month)
    months = tuple(
        training_sets.Labelling(db, lake, CAMPAIGN, LEAVING, default_as_of("2026-12")).of_month(month)
        for month in ("2026-07", "2026-08")
    )
    plan = fitting.Plan(months, months[:1], months[1:], ("bill_fall", "complaints"), 1.0, 1)
    fitted = fitting.fit(lake, plan)
    read = training_sets.read_examples(lake, months, plan.factors, 1.0)
    again = trees.grow(read.taken(read.month == 0), plan.factors, trees.parts_of(fitted.kind), 1)
    values = store.matrix(months[1].people(lake).collect(), plan.factors)
    found = {kind: store.margins(booster, values) for kind, booster in again.items()}
    shares = trees.shares_of(found, np.ones(len(values))) or {fitted.kind: 1.0}
    assert fitted.judged["margin"].to_numpy() == pytest.approx(trees.blended_margins(found, shares))


def test_with_one_month_nobody_is_judged_by_a_model_that_learned_from_them(
    db: sa.Connection, lake: Lake
) -> None:
    Province(lake, 1500).live_through("2026-08")
    month = training_sets.Labelling(db, lake, CAMPAIGN, LEAVING, default_as_of("2026-12")).of_month("2026-08")
    plan = fitting.Plan((month,), (month,), (month,), ("bill_fall", "complaints"), 1.0, 1)
    read = training_sets.read_examples(lake, [month], plan.factors, 1.0)
    boosters = fitting.judging_boosters(read, plan, (trees.BOOSTED,))[trees.BOOSTED]
    fold = 3
    own = read.fold == fold
    again = trees.grow(read.taken(~own), plan.factors, (trees.BOOSTED,), 1)[trees.BOOSTED]
    found = fitting.judged_margins(read.matrix, read.fold, boosters)
    assert found[own] == pytest.approx(store.margins(again, read.matrix[own]))


def test_too_few_churners_leave_the_rules_in_charge(db: sa.Connection, lake: Lake, config: Config) -> None:
    Province(lake, 300).live_through("2026-08")
    result = train(db, lake, config, "2026-08")
    assert result["trained"] is False
    assert "too few: 50 are needed" in result["reason"]
    assert rows(db, "select 1 from models") == []


def test_factors_are_asked_for_as_each_labelled_month_could_have_known_them(
    db: sa.Connection, lake: Lake, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    province = Province(lake, 100)
    for month in ("2026-06", "2026-07", "2026-08"):
        province.live_through(month)
    asked: dict[str, datetime] = {}
    monkeypatch.setattr(features, "build", lambda run: asked.update({run.month: run.as_of}))
    train(db, lake, config, "2026-08", default_as_of("2026-08"))
    assert asked == {month: default_as_of(month) for month in ("2026-06", "2026-07")}


def test_a_large_province_is_sampled_until_it_fits(
    db: sa.Connection, lake: Lake, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    Province(lake, 6000).live_through("2026-08")
    monkeypatch.setattr(fitting, "ENOUGH_ROWS", 100)
    monkeypatch.setattr(fitting, "STAYERS_PER_CHURNER", 2)
    result = train(db, lake, config, "2026-08")
    assert result["rows_in"] == pytest.approx(3 * result["churners"], rel=0.1)
    assert result["rows_out"] == 6000  # judged by everybody all the same
    assert 0.7 < result["auc_all"] < 0.9
    assert result["brier"] < result["base_rate"] * (1 - result["base_rate"])


# ---------------------------------------------------------------- versions and champions


def test_training_twice_gives_one_version_and_one_row(db: sa.Connection, lake: Lake, config: Config) -> None:
    Province(lake).live_through("2026-08")
    first, second = train(db, lake, config, "2026-08"), train(db, lake, config, "2026-08")
    assert first == second
    assert rows(db, "select model_version, state from models") == [(first["model_version"], "champion")]


def test_a_fit_repeated_from_scratch_gives_the_same_files(
    db: sa.Connection, lake: Lake, config: Config
) -> None:
    Province(lake).live_through("2026-08")
    version = train(db, lake, config, "2026-08")["model_version"]
    stored = rows(db, "select sha256 from models")
    for file in (Path(lake.root) / "models" / version).iterdir():
        file.unlink()
    train(db, lake, config, "2026-08")
    assert rows(db, "select sha256 from models") == stored
    store.load(lake, version, stored[0][0])


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "_manifest.json").unlink(),
        lambda folder: (folder / "_manifest.json").write_bytes(b"[]"),
        lambda folder: next(folder.glob("*.parquet")).write_bytes(b"cut"),
    ],
    ids=["gone", "no manifest", "cut"],
)
def test_files_that_stand_are_not_written_again_for_scores_name_their_hash(
    db: sa.Connection,
    lake: Lake,
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
    harm: Callable[[Path], object],
) -> None:
    Province(lake).live_through("2026-08")
    first = train(db, lake, config, "2026-08")
    harm(Path(lake.root) / of_campaign(OUT_OF_FOLD, CAMPAIGN) / "month=2026-08")
    monkeypatch.setattr(store, "save", lambda *_: pytest.fail("written again"))
    assert train(db, lake, config, "2026-08")["model_version"] == first["model_version"]
    assert champions.out_of_fold(lake, CAMPAIGN, "2026-08", first["model_version"]) is not None


def test_how_the_lake_is_cut_changes_no_example(db: sa.Connection, lake: Lake, tmp_path: Path) -> None:
    many = Lake.create(tmp_path / "many", subscribers=2_000_000)
    read = []
    for each in (lake, many):
        Province(each, 500).live_through("2026-08")
        month = training_sets.Labelling(db, each, CAMPAIGN, LEAVING, default_as_of("2026-12")).of_month(
            "2026-08"
        )
        read.append(training_sets.read_examples(each, [month], ("bill_fall", "noise"), 0.5))
    assert many.shards > lake.shards
    for name in ("matrix", "happened", "weights", "fold"):
        assert np.array_equal(*(getattr(each, name) for each in read), equal_nan=True)


def test_churn_delivered_after_as_of_changes_nothing(db: sa.Connection, lake: Lake, config: Config) -> None:
    province = Province(lake)
    province.live_through("2026-07")
    before = train(db, lake, config, "2026-08", default_as_of("2026-08"))
    province.live_through("2026-08")
    province.live_through("2026-09")
    assert train(db, lake, config, "2026-08", default_as_of("2026-08")) == before
    assert before["months"] == ["2026-07"]


def test_a_replay_of_the_past_does_not_know_a_later_champion(
    db: sa.Connection, lake: Lake, config: Config
) -> None:
    province = Province(lake)
    province.live_through("2026-07")
    province.live_through("2026-08")
    trained = train(db, lake, config, "2026-08", default_as_of("2026-09"))
    text = config.texts["rules.yaml"]
    then = champions.champions(db, CAMPAIGN, "2026-09", default_as_of("2026-08"), text)
    later = champions.champions(db, CAMPAIGN, "2026-09", default_as_of("2026-09"), text)
    assert then["pooled"]["kind"] == "rules"
    assert later["pooled"]["version"] == trained["model_version"]


def test_training_an_earlier_past_leaves_todays_champion_in_place(
    db: sa.Connection, lake: Lake, config: Config
) -> None:
    province = Province(lake)
    for month in ("2026-07", "2026-08"):
        province.live_through(month)
    today = train(db, lake, config, "2026-08", default_as_of("2026-09"))
    past = train(db, lake, config, "2026-08", default_as_of("2026-08"))
    assert (today["state"], past["state"]) == ("champion", "retired")
    text = config.texts["rules.yaml"]
    then = champions.champions(db, CAMPAIGN, "2026-08", default_as_of("2026-08"), text)
    assert then["pooled"]["version"] == past["model_version"]


def test_a_better_challenger_takes_over_and_the_champion_retires(
    db: sa.Connection, lake: Lake, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    province = Province(lake)
    province.live_through("2026-07")
    with monkeypatch.context() as blinded:
        blinded.setattr(training_sets, "common_factors", lambda *_: ("noise",))
        old = train(db, lake, config, "2026-07", default_as_of("2026-08"))
    province.live_through("2026-08")
    new = train(db, lake, config, "2026-08")
    states = dict(rows(db, "select model_version, state from models"))
    assert states == {old["model_version"]: "retired", new["model_version"]: "champion"}


def test_a_challenger_worse_on_the_newest_month_stays_a_candidate(
    db: sa.Connection, lake: Lake, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    province = Province(lake)
    for month in ("2026-06", "2026-07"):
        province.live_through(month)
    old = train(db, lake, config, "2026-07", default_as_of("2026-08"))
    province.live_through("2026-08")
    monkeypatch.setattr(training_sets, "common_factors", lambda *_: ("noise",))
    new = train(db, lake, config, "2026-08")
    assert new["state"] == "candidate"
    chosen = champions.champions(db, CAMPAIGN, "2026-09", default_as_of("2026-12"), "")
    assert chosen["pooled"]["version"] == old["model_version"]


def test_a_model_file_that_was_touched_is_refused(db: sa.Connection, lake: Lake, config: Config) -> None:
    Province(lake).live_through("2026-08")
    version = train(db, lake, config, "2026-08")["model_version"]
    sha256 = rows(db, "select sha256 from models")[0][0]
    assert store.load(lake, version, sha256).version == version
    card = Path(lake.root) / "models" / version / "calibration.json"
    card.write_text(card.read_text().replace("platt", "isotonic"))
    with pytest.raises(BadInput, match="not the ones that were trained"):
        store.load(lake, version, sha256)
    train(db, lake, config, "2026-08")  # as the message says
    assert store.load(lake, version, sha256).version == version
