"""The key of a cycle, a month or a day: what it means is said once."""

from datetime import datetime

import pytest

from include.domain.errors import BadInput
from include.domain.periods import period
from include.domain.periods.months import ZONE


def at(*words):
    return datetime(*words, tzinfo=ZONE)


def test_a_key_tells_its_cadence():
    assert period.cadence_of("2026-10") == "monthly"
    assert period.cadence_of("2026-10-17") == "daily"


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "2026-02-30", "20261017", "", "2026-10-17 "])
def test_what_is_no_key_is_refused_and_told_how_to_write_one(text):
    with pytest.raises(BadInput, match="Write it as YYYY-MM"):
        period.cadence_of(text)


@pytest.mark.parametrize(("text", "cadence"), [("2026-10", "daily"), ("2026-10-17", "monthly")])
def test_a_campaign_takes_the_keys_of_its_cadence_alone(text, cadence):
    with pytest.raises(BadInput):
        period.parse_key(text, cadence)


def test_a_run_may_know_what_was_there_at_six_in_the_morning():
    assert period.default_as_of("2026-10") == at(2026, 11, 5, 6)
    assert period.default_as_of("2026-10-17") == at(2026, 10, 17, 6)


def test_a_cycle_looks_at_nothing_before_its_key_is_over():
    assert period.ends_at("2026-10") == at(2026, 11, 1)
    assert period.ends_at("2026-10-17") == at(2026, 10, 17)


@pytest.mark.parametrize(
    ("key", "as_of", "month"),
    [
        ("2026-10", at(2026, 11, 5, 6), "2026-10"),
        ("2026-10-17", at(2026, 10, 17, 6), "2026-09"),
        ("2026-10-05", at(2026, 10, 5, 6), "2026-09"),
        ("2026-10-04", at(2026, 10, 4, 6), "2026-08"),
        ("2026-01-03", at(2026, 1, 3, 6), "2025-11"),
    ],
)
def test_a_day_reads_the_newest_factors_that_are_due(key, as_of, month):
    assert period.factors_month(key, as_of) == month


def test_a_dispatch_is_late_after_the_next_month_or_three_days_or_as_told():
    assert period.dispatch_ends_at("2026-10") == at(2026, 12, 1)
    assert period.dispatch_ends_at("2026-10-17") == at(2026, 10, 20)
    assert period.dispatch_ends_at("2026-10-17", 1) == at(2026, 10, 18)


def test_an_arm_holds_for_the_span_its_measure_says():
    assert [period.epoch_of(key) for key in ("2026-01", "2026-06", "2026-07", "2026-12")] == [
        "2026H1",
        "2026H1",
        "2026H2",
        "2026H2",
    ]
    assert period.epoch_of("2026-10-17") == period.epoch_of("2026-10")
    assert [period.epoch_of("2026-10-17", word) for word in ("month", "quarter", "year")] == [
        "2026-10",
        "2026Q4",
        "2026",
    ]
