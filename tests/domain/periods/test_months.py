"""Months and the instants derived from them."""

from datetime import UTC, date, datetime

import pytest

from include.domain.errors import BadInput
from include.domain.periods import months


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "202610", "0999-01", "2026-10 ", "", "2026-10-05"])
def test_what_is_not_a_month_is_refused_with_an_example(text):
    with pytest.raises(BadInput, match="Write it as YYYY-MM"):
        months.parse_month(text)


def test_shifting_crosses_years_both_ways():
    assert [months.shift("2026-11", n) for n in (-11, 1, 2, 14)] == [
        "2025-12",
        "2026-12",
        "2027-01",
        "2028-01",
    ]


def test_a_month_ends_on_its_last_day_leap_years_too():
    assert [months.last_day(month) for month in ("2028-02", "2026-12")] == [
        date(2028, 2, 29),
        date(2026, 12, 31),
    ]


def test_a_run_for_a_month_may_know_what_was_known_on_the_fifth_at_six_in_shanghai():
    assert months.default_as_of("2014-12") == datetime(2015, 1, 4, 22, tzinfo=UTC)


def test_a_feed_is_past_its_grace_only_when_the_fifth_is_over():
    assert months.past_grace_on("2026-10") == date(2026, 11, 6)


def test_an_instant_keeps_its_offset():
    assert months.parse_instant("2014-10-06T06:00+08:00") == datetime(2014, 10, 5, 22, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2014-10-06T06:00", "yesterday", "2014-10-06"])
def test_an_instant_without_a_time_zone_is_refused_with_its_name(text):
    with pytest.raises(BadInput, match=f"--now '{text}'"):
        months.parse_instant(text, "--now")


@pytest.mark.parametrize(
    "text", ["2026-10", "2026-02-30", "20261017", "2026-1-7", "2026-10-17 ", "", "2026-W42-6"]
)
def test_what_is_not_a_day_is_refused_with_an_example(text):
    with pytest.raises(BadInput, match="Write it as YYYY-MM-DD"):
        months.parse_day(text)


def test_a_day_is_read_as_it_is_written():
    assert months.parse_day("2028-02-29") == "2028-02-29"
