"""The factor catalogue in docs is what factors.yaml says today."""

from pathlib import Path

import polars as pl
import pytest

from include.analysis import catalogue
from include.lake import Lake
from tests.stages.province import Province

PAGE = Path(__file__).resolve().parents[2] / "docs" / "factor-catalogue.md"


def test_the_definitions_on_the_page_are_current(capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise make the page again by the commands that stand in it."""
    assert catalogue.main([]) == 0
    made = capsys.readouterr().out
    assert PAGE.read_text("utf-8").startswith(made)


def test_every_factor_has_a_row_in_its_group_and_one_among_the_values(config) -> None:
    first, second = PAGE.read_text("utf-8").split("\n## A month's values\n")
    for part in (first.split("\n## New and never topped up")[1], second):
        rows = [
            line.removeprefix("| ").split(" | ")[0] for line in part.splitlines() if line.startswith("| ")
        ]
        assert sorted(set(rows) - {"factor"}) == sorted(config.factors.names)


def test_the_page_names_the_commands_that_make_it() -> None:
    page = PAGE.read_text("utf-8")
    for module in (
        "include.simulator --subscribers 20000",
        "include.loop",
        "include.analysis.catalogue --lake",
    ):
        assert f"python -m {module}" in page


def test_coverage_and_distribution_are_those_of_the_month(lake: Lake) -> None:
    Province(lake, 400).live_through("2026-08")
    noise = lake.scan("factors", "2026-08").select("noise").collect().to_series()
    coverage, low, median, high, zeros = catalogue.values_of(str(lake.root), "2026-08")["noise"]
    assert coverage == pytest.approx(1 - noise.null_count() / 400)
    assert low < median < high
    assert median == pytest.approx(noise.median(), abs=0.05)
    assert zeros == pytest.approx((noise == 0).mean())


def test_a_factor_nobody_has_stands_there_with_no_coverage(lake: Lake) -> None:
    empty = pl.DataFrame({"subscriber_id": ["A"], "silent": [None]}, schema_overrides={"silent": pl.Float64})
    part = lake.write_part("factors", "2026-08", 0, empty, "test")
    lake.publish("factors", "2026-08", [part], facts={"factors": ["silent"]})
    told = catalogue.distribution(catalogue.values_of(str(lake.root), "2026-08"), "2026-08")
    assert "| silent | 0% |  |  |  |  |" in told
