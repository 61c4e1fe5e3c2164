"""A stop of all outbound: what it can cover, and which days it gives back."""

from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.contact.stop import Scope, as_rests, rested_days
from include.domain.errors import BadInput
from include.domain.periods.months import ZONE

OPENS, CLOSES = time(9), time(18)


def at(day, hour, minute=0):
    return datetime(2026, 11, day, hour, minute, tzinfo=ZONE)


@pytest.mark.parametrize(("scope", "what"), [("all", "x"), ("region", None), ("branch", "x")])
def test_a_stop_is_of_everything_or_of_one_thing(scope, what):
    with pytest.raises(BadInput, match="one campaign, team or region"):
        Scope(scope, what)


@pytest.mark.parametrize(
    ("stopped", "lifted", "days"),
    [
        (at(9, 10), at(9, 10, 20), [9]),
        (at(9, 10), at(11, 8), [9, 10]),
        (at(9, 18), at(10, 9, 1), [10]),
        (at(9, 19), at(10, 8), []),
        (at(9, 8), at(9, 9), []),
        (at(6, 17), at(9, 12), [6, 7, 8, 9]),
    ],
)
def test_a_day_rests_where_the_stop_stood_in_its_working_hours(stopped, lifted, days):
    assert [day.day for day in rested_days(stopped, lifted, OPENS, CLOSES)] == days


@given(
    st.lists(st.tuples(st.dates(date(2026, 1, 1), date(2026, 12, 1)), st.integers(0, 20)), max_size=5),
    st.lists(st.dates(date(2026, 1, 1), date(2026, 12, 1)), max_size=9),
)
def test_rests_are_single_days_in_order_and_none_twice(spans, days):
    pauses = [(start, start + timedelta(days=length)) for start, length in spans]
    rests = as_rests(pauses, days)
    assert all(end - start == timedelta(days=1) for start, end in rests)
    assert [start for start, _ in rests] == sorted({start for start, _ in rests})
    inside = {start + timedelta(days=n) for start, end in pauses for n in range((end - start).days)}
    assert {start for start, _ in rests} == inside | set(days)
