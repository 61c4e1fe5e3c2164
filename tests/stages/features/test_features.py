"""Factors: hand-computed values, what is left out, who belongs to a month, no look ahead, sharding."""

import shutil
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from include.domain.errors import LoopError, NotReady
from include.domain.periods.months import default_as_of, month_start, shift
from include.lake import Lake
from include.stages import collection, features
from include.stages.features.rows import MonthRows
from tests.fixtures import ten_subscribers as ten
from tests.fixtures.lakes import AMOUNT, fill, put
from tests.fixtures.runs import month_run

AS_OF = default_as_of(ten.MONTH)


@pytest.fixture
def landing(tmp_path):
    ten.write_landing(tmp_path / "landing")
    return tmp_path / "landing"


@pytest.fixture
def filled(lake, landing):
    fill(lake, landing)
    return lake


def build(lake, db, config, run_id="test", month=ten.MONTH, as_of=None):
    as_of = as_of or default_as_of(month)
    return features.build(month_run(db=db, lake=lake, config=config, month=month, as_of=as_of))


def frame(lake, config, month=ten.MONTH):
    """The factors of a month without publishing them."""
    plan = features.make_plan(lake, config, month, default_as_of(month))
    shards = [
        MonthRows(lake, config.factors, month, plan.factors).of_shard(shard) for shard in range(lake.shards)
    ]
    return pl.concat(shards).sort("subscriber_id")


def values(made, factor):
    return dict(made.select("subscriber_id", factor).iter_rows())


def people(**columns):
    """Snapshot rows of subscribers, all joined in 2020 unless said."""
    size = len(columns["subscriber_id"])
    return pl.DataFrame({"joined_on": [date(2020, 1, 31)] * size} | columns)


def usage(ids, bills):
    return pl.DataFrame({"subscriber_id": ids, "bill_yuan": pl.Series(bills).cast(AMOUNT)})


def small(lake, ids=("A", "B"), month="2026-10", **columns):
    """A month with only a profile and a bill of 10 yuan."""
    put(lake, "subscribers", month, people(subscriber_id=list(ids), **columns))
    put(lake, "usage_months", month, usage(list(ids), [10.0] * len(ids)))
    return lake


@pytest.mark.parametrize("factor", ten.EXPECTED_FACTORS)
def test_a_factor_has_the_value_worked_out_by_hand(ten_factors, factor):
    expected = {name: ten.expected_factor(factor, name) for name in ten.SUBSCRIBERS}
    assert values(ten_factors, factor) == {
        name: value if value is None else pytest.approx(value, abs=1e-9) for name, value in expected.items()
    }


@pytest.fixture(scope="module")
def ten_factors(tmp_path_factory, config):
    folder = tmp_path_factory.mktemp("ten")
    ten.write_landing(folder / "landing")
    lake = Lake.create(folder / "lake")
    fill(lake, folder / "landing")
    return frame(lake, config)


def test_the_table_begins_with_the_identity_columns(ten_factors):
    assert ten_factors.columns[:12] == [
        "subscriber_id", "customer_id", "region_code", "branch_code", "manager_code", "plan_code",
        "plan_fee_yuan",
        "tenure_months", "cluster", "value_yuan", "is_active", "consents_to_marketing",
    ]  # fmt: skip
    assert set(ten_factors.columns[12:]) < set(ten_factors.columns)
    assert all(dtype == pl.Float64 for dtype in ten_factors.dtypes[12:])


def test_clusters_follow_tenure(ten_factors):
    clusters = values(ten_factors, "cluster")
    assert (clusters["S09"], clusters["S06"], clusters["S10"]) == ("under_6", "6_to_12", "over_12")


def test_a_month_that_is_absent_is_unknown_and_not_zero(ten_factors):
    """S09 joined in August: its mean has three months, its top-ups lack none, and no zero months."""
    row = ten_factors.filter(pl.col("subscriber_id") == "S09").to_dicts()[0]
    assert row["value_yuan"] == 58
    assert row["bill_to_own_mean"] == 1
    assert row["months_without_data"] == 0


