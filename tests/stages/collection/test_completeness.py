"""A month that has not come whole is never published, and the month that stands is never lost."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from include.config import Config
from include.config.readers.sources import Completeness
from include.domain.errors import BadInput, NotReady
from include.lake import Lake
from include.stages import collection
from tests.stages.collection.test_collection import MONTH, Operator

BEFORE = "2026-09"
REGIONS = [f"R{number:02d}" for number in range(1, 18)]


@pytest.fixture
def operator(tmp_path: Path, db: Connection, lake: Lake, config: Config) -> Operator:
    (tmp_path / "landing").mkdir()
    bounds = Completeness(band=0.3, least_rows=10)
    judged = replace(config, sources=config.sources.model_copy(update={"completeness": bounds}))
    return Operator(tmp_path / "landing", db, lake, judged)


def profiles(rows: Mapping[str, int]) -> str:
    """That many subscribers of each region."""
    ids = ((f"{region}-{number}", region) for region, count in rows.items() for number in range(count))
    return "subscriber_id,joined_on,region_code\n" + "".join(
        f"{one},2024-01-01,{where}\n" for one, where in ids
    )


def usage(rows: Mapping[str, int]) -> str:
    ids = (f"{region}-{number}" for region, count in rows.items() for number in range(count))
    return "subscriber_id,bill_yuan\n" + "".join(f"{one},1\n" for one in ids)


def of_all(regions: Iterable[str], rows: int = 20) -> dict[str, int]:
    return dict.fromkeys(regions, rows)


def stand(operator: Operator, month: str, rows: Mapping[str, int]) -> None:
    """Deliver and collect both required feeds of a month."""
    for feed, content in (("subscribers", profiles(rows)), ("usage_months", usage(rows))):
        operator.deliver(feed, content, period=month)
        operator.collect(feed, month)


def require(operator: Operator, **given: Any) -> dict[str, Any]:
    return collection.require(operator.site(), MONTH, **given)


@pytest.mark.parametrize("feed", ["subscribers", "usage_months"])
def test_thirteen_of_seventeen_regions_are_named_and_not_published(operator: Operator, feed: str) -> None:
    stand(operator, BEFORE, of_all(REGIONS))
    content = {"subscribers": profiles, "usage_months": usage}[feed]
    operator.deliver(feed, content(of_all(REGIONS[:13])))
    with pytest.raises(NotReady) as raised:
        operator.collect(feed)
    for region in REGIONS[13:]:
        assert f"{region} has 0 rows (20 the month before)" in str(raised.value)
    assert REGIONS[12] not in str(raised.value)
    assert f"{feed}/month={MONTH} is incomplete" in str(raised.value)
    assert not operator.lake.has(feed, MONTH)
    assert operator.plan() == [f"{feed} {MONTH}"]
    operator.deliver(feed, content(of_all(REGIONS[13:])), name="part-2.csv")
    assert operator.collect(feed)["rows_out"] == 17 * 20


def test_half_a_redelivery_leaves_the_month_that_stands(operator: Operator) -> None:
    stand(operator, BEFORE, of_all(REGIONS))
    stand(operator, MONTH, of_all(REGIONS))
    operator.deliver("usage_months", usage(of_all(REGIONS[:13], 21)))
    with pytest.raises(NotReady, match="R14 has 0 rows"):
        operator.collect("usage_months")
    assert operator.lake.manifest("usage_months", MONTH).rows == 17 * 20
    operator.deliver("usage_months", usage(of_all(REGIONS, 21)))
    assert operator.collect("usage_months")["rows_out"] == 17 * 21
    assert operator.rows(f"select count(*) from deliveries where period = '{MONTH}' and is_current") == [(2,)]


@pytest.mark.parametrize(("rows", "passes"), [(13, False), (14, True), (26, True), (27, False)])
def test_the_band_holds_on_both_sides(operator: Operator, rows: int, passes: bool) -> None:
    stand(operator, BEFORE, of_all(["R01", "R02"]))
    operator.deliver("subscribers", profiles({"R01": rows, "R02": 20}))
    if passes:
        assert operator.collect("subscribers")["is_new"]
        return
    with pytest.raises(NotReady, match=rf"R01 has {rows} rows \(20 the month before\); 30% more or less"):
        operator.collect("subscribers")


def test_small_and_new_regions_are_not_judged(operator: Operator) -> None:
    stand(operator, BEFORE, {"R01": 20, "R02": 9})
    operator.deliver("subscribers", profiles({"R01": 20, "R03": 50}))
    assert operator.collect("subscribers")["is_new"]


def test_without_any_region_the_whole_feed_is_judged(operator: Operator) -> None:
    operator.deliver("usage_months", usage({"X": 20}), period=BEFORE)
    operator.collect("usage_months", BEFORE)
    operator.deliver("usage_months", usage({"X": 13}))
    with pytest.raises(NotReady, match="all regions has 13 rows"):
        operator.collect("usage_months")


def test_a_feed_that_is_not_required_may_shrink(operator: Operator) -> None:
    for month, number in ((BEFORE, 28), (MONTH, 1)):
        rows = "".join(f"S{n},{month}-{n:02d}\n" for n in range(1, number + 1))
        operator.deliver("churned", f"subscriber_id,churned_on\n{rows}", period=month)
        assert operator.collect("churned", month)["is_new"]


# ---------------------------------------------------------------- manifest


def manifest(operator: Operator, content: str) -> None:
    operator.deliver("usage_months", content, name="_MANIFEST.csv")


def test_a_manifest_that_matches_vouches_for_the_rows(operator: Operator) -> None:
    stand(operator, BEFORE, of_all(REGIONS))
    operator.deliver("usage_months", usage({"R01": 3}), name="a.csv")
    manifest(operator, "\ufefffile,rows\r\na.csv,3\r\n")
    assert operator.collect("usage_months")["rows_out"] == 3
    assert operator.plan() == []


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        ("a.csv,3\nb.csv,2\n", r"b\.csv not delivered yet by _MANIFEST\.csv \(1 of 2 files\)"),
        ("b.csv,2\n", "b.csv not delivered yet and a.csv not listed"),
        ("a.csv,4\n", "a.csv has 3 rows of 4"),
        ("a.csv,2\n", "a.csv has 3 rows of 2"),
    ],
)
def test_a_manifest_that_does_not_match_is_not_ready(operator: Operator, listed: str, told: str) -> None:
    operator.deliver("usage_months", usage({"R01": 3}), name="a.csv")
    manifest(operator, f"file,rows\n{listed}")
    with pytest.raises(NotReady, match=told):
        operator.collect("usage_months")
    assert not operator.lake.has("usage_months", MONTH)


@pytest.mark.parametrize(
    "content", ["", "name,count\na.csv,3\n", "file,rows\na.csv,many\n", "file,rows\na.csv\n"]
)
def test_a_manifest_that_cannot_be_read_is_told_plainly(operator: Operator, content: str) -> None:
    operator.deliver("usage_months", usage({"R01": 3}), name="a.csv")
    manifest(operator, content)
    if not content:
        with pytest.raises(NotReady, match=r"a\.csv not listed"):
            operator.collect("usage_months")
        return
    with pytest.raises(BadInput, match="no CSV with the columns file and rows"):
        operator.collect("usage_months")


def test_a_manifest_counts_quarantined_rows_as_read(operator: Operator, config: Config) -> None:
    operator.config = replace(config, sources=config.sources.model_copy(update={"quarantine_share": 1.0}))
    operator.deliver("usage_months", "subscriber_id,bill_yuan\nS1,1\nS2,x\n", name="a.csv")
    manifest(operator, "file,rows\na.csv,2\n")
    assert operator.collect("usage_months")["quarantined"] == 1


# ---------------------------------------------------------------- what a run needs


def test_what_is_required_is_collected_and_what_lacks_is_named(operator: Operator) -> None:
    operator.deliver("subscribers", profiles({"R01": 3}))
    found = require(operator)
    assert (found["rows_in"], found["deliveries"]) == (3, 1)
    assert {feed: lack["why"] for feed, lack in found["lacking"].items()} == {
        "usage_months": f"No usage_months rows for {MONTH}. Deliver usage_months/month={MONTH} first."
    }
    operator.deliver("usage_months", usage({"R01": 3}))
    found = require(operator, seen=found["lacking"])
    assert (found["rows_in"], found["lacking"]) == (3, {})
    assert require(operator)["deliveries"] == 0


def test_an_incomplete_delivery_is_read_again_only_when_its_files_change(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand(operator, BEFORE, of_all(REGIONS))
    operator.deliver("subscribers", profiles(of_all(REGIONS)))
    operator.deliver("usage_months", usage(of_all(REGIONS[:13])))
    first = require(operator)["lacking"]
    with monkeypatch.context() as frozen:
        frozen.setattr(collection, "take_in", None)
        assert require(operator, seen=first)["lacking"] == first
    operator.deliver("usage_months", usage(of_all(REGIONS[13:])), name="part-2.csv")
    assert require(operator, seen=first)["lacking"] == {}


def test_a_month_that_stands_needs_no_files(operator: Operator) -> None:
    stand(operator, MONTH, {"R01": 3})
    for path in operator.landing.rglob("*.csv"):
        path.unlink()
    assert require(operator)["lacking"] == {}
