"""What the written files hold: the contract's columns, formats and periods, and signs that mean something."""

import re

import polars as pl
import pytest

from include.simulator.feeds.changes import KINDS
from include.simulator.feeds.contract import COLUMNS
from include.simulator.province import FEEDS
from include.simulator.truth import read_truth
from tests.simulator.reading import days, feed

MONTHS = ("2026-07", "2026-08", "2026-09")
REQUIRED = {
    "subscribers": ("subscriber_id", "joined_on"),
    "usage_months": ("subscriber_id", "bill_yuan"),
    "service_events": ("event_id", "subscriber_id", "occurred_at", "kind"),
    "market_events": ("event_id", "occurred_on", "kind"),
    "churned": ("subscriber_id", "churned_on"),
}


def test_every_feed_of_the_contract_is_delivered(province):
    assert {path.name for path in (province / "landing").iterdir()} == set(FEEDS) == set(COLUMNS)


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_month_feeds_have_the_columns_of_the_contract_and_fill_the_required_ones(province, name):
    for month in MONTHS:
        frame = feed(province, name, f"month={month}")
        assert tuple(frame.columns) == COLUMNS[name]
        assert frame.select(REQUIRED[name]).null_count().sum_horizontal().item() == 0
        key = REQUIRED[name][0]
        assert frame[key].is_unique().all()


def test_day_feeds_hold_their_own_day_in_shanghai_time(province):
    for folder in (province / "landing" / "subscriber_changes").iterdir():
        frame = feed(province, "subscriber_changes", folder.name)
        assert tuple(frame.columns) == COLUMNS["subscriber_changes"]
        day = folder.name.removeprefix("day=")
        assert frame.filter(~pl.col("occurred_at").str.contains(rf"^{day}T\d\d:\d\d:\d\d\+08:00$")).is_empty()
        assert set(frame["kind"]) <= set(KINDS)


def test_all_kinds_of_change_and_limit_occur(province):
    assert set(days(province, "subscriber_changes", "2026-")["kind"]) == set(KINDS)
    limits = days(province, "contact_limits", "2026-")
    assert set(limits["kind"]) == {"refused", "do_not_disturb", "red_list", "contacted_elsewhere"}
    assert limits.filter(pl.col("kind") == "refused")["valid_to"].null_count() > 0


def test_events_and_churn_lie_in_their_month(province):
    for name, column in (
        ("service_events", "occurred_at"),
        ("churned", "churned_on"),
        ("market_events", "occurred_on"),
    ):
        assert feed(province, name, "month=2026-07")[column].str.starts_with("2026-07-").all()


def test_ended_months_of_churn_are_marked_complete(province):
    for month in MONTHS:
        assert (province / "landing" / "churned" / f"month={month}" / "_COMPLETE").read_bytes() == b""


def test_amounts_have_at_most_four_digits_and_numbers_are_fictitious(province):
    usage = feed(province, "usage_months", "month=2026-09")
    assert usage["bill_yuan"].str.contains(r"^-?\d+\.\d{1,4}$").all()
    phones = feed(province, "subscribers", "month=2026-09")["msisdn"]
    assert phones.str.contains(r"^1990\d{7}$").all()
    assert phones.is_unique().all()


def test_some_customers_hold_several_sims(province):
    frame = feed(province, "subscribers", "month=2026-09")
    share = 1 - frame["customer_id"].n_unique() / len(frame)
    assert 0.05 < share < 0.2
    assert frame["region_code"].n_unique() == 17


def test_about_two_in_a_hundred_leave_each_month(province):
    gone = sum(len(feed(province, "churned", f"month={month}")) for month in MONTHS)
    seen = sum(len(feed(province, "subscribers", f"month={month}")) for month in MONTHS)
    assert 0.014 < gone / seen < 0.026


def test_newcomers_leave_most_easily(province):
    truth = read_truth(province, "2026-09").drop_nulls("hazard")
    joined = feed(province, "subscribers", "month=2026-09").select("subscriber_id", "joined_on")
    known = truth.join(joined, on="subscriber_id")
    new = known.filter(pl.col("joined_on") > "2026-03-01")["hazard"].mean()
    old = known.filter(pl.col("joined_on") < "2025-09-01")["hazard"].mean()
    assert new > 1.2 * old


def test_words_of_leaving_are_rare_and_tell_something_but_never_all(province):
    events = feed(province, "service_events", "month=2026-08")
    words = pl.col("text").fill_null("").str.contains(re.compile("转网|换运营商").pattern)
    said = set(events.filter(words | (pl.col("kind") == "port_out_mention"))["subscriber_id"])
    truth = read_truth(province, "2026-09").drop_nulls("hazard")
    mean = truth.filter(pl.col("subscriber_id").is_in(list(said)))["hazard"].mean()
    assert 0 < len(said) < 0.02 * len(truth)
    assert mean > 3 * truth["hazard"].mean()
    assert mean < 0.6


def test_signs_appear_with_a_reason_and_also_without(province):
    reasons = read_truth(province, "2026-08").select("subscriber_id", "main_reason")
    events = feed(province, "service_events", "month=2026-08").filter(pl.col("kind") == "complaint")
    known = reasons.with_columns(complains=pl.col("subscriber_id").is_in(events["subscriber_id"].to_list()))
    calm = known.filter(pl.col("main_reason") == "none")["complains"].mean()
    served_badly = known.filter(pl.col("main_reason") == "service")["complains"].mean()
    assert 0.002 < calm < 0.05
    assert served_badly > 4 * calm
    assert served_badly < 0.6