def test_building_publishes_the_names_of_factors_and_the_reasons_of_the_others(filled, db, config):
    result = build(filled, db, config)
    facts = filled.manifest("factors", ten.MONTH).facts
    assert (result["rows_out"], result["unchanged"]) == (10, False)
    assert "bill_falls" in facts["factors"]
    changes, market = (
        f"{feed} was not delivered for 2026-10" for feed in ("subscriber_changes", "market_events")
    )
    assert facts["left_out"] == {
        "is_student_line": "subscribers of 2026-10 has no column is_student",
        **dict.fromkeys(("port_out_queries_3m", "plan_changes_6m"), changes),
        **dict.fromkeys(
            ("price_cuts_3m", "deepest_price_cut_3m", "plan_launches_3m", "market_mood_3m"), market
        ),
    }
    assert set(facts["factors"]) <= set(filled.scan("factors", ten.MONTH).collect_schema().names())


def test_building_again_returns_at_once_when_nothing_changed(filled, db, config):
    build(filled, db, config)
    before = filled.manifest("factors", ten.MONTH)
    assert build(filled, db, config, run_id="again")["unchanged"]
    assert filled.manifest("factors", ten.MONTH) == before


def test_a_changed_delivery_is_computed_again(filled, db, config):
    build(filled, db, config)
    put(filled, "usage_months", "2026-09", usage(["S01"], [500.0]))
    assert not build(filled, db, config)["unchanged"]
    made = filled.scan("factors", ten.MONTH).collect()
    assert values(made, "bill_change_1m")["S01"] == -0.8


def test_a_published_shard_is_not_computed_twice(filled, db, config):
    build(filled, db, config)
    again = features.compute_shard(
        month_run(db=db, lake=filled, config=config, month=ten.MONTH, as_of=AS_OF), shard=0
    )
    assert again["name"] == filled.manifest("factors", ten.MONTH).parts[0].name


def test_shards_made_from_other_inputs_are_not_published(filled, db, config):
    part = features.compute_shard(
        month_run(db=db, lake=filled, config=config, month=ten.MONTH, as_of=AS_OF), shard=0
    )
    put(filled, "usage_months", "2026-09", usage(["S01"], [500.0]))
    with pytest.raises(NotReady, match="changed while"):
        features.publish(month_run(db=db, lake=filled, config=config, month=ten.MONTH), parts=[part])


def test_a_month_lacking_a_shard_is_not_published(tmp_path, landing, db, config):
    lake = Lake.create(tmp_path / "two", subscribers=900_000)
    fill(lake, landing)
    part = features.compute_shard(
        month_run(db=db, lake=lake, config=config, month=ten.MONTH, as_of=AS_OF), shard=1
    )
    with pytest.raises(NotReady, match="lack a shard"):
        features.publish(month_run(db=db, lake=lake, config=config, month=ten.MONTH), parts=[part])


def test_factors_are_equal_for_one_and_for_eight_shards(tmp_path, landing, ten_factors, config):
    lake = Lake.create(tmp_path / "eight", subscribers=8 * 500_000)
    fill(lake, landing)
    assert lake.shards == 8
    assert frame(lake, config).equals(ten_factors)


def test_factors_of_a_month_are_the_same_when_later_months_are_deleted(filled, config):
    for feed, month in [("churned", "2026-09"), ("churned", "2026-11")]:
        put(
            filled,
            feed,
            month,
            [{"subscriber_id": "S03", "churned_on": date(2026, 9 if month < "2026-10" else 11, 20)}],
        )
    with_all = frame(filled, config, "2026-08")
    for feed in ("subscribers", "usage_months", "service_events", "churned"):
        for month in filled.months(feed):
            if month > "2026-08":
                shutil.rmtree(filled.root / feed / f"month={month}")
    assert frame(filled, config, "2026-08").equals(with_all)


