"""The comparison with scikit-learn on raw columns, and the columns a real landing makes metrics of."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from include import config as configuration
from include.config import load_config
from include.lake import Lake
from include.models import bootstrap, trees
from include.models.training_sets import folds_of
from include.stages.training import comparison
from include.stages.training.__main__ import main
from tests.measures.real_landing import with_extra_metrics
from tests.stages.province import Province, quick_recipes


@pytest.fixture
def labelled(lake: Lake) -> Lake:
    """July and August of 800 people with usage that tells what the factors tell."""
    province = Province(lake, 800, base=-2.0)
    for month in ("2026-07", "2026-08"):
        province.live_through(month)
        people = lake.scan("factors", month).collect()
        noise = pl.Series(province.random.normal(size=people.height))
        usage = people.select(
            "subscriber_id",
            voice_out_minutes=(1 - pl.col("bill_fall") + noise).clip(0),
            bill_yuan=pl.col("complaints"),
        )
        province.publish("usage_months", month, usage)
    return lake


def test_every_view_has_our_area_and_the_difference_to_each_rival(
    labelled: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "RECIPES", quick_recipes(30))
    small = {
        "hist_gradient_boosting": HistGradientBoostingClassifier(max_iter=10, random_state=0),
        "random_forest": RandomForestClassifier(n_estimators=20, random_state=0),
    }
    monkeypatch.setattr(comparison, "rivals", lambda: small)
    assert (
        main(
            ["compare", "--lake", str(labelled.root), "--month", "2026-08", "--threads", "1", "--splits", "2"]
        )
        == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert told["splits"] == 2
    assert set(told["views"]) == {"all", "active", "early"}
    assert told["views"]["all"]["people"] == labelled.manifest("factors", "2026-08").rows
    assert told["views"]["active"]["people"] < told["views"]["all"]["people"]
    for name, view in told["views"].items():
        for rival in ("hist_gradient_boosting", "random_forest"):
            difference = view["loop"] - view[rival]["auc"]
            assert view[rival]["difference_low"] < difference < view[rival]["difference_high"], name
    assert told["views"]["all"]["loop"] > 0.65
    assert told["views"]["early"]["loop"] < 0.65  # this province forgets from month to month


def test_every_split_puts_people_into_other_folds_of_about_the_same_size() -> None:
    ids = pl.Series([f"S{number:08d}" for number in range(5000)])
    first, second, third = (folds_of(ids, split) for split in range(3))
    assert folds_of(ids, 1).tolist() == second.tolist()
    for one, other in ((first, second), (first, third), (second, third)):
        together = np.zeros((5, 5))
        np.add.at(together, (one, other), 1)
        assert together.min() > 140  # 200 expected
        assert together.max() < 260


def test_the_mean_over_several_scorings_is_judged_by_the_same_draws() -> None:
    random = np.random.default_rng(3)
    happened = (random.random(600) < 0.2).astype(float)
    ours, theirs = ([happened + random.normal(size=600) * size for _ in range(3)] for size in (1.0, 1.2))
    weights = np.ones(600)
    single = [
        bootstrap.auc_difference(a, b, happened, weights, 50) for a, b in zip(ours, theirs, strict=True)
    ]
    low, high = bootstrap.mean_auc_difference(ours, theirs, happened, weights, 50) or (0.0, 0.0)
    assert bootstrap.mean_auc_difference(ours[:1], theirs[:1], happened, weights, 50) == single[0]
    assert high - low < max(each[1] - each[0] for each in single if each)


def test_a_lake_without_the_month_is_told_what_to_do(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--lake", str(lake.root), "--month", "2026-08"]) == 1
    assert "no factors of 2026-08" in capsys.readouterr().err
    Province(lake, 50).publish("factors", "2026-08", Province(lake, 50).factors(), facts={"factors": []})
    assert main(["compare", "--lake", str(lake.root), "--month", "2026-08"]) == 1
    assert "nobody knows who left" in capsys.readouterr().err


def test_columns_beyond_the_contract_become_metrics_by_configuration_alone(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    shutil.copytree(Path(configuration.__file__).parent, folder)
    header = ["subscriber_id", "bill_yuan", "onnet_minutes", "packs"]
    assert with_extra_metrics(folder, header) == ["onnet_minutes", "packs"]
    changed = load_config(folder)
    assert "packs" in changed.sources.feeds["usage_months"].columns
    before = yaml.safe_load(Path(configuration.__file__).with_name("factors.yaml").read_text("utf-8"))
    assert len(changed.factors.names) == len(before["factors"]) + 8
    assert np.all([f"packs_{name}" in changed.factors.names for name in ("level", "difference_1m")])
