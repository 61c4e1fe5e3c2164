from dataclasses import replace
from datetime import datetime

import polars as pl
import pytest

from include.domain.periods.months import ZONE
from include.simulator.feeds.dirt import DEFECTS
from include.simulator.province import Province
from include.simulator.walk import Order, simulate
from include.stages import collection
from tests.simulator.conftest import SMALL
from tests.simulator.reading import feed, prints

NOW = datetime(2026, 10, 5, 6, tzinfo=ZONE)


def bearing(sources, *feeds):
    """The declarations with a share of broken rows borne by feeds that bear none."""
    lenient = {name: sources.feeds[name].model_copy(update={"quarantine_share": 0.2}) for name in feeds}
    return sources.model_copy(update={"feeds": {**sources.feeds, **lenient}})


@pytest.fixture(scope="module")
def dirty(tmp_path_factory):
    """SMALL with one row in twenty spoilt; not to be written to."""
    out = tmp_path_factory.mktemp("dirty")
    simulate(SMALL, out, Order(dirt=0.05))
    return out


def counts(out, name, period):
    frame = pl.read_csv(out / "truth" / "dirt.csv")
    rows = frame.filter((pl.col("feed") == name) & (pl.col("period") == period))
    return {row["defect"]: (row["rows"], row["quarantined"]) for row in rows.iter_rows(named=True)}


def test_the_counted_dirt_is_the_dirt_in_the_files(dirty):
    told = counts(dirty, "usage_months", "2026-09")
    usage = feed(dirty, "usage_months", "month=2026-09")
    assert len(usage.filter(pl.col("bill_yuan") == "n/a")) == told["wrong_type"][0] > 0
    assert usage["bill_yuan"].null_count() == told["missing_value"][0] > 0
    identical = len(usage) - len(usage.unique())
    same_id = len(usage) - usage["subscriber_id"].n_unique()
    assert identical == told["duplicate"][1] > 0
    assert 2 * (same_id - identical) == told["conflict"][1] > 0


def test_unknown_kinds_and_foreign_dates_are_counted_too(dirty):
    told = counts(dirty, "service_events", "2026-09")
    events = feed(dirty, "service_events", "month=2026-09")
    assert len(events.filter(pl.col("kind") == "gossip")) == told["unknown_kind"][0] > 0
    assert len(events.filter(pl.col("occurred_at").str.starts_with("2001"))) == told["outside_period"][0] > 0


def test_about_the_share_asked_for_is_dirty(dirty):
    frame = pl.read_csv(dirty / "truth" / "dirt.csv").filter(pl.col("feed") == "subscribers")
    assert set(frame["defect"]) <= set(DEFECTS)
    assert 0.04 < frame["rows"].sum() / (3 * 3060) < 0.06


def test_dirt_never_hides_who_left(province, dirty):
    clean = feed(province, "churned", "month=2026-09")
    soiled = feed(dirty, "churned", "month=2026-09")
    assert clean.join(soiled, on=clean.columns, how="anti").is_empty()
    assert len(soiled) > len(clean)


def test_clean_provinces_count_no_dirt(province):
    assert pl.read_csv(province / "truth" / "dirt.csv").is_empty()


def test_dirty_provinces_are_repeatable_and_the_truth_is_the_same(province, dirty, tmp_path):
    simulate(SMALL, tmp_path, Order(dirt=0.05))
    assert prints(tmp_path) == prints(dirty)
    month = "month=2026-09/part-0000.csv"
    assert prints(dirty / "truth")[month] == prints(province / "truth")[month]


def test_collection_quarantines_exactly_the_counted_rows(db, lake, config, tmp_path):
    simulate(Province(1500, 1, 3, "2026-09"), tmp_path, Order(dirt=0.02))
    told = (
        pl.read_csv(tmp_path / "truth" / "dirt.csv")
        .group_by("feed", "period")
        .agg(pl.col("quarantined").sum())
    )
    expected = {(feed, period): rows for feed, period, rows in told.iter_rows()}
    deliveries = [(name, "2026-09") for name in ("subscribers", "usage_months", "service_events", "churned")]
    deliveries += [("contact_limits", "2026-09-01"), ("subscriber_changes", "2026-09-02")]
    config = replace(config, sources=bearing(config.sources, "contact_limits", "subscriber_changes"))
    for name, period in deliveries:
        site = collection.Site(db, lake, config, tmp_path / "landing", NOW)
        done = collection.collect(site, collection.DeliveryKey(name, period))
        assert done["quarantined"] == expected.get((name, period), 0), (name, period)
    assert expected["usage_months", "2026-09"] > 10