def test_a_month_that_has_not_ended_at_as_of_is_refused(filled, db, config):
    with pytest.raises(NotReady, match="2026-10 has not ended"):
        build(filled, db, config, as_of=month_start("2026-11") - timedelta(seconds=1))


def test_factors_do_not_depend_on_how_late_they_are_made(filled, db, config):
    build(filled, db, config)
    assert build(filled, db, config, as_of=default_as_of("2027-03"))["unchanged"]


def test_a_fault_repaired_after_the_month_is_still_open_and_not_yet_rated(lake, config):
    small(lake)
    events = pl.DataFrame(
        {
            "event_id": ["1", "2"],
            "subscriber_id": ["A", "B"],
            "kind": ["fault_report"] * 2,
            "product": ["broadband"] * 2,
            "occurred_at": [datetime(2026, 10, 30, 15, 59, tzinfo=UTC)] * 2,
            "resolved_at": [datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 10, 30, 16, 59, tzinfo=UTC)],
            "satisfaction": [1.0, 9.0],
        },
        schema_overrides={name: pl.Datetime("us", "UTC") for name in ("occurred_at", "resolved_at")},
    )
    put(lake, "service_events", "2026-10", events)
    made = frame(lake, config)
    assert values(made, "repair_hours_mean_3m") == {"A": None, "B": 1.0}
    assert values(made, "satisfaction_after_fault_3m") == {"A": None, "B": 9.0}
    assert values(made, "long_broadband_faults_3m") == {"A": 1.0, "B": 0.0}


def test_a_factor_over_a_column_nobody_delivers_is_left_out_with_its_reason(lake, config):
    plan = features.make_plan(small(lake), config, "2026-10", AS_OF)
    assert plan.left_out["topup"] == "usage_months of 2026-10 has no column topup_yuan"
    assert plan.left_out["days_to_contract_end"] == "subscribers of 2026-10 has no column contract_ends_on"
    assert plan.left_out["complaints_3m"] == "service_events was not delivered for 2026-10"
    assert {"bill", "bill_falls", "tenure_months"} <= set(plan.factors)


def complaints(lake, *months):
    """One complaint of A in each month."""
    for month in months:
        put(
            lake, "service_events", month,
            [{"event_id": month, "subscriber_id": "A", "kind": "complaint", "occurred_at": month_start(month)}],
            occurred_at=pl.Datetime("us", "UTC"),
        )  # fmt: skip


def test_a_month_of_events_lacking_between_others_leaves_out_the_factors_whose_window_holds_it(lake, config):
    complaints(small(lake), "2026-07", "2026-10")
    plan = features.make_plan(lake, config, "2026-10", AS_OF)
    gap = "service_events was not delivered for 2026-08, 2026-09"
    assert [plan.left_out.get(f"complaints_{months}m") for months in (1, 3, 6)] == [None, gap, gap]
    assert plan.left_out["days_since_complaint"] == gap
    complaints(lake, "2026-08")
    left_out = features.make_plan(lake, config, "2026-10", AS_OF).left_out
    assert left_out["complaints_3m"] == "service_events was not delivered for 2026-09"


def test_the_months_before_the_first_delivery_of_a_feed_are_no_gap(lake, config):
    complaints(small(lake), "2026-09", "2026-10")
    made = frame(lake, config)
    assert values(made, "complaints_3m") == values(made, "complaints_6m") == {"A": 2.0, "B": 0.0}


def test_a_month_delivered_without_an_event_is_no_gap(lake, config):
    complaints(small(lake), "2026-08", "2026-09", "2026-10")
    put(lake, "service_events", "2026-09", lake.scan("service_events", "2026-09").collect().clear())
    assert values(frame(lake, config), "complaints_3m") == {"A": 2.0, "B": 0.0}


