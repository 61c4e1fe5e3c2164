"""How far a cycle looks ahead: the same midnights whether its key is a month or a day."""

from datetime import date, datetime

import pytest

from include.domain.periods.horizon import Horizon
from include.domain.periods.months import ZONE

SEVEN_DAYS = Horizon(7, is_in_days=True)


def at(*words):
    return datetime(*words, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("horizon", "key", "begins", "ends", "months"),
    [
        (Horizon(1), "2026-10", at(2026, 11, 1), at(2026, 12, 1), ["2026-11"]),
        (Horizon(3), "2026-11", at(2026, 12, 1), at(2027, 3, 1), ["2026-12", "2027-01", "2027-02"]),
        (SEVEN_DAYS, "2026-10-17", at(2026, 10, 17), at(2026, 10, 24), ["2026-10"]),
        (SEVEN_DAYS, "2026-10-28", at(2026, 10, 28), at(2026, 11, 4), ["2026-10", "2026-11"]),
        (SEVEN_DAYS, "2026-10-25", at(2026, 10, 25), at(2026, 11, 1), ["2026-10"]),
        (SEVEN_DAYS, "2026-10", at(2026, 11, 1), at(2026, 11, 8), ["2026-11"]),
        (Horizon(1), "2026-10-17", at(2026, 10, 17), at(2026, 12, 1), ["2026-10", "2026-11"]),
    ],
)
def test_a_horizon_begins_where_the_key_is_over(horizon, key, begins, ends, months):
    window = horizon.after(key)
    assert (window.begins_at, window.ends_at) == (begins, ends)
    assert horizon.ends_at(key) == ends
    assert window.months == months
    assert window.last_month == months[-1]


def test_only_what_begins_and_ends_with_a_month_is_of_whole_months():
    assert Horizon(2).after("2026-10").is_of_whole_months
    assert not SEVEN_DAYS.after("2026-10").is_of_whole_months
    assert not SEVEN_DAYS.after("2026-10-25").is_of_whole_months


def test_the_days_of_a_month_are_those_that_belong_to_both():
    window = SEVEN_DAYS.after("2026-10-28")
    assert window.days_in("2026-10") == ["2026-10-28", "2026-10-29", "2026-10-30", "2026-10-31"]
    assert window.days_in("2026-11") == ["2026-11-01", "2026-11-02", "2026-11-03"]
    assert window.last_day == date(2026, 11, 3)


def test_a_day_says_whose_profile_came_before_it():
    assert SEVEN_DAYS.after("2026-10-17", "2026-09").month == "2026-09"
    assert Horizon(1).after("2026-10").month == "2026-10"


def test_months_are_marked_by_their_number_alone():
    assert (Horizon(1).as_fact, SEVEN_DAYS.as_fact) == (1, "7 days")
