"""The factor catalogue in docs is what factors.yaml says today."""

from pathlib import Path

import polars as pl
import pytest

from include.config import catalogue
from include.lake import Lake
from tests.stages.province import Province

PAGE = Path(__file__).resolve().parents[2] / "docs" / "factor-catalogue.md"


def test_the_page_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise: python -m include.config.catalogue > docs/factor-catalogue.md"""
    assert catalogue.main([]) == 0
    assert capsys.readouterr().out == PAGE.read_text("utf-8")


def test_every_factor_stands_in_it_once(config) -> None:
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.count(" | ") == 6]
    named = [row.split(" | ")[0].removeprefix("| ") for row in rows]
    assert sorted(set(named) & set(config.factors.names)) == sorted(config.factors.names)
    assert len(set(named)) == len([name for name in named if name != "factor"]) + 1


def test_coverage_and_distribution_are_those_of_the_month(lake: Lake) -> None:
    Province(lake, 400).live_through("2026-08")
    noise = lake.scan("factors", "2026-08").select("noise").collect().to_series()
    coverage, low, median, high = catalogue.values_of(str(lake.root), "2026-08")["noise"]
    assert coverage == pytest.approx(1 - noise.null_count() / 400)
    assert low < median < high
    assert median == pytest.approx(noise.median(), abs=0.05)
    assert isinstance(noise, pl.Series)