def test_a_gap_made_by_an_older_month_takes_a_factor_away_and_filling_it_brings_it_back(lake, db, config):
    complaints(small(lake), "2026-10")
    assert "complaints_3m" not in build(lake, db, config)["left_out"]
    complaints(lake, "2026-03")  # older than every window
    again = build(lake, db, config)
    assert again["left_out"]["complaints_3m"] == "service_events was not delivered for 2026-08, 2026-09"
    complaints(lake, "2026-08", "2026-09")
    filled_in = build(lake, db, config)
    assert "complaints_3m" not in filled_in["left_out"]
    assert filled_in["left_out"]["complaints_6m"].endswith("for 2026-05, 2026-06, 2026-07")
    assert values(lake.scan("factors", "2026-10").collect(), "complaints_3m")["A"] == 3.0


def test_a_column_that_came_only_lately_is_unknown_before(lake, config):
    small(lake, month="2026-09")
    small(lake)
    extra = usage(["A", "B"], [10.0, 10.0]).with_columns(data_mb=pl.Series([5.0, 0.0]))
    put(lake, "usage_months", "2026-10", extra)
    made = frame(lake, config)
    assert values(made, "data_mb") == {"A": 5.0, "B": 0.0}
    assert values(made, "data_change_1m") == {"A": None, "B": None}
    assert values(made, "months_without_data") == {"A": 0.0, "B": 1.0}
    assert values(made, "is_active") == {"A": True, "B": False}


def test_activity_is_unknown_where_no_kind_of_use_is_delivered(lake, config):
    assert values(frame(small(lake), config), "is_active") == {"A": None, "B": None}


def test_usage_without_a_profile_belongs_to_nobody_of_the_month_and_is_counted(tmp_path, db, config):
    for shards in (1, 8):
        lake = small(Lake.create(tmp_path / str(shards), subscribers=shards * 500_000))
        put(lake, "usage_months", "2026-10", usage(["A", "Z", "合计"], [10.0, 20.0, 30.0]))
        for is_again in (False, True):
            made = build(lake, db, config)
            assert (made["rows_out"], made["usage_without_profile"], made["unchanged"]) == (2, 2, is_again)
        found = lake.scan("factors", "2026-10").collect()
        assert values(found, "value_yuan") == {"A": 10.0, "B": None}


def test_the_closed_and_those_who_left_by_the_end_of_the_month_are_no_longer_there(lake, config):
    small(lake, ids="ABCDE", status=["active", "closed", "active", "suspended", None])
    put(lake, "churned", "2026-10", [{"subscriber_id": "C", "churned_on": date(2026, 10, 31)}])
    later = {"A": date(2026, 11, 1), "D": date(2026, 10, 15)}  # told of D only in a later month
    rows = [{"subscriber_id": name, "churned_on": day} for name, day in later.items()]
    put(lake, "churned", "2026-11", rows)
    assert frame(lake, config)["subscriber_id"].to_list() == ["A", "D", "E"]


def changes(lake, month, *rows):
    put(
        lake, "subscriber_changes", month,
        [{"subscriber_id": name, "kind": kind, "occurred_at": at} for name, kind, at in rows],
        occurred_at=pl.Datetime("us", "UTC"),
    )  # fmt: skip


def test_who_left_and_came_back_by_the_end_of_the_month_belongs_to_it(lake, config):
    left = {"A": date(2026, 3, 5), "B": date(2026, 3, 5), "C": date(2026, 3, 5), "D": date(2026, 9, 7)}
    put(lake, "churned", "2026-03", [{"subscriber_id": name, "churned_on": left[name]} for name in "ABC"])
    put(lake, "churned", "2026-09", [{"subscriber_id": "D", "churned_on": left["D"]}])
    small(lake, ids="ABCDE", joined_on=[date(2026, 6, 1), *[date(2020, 1, 31)] * 4])
    # A has joined anew; B returned, C only in November; D returned, but left for the second time
    changes(
        lake, "2026-04",
        ("B", "returned", datetime(2026, 4, 2, tzinfo=UTC)), ("D", "returned", datetime(2026, 4, 2, tzinfo=UTC)),
    )  # fmt: skip
    changes(lake, "2026-11", ("C", "returned", datetime(2026, 11, 1, tzinfo=UTC)))
    assert frame(lake, config)["subscriber_id"].to_list() == ["A", "B", "E"]


