"""The list of the secondary tier: by rank, one of a customer, its own hold-out, and never in quiet hours."""

from datetime import datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.contact.outreach import Prospect, is_quiet, masked, send_from, walk
from include.domain.periods.months import ZONE

EVENING, MORNING = time(20), time(9)


@pytest.mark.parametrize(
    ("now", "first"),
    [
        ("2026-11-06T10:00", "2026-11-06T10:00"),
        ("2026-11-06T19:59", "2026-11-06T19:59"),
        ("2026-11-06T20:00", "2026-11-07T09:00"),
        ("2026-12-31T23:30", "2027-01-01T09:00"),
        ("2026-11-06T00:00", "2026-11-06T09:00"),
        ("2026-11-06T08:59", "2026-11-06T09:00"),
        ("2026-11-06T09:00", "2026-11-06T09:00"),
    ],
)
def test_nothing_is_sent_in_quiet_hours(now, first):
    at = datetime.fromisoformat(now).replace(tzinfo=ZONE)
    assert send_from(at, EVENING, MORNING) == datetime.fromisoformat(first).replace(tzinfo=ZONE)


def test_quiet_hours_are_those_of_shanghai():
    assert (
        send_from(datetime.fromisoformat("2026-11-06T12:30+00:00"), EVENING, MORNING).isoformat()
        == "2026-11-07T09:00:00+08:00"
    )


@given(st.datetimes(timezones=st.just(ZONE)), st.times(), st.times())
def test_whatever_the_hours_the_first_instant_is_not_quiet_and_not_past(now, begins, ends):
    if begins == ends:
        return
    try:
        first = send_from(now, begins, ends)
    except OverflowError:  # the last day of the calendar
        return
    assert not is_quiet(first.time(), begins, ends)
    assert first >= now


def test_the_list_goes_by_rank_until_it_is_full_and_one_number_stands_for_a_customer():
    pairs = [("A", "A"), ("B", "K"), ("C", "K"), ("D", "D"), ("E", "E"), ("F", "F")]
    people = [Prospect(name, key, "refused" if name == "A" else None) for name, key in pairs]
    arms = {"K": "treated", "D": "held_out", "E": "treated", "F": "treated"}
    decided = {
        each.prospect.subscriber_id: (each.decision, each.reason) for each in walk(people, arms, at_most=2)
    }
    assert decided == {
        "A": ("suppressed", "refused"),
        "B": ("listed", None),
        "C": ("suppressed", "same_customer"),
        "D": ("held_out", None),
        "E": ("listed", None),
        "F": ("not_reached", None),
    }


@pytest.mark.parametrize(
    ("number", "shown"), [("13812345678", "138****5678"), ("12345678", "********"), ("", "")]
)
def test_a_masked_number_shows_its_ends_alone(number, shown):
    assert masked(number) == shown
