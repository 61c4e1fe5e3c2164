"""The whole library over a simulated province: no look ahead, any number of shards, gaps and novelties."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from include.domain.periods.months import default_as_of
from include.lake import Lake
from include.lake.upkeep import resharded
from include.simulator.province import Province
from include.simulator.walk import simulate
from include.stages import features
from include.stages.features.rows import MonthRows
from tests.fixtures.lakes import fill, fill_days, put
from tests.fixtures.runs import month_run

MONTH, LAST = "2026-08", "2026-09"
FEEDS = ("subscribers", "usage_months", "service_events", "market_events", "subscriber_changes", "churned")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake of seven simulated months; not to be written to."""
    folder = tmp_path_factory.mktemp("library")
    simulate(Province(subscribers=600, months=7, seed=3, last_month=LAST), folder)
    lake = Lake.create(folder / "lake")
    fill(lake, folder / "landing")
    fill_days(lake, folder / "landing", "subscriber_changes")
    return lake


@pytest.fixture
def copied(made: Lake, tmp_path: Path) -> Lake:
    shutil.copytree(made.root, tmp_path / "copied")
    return Lake(tmp_path / "copied")


def factors(lake: Lake, config, month: str = MONTH) -> pl.DataFrame:
    plan = features.make_plan(lake, config, month, default_as_of(month))
    shards = [
        MonthRows(lake, config.factors, month, plan.factors).of_shard(shard) for shard in range(lake.shards)
    ]
    return pl.concat(shards).sort("subscriber_id")


def test_a_simulated_province_has_every_factor_and_each_tells_people_apart(made, config) -> None:
    found = factors(made, config)
    told = found.select(config.factors.names)
    assert [name for name in told.columns if told[name].null_count() == told.height] == []
    rare = {"device_words_3m", "is_new_without_topup", "long_broadband_faults_3m", "port_out_mentions_1m"}
    same = {name for name in told.columns if told[name].drop_nulls().n_unique() == 1}
    assert same <= rare


def test_no_factor_looks_ahead(copied, config) -> None:
    """Deleting every later month, of every feed, changes nothing of any factor."""
    with_all = factors(copied, config)
    deleted = [
        copied.root / feed / f"month={month}"
        for feed in FEEDS
        for month in copied.months(feed)
        if month > MONTH
    ]
    assert len(deleted) >= len(FEEDS)
    for folder in deleted:
        shutil.rmtree(folder)
    assert factors(copied, config).equals(with_all)


def test_every_factor_is_equal_for_one_and_for_eight_shards(made, config, tmp_path) -> None:
    eight = resharded(made, tmp_path / "eight", 8)
    assert factors(eight, config).equals(factors(made, config))


def test_peers_made_beforehand_give_the_same_factors(made, config) -> None:
    plan = features.make_plan(made, config, MONTH, default_as_of(MONTH))
    means = MonthRows(made, config.factors, MONTH, plan.factors).peer_means()
    given = MonthRows(made, config.factors, MONTH, plan.factors).of_shard(0, means)
    assert given.sort("subscriber_id").equals(factors(made, config))


def test_building_publishes_the_peers_for_all_shards(copied, config, db) -> None:
    done = {"db": db, "lake": copied, "config": config, "month": MONTH, "as_of": default_as_of(MONTH)}
    assert features.compute_peers(month_run(**done))["rows"] > 0
    before = copied.manifest("peers", MONTH)
    assert features.compute_peers(month_run(**done))["rows"] == 0
    features.build(month_run(**done))
    assert copied.manifest("peers", MONTH) == before
    assert copied.manifest("factors", MONTH).fingerprint == before.fingerprint


@pytest.mark.parametrize("feed", ["service_events", "market_events", "subscriber_changes"])
def test_a_missing_feed_takes_only_its_own_factors_along(copied, config, feed) -> None:
    whole = factors(copied, config)
    shutil.rmtree(copied.root / feed)
    plan = features.make_plan(copied, config, MONTH, default_as_of(MONTH))
    gone = {
        factor.name
        for factor in config.factors.factors
        if f"{feed}." in " ".join(factor.parsed.needs("event"))
    }
    assert set(plan.left_out) == gone
    if feed != "subscriber_changes":  # it also tells who came back
        kept = factors(copied, config)
        assert kept.equals(whole.select(kept.columns))


def test_categories_nobody_has_seen_are_values_like_others_and_a_new_plan_has_peers(copied, config) -> None:
    people = copied.scan("subscribers", MONTH).collect()
    one = people["subscriber_id"][0]
    changed = people.with_columns(
        pl.when(pl.col("subscriber_id") == one).then(pl.lit(value)).otherwise(name).alias(name)
        for name, value in (("plan_code", "P-NEW"), ("region_code", "R-NEW"), ("network_type", "6g"))
    )
    put(copied, "subscribers", MONTH, changed)
    row = factors(copied, config).filter(pl.col("subscriber_id") == one).to_dicts()[0]
    assert (row["network_generation"], row["old_network_data_3m"], row["price_cuts_3m"]) == (0, 0, 0)
    assert row["data_to_peers"] == pytest.approx(row["data_mb"] / _mean(copied, "data_mb"), rel=1e-5)


def _mean(lake: Lake, metric: str) -> float:
    usage = lake.scan("usage_months", MONTH).join(
        lake.scan("subscribers", MONTH).filter(pl.col("status") != "closed"), on="subscriber_id", how="semi"
    )
    found: float = usage.select(pl.col(metric).cast(pl.Float64).mean()).collect().item()
    return found


def test_what_befalls_a_region_befalls_its_people_alone_and_what_befalls_all_everybody(
    copied, config
) -> None:
    events = [
        {
            "event_id": "1",
            "occurred_on": "2026-08-03",
            "kind": "price_cut",
            "region_code": "R01",
            "value": 5.0,
        },
        {
            "event_id": "2",
            "occurred_on": "2026-06-30",
            "kind": "price_cut",
            "region_code": "R01",
            "value": 9.0,
        },
        {
            "event_id": "3",
            "occurred_on": "2026-08-30",
            "kind": "price_cut",
            "region_code": None,
            "value": 7.0,
        },
        {
            "event_id": "4",
            "occurred_on": "2026-08-09",
            "kind": "sentiment",
            "region_code": "R02",
            "value": -1.0,
        },
    ]
    for month in copied.months("market_events"):
        mine = [event for event in events if event["occurred_on"].startswith(month)]
        frame = pl.DataFrame(mine, schema={"event_id": pl.String, "occurred_on": pl.String, "kind": pl.String,
                                           "region_code": pl.String, "value": pl.Float64})  # fmt: skip
        put(copied, "market_events", month, frame.with_columns(pl.col("occurred_on").str.to_date()))
    found = (
        factors(copied, config)
        .group_by("region_code")
        .agg(pl.col("price_cuts_3m", "deepest_price_cut_3m", "market_mood_3m").unique().first())
    )
    told = {row[0]: row[1:] for row in found.rows()}
    assert told["R01"] == (3, 9.0, None)
    assert told["R02"] == (1, 7.0, -1.0)