def test_a_return_told_for_a_month_long_past_makes_the_factors_anew(lake, db, config):
    small(lake)
    put(lake, "churned", "2026-03", [{"subscriber_id": "A", "churned_on": date(2026, 3, 5)}])
    assert build(lake, db, config)["rows_out"] == 1
    changes(lake, "2026-03", ("A", "returned", datetime(2026, 3, 9, tzinfo=UTC)))
    assert build(lake, db, config)["rows_out"] == 2


def test_a_mean_bill_of_exactly_thirty_is_thirty(lake, config):
    """The mean of these three as floats is a little less."""
    bills = {"2026-10": 10.14, "2026-09": 11.54, "2026-08": 68.32}
    small(lake)
    for month, bill in bills.items():
        put(lake, "usage_months", month, usage(["A"], [bill]))
    assert pl.select(pl.mean_horizontal(*map(pl.lit, bills.values()))).item() < 30
    assert values(frame(lake, config), "value_yuan")["A"] == 30.0


@pytest.mark.parametrize(
    ("joined", "tenure"),
    [
        (date(2026, 4, 30), 6 + 1 / 31),
        (date(2026, 5, 1), 5 + 30 / 31),
        (date(2025, 10, 31), 12),
        (date(2026, 11, 1), 0),
    ],
)
def test_tenure_counts_calendar_months(lake, config, joined, tenure):
    small(lake, joined_on=[joined, joined])
    assert values(frame(lake, config), "tenure_months")["A"] == pytest.approx(tenure)


def test_whoever_joined_on_the_31st_completes_a_month_on_the_30th(lake, config):
    small(lake, month="2026-09", joined_on=[date(2026, 3, 31)] * 2)
    assert values(frame(lake, config, "2026-09"), "tenure_months")["A"] == 6


def test_a_month_without_its_required_feed_says_what_to_deliver(lake, config):
    put(lake, "subscribers", "2026-10", people(subscriber_id=["A"]))
    with pytest.raises(NotReady, match="Deliver usage_months/month=2026-10 first"):
        features.make_plan(lake, config, "2026-10", AS_OF)


def test_a_subscriber_twice_in_a_feed_stops_the_stage(lake, config):
    small(lake)
    put(lake, "usage_months", shift("2026-10", -1), usage(["A", "A"], [1.0, 2.0]))
    with pytest.raises(LoopError, match="twice"):
        frame(lake, config)


def test_a_rate_over_nothing_is_unknown(lake, config):
    small(lake)
    put(lake, "usage_months", "2026-09", usage(["A", "B"], [0.0, -5.0]))
    assert values(frame(lake, config), "bill_change_1m") == {"A": None, "B": None}


def test_falls_count_only_unbroken_falling_months(lake, config):
    bills = {
        "A": [9, 8, 7, 6, 5, 4],
        "B": [9, 9, 9, 7, 7, 6],
        "C": [1, 2, 3, 4, 5, 6],
        "D": [9, 8, 7, None, 5, 4],
    }
    put(lake, "subscribers", "2026-10", people(subscriber_id=list(bills)))
    for back in range(6):
        month = {name: row[5 - back] for name, row in bills.items() if row[5 - back] is not None}
        put(
            lake,
            "usage_months",
            shift("2026-10", -back),
            usage(list(month), [float(bill) for bill in month.values()]),
        )
    assert values(frame(lake, config), "bill_falls") == {"A": 5, "B": 1, "C": 0, "D": 1}


def test_what_collection_brings_in_gives_the_same_factors(lake, landing, db, config, ten_factors):
    site = collection.Site(db, lake, config, landing, AS_OF)
    for delivery in collection.plan(site, as_of=AS_OF):
        made = collection.collect(site, collection.DeliveryKey(**delivery))
        assert made["quarantined"] == 0, made
    assert build(lake, db, config)["rows_out"] == 10
    assert lake.scan("factors", ten.MONTH).collect().equals(ten_factors)
