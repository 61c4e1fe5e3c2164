"""The truth marks who has a single cause, no feed shows it, and the share of true reasons told is counted."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from include.lake import Lake
from include.lake.campaigns import grades_of, scores_of
from include.simulator import told_reasons
from include.simulator.population.reasons import REASONS, main_reason, single_cause
from include.simulator.told_reasons import Graded, agreement, interval, main
from include.simulator.truth import read_truth

CAMPAIGN, MONTH = "churn_warning", "2026-09"


def test_a_single_cause_is_the_only_reason_strong_enough_to_matter() -> None:
    pressure = np.array([[2.0, 0, 0, 0, 0, 0], [2.0, 1.5, 0, 0, 0, 0], [0.0] * 6, [2.0, 0.01, 0, 0, 0, 0]])
    assert single_cause(pressure).tolist() == [True, False, False, True]
    assert main_reason(pressure).tolist() == [0, 0, -1, 0]


def test_the_truth_tells_who_has_a_single_cause(province: Path) -> None:
    truth = read_truth(province, MONTH)
    single = truth.filter(pl.col("has_single_cause"))
    assert set(single["main_reason"]) == set(REASONS)
    assert 0 < single.height < truth.filter(pl.col("main_reason") != "none").height


def test_no_feed_shows_it(province: Path) -> None:
    files = list((province / "landing").rglob("*.csv"))
    assert files
    headers = {path.read_text("utf-8").partition("\n")[0] for path in files}
    assert [header for header in headers if "cause" in header or "main_reason" in header] == []


@pytest.mark.parametrize(
    ("right", "among", "low", "high"), [(50, 100, 0.4038, 0.5962), (0, 10, 0.0, 0.2775), (0, 0, 0.0, 1.0)]
)
def test_the_interval_is_wilsons(right: int, among: int, low: float, high: float) -> None:
    assert interval(right, among) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


@pytest.fixture
def warned(province: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> pl.DataFrame:
    """Twelve people with a single cause are graded high; the model adds something to price for all of them."""
    truth = read_truth(province, MONTH).filter(pl.col("has_single_cause") & ~pl.col("left")).head(12)
    ids = truth["subscriber_id"]
    grades = pl.DataFrame(
        {"subscriber_id": ids, "grade": "high", "rule_hits": [[]] * 12},
        schema_overrides={"rule_hits": pl.List(pl.String)},
    )
    factors = pl.DataFrame({"subscriber_id": ids, "price_words_3m": [1.0] * 12})
    for table, frame in ((grades_of(CAMPAIGN), grades), ("factors", factors), (scores_of(CAMPAIGN), factors)):
        lake.publish(table, MONTH, [lake.write_part(table, MONTH, 0, frame, "test")], facts={"champions": {}})
    said = [{"factor": "price_words_3m", "contribution": 0.4, "value": 1.0}]

    def reasons(subscriber_ids: list[str], **_: Any) -> dict[str, Any]:
        return dict.fromkeys(subscriber_ids, said)

    monkeypatch.setattr(told_reasons.prediction, "reasons", reasons)
    return truth


def test_the_share_and_the_confusion_count_the_first_reason_told(warned, province, lake, config) -> None:
    found = agreement(province, lake, config, Graded(CAMPAIGN, MONTH, ("high",)))
    right = warned.filter(pl.col("main_reason") == "price").height
    assert (found["people"], found["right"], found["share"]) == (12, right, round(right / 12, 4))
    assert found["low"] <= found["share"] <= found["high"]
    counts = dict(warned["main_reason"].value_counts().iter_rows())
    assert found["confusion"] == {true: {"price": count} for true, count in counts.items()}


def test_the_command_prints_share_interval_and_table(warned, province, lake, capsys) -> None:
    assert main(["--out", str(province), "--lake", str(lake.root), "--month", MONTH]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"{MONTH}, high and mid: ")
    assert "95 % interval" in told


def test_a_month_that_was_not_graded_is_told_in_a_sentence(province, lake, capsys) -> None:
    assert main(["--out", str(province), "--lake", str(lake.root), "--month", MONTH]) == 1
    assert "The lake holds no grades/campaign=churn_warning for 2026-09" in capsys.readouterr().err
