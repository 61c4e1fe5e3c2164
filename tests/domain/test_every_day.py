"""Clocks that count every day of the calendar, beside those that count working days."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from include.domain import sla
from include.domain.deadline import Deadline
from include.domain.periods.months import ZONE
from include.domain.sla import Pause
from include.domain.workdays import EveryDay, WorkCalendar
from include.words.deadlines import explain

WORKING, EVERY_DAY = WorkCalendar.from_library(), EveryDay(())
ONE = timedelta(days=1)
STARTS = st.builds(
    datetime.combine, st.dates(date(2023, 1, 1), date(2030, 12, 31)), st.times(), st.just(ZONE)
)
LENGTHS = st.integers(1, 20)


@st.composite
def cases(draw: st.DrawFn) -> tuple[datetime, int, list[Pause]]:
    """A start, a number of days, and pauses after it that do not overlap."""
    started_at, pauses = draw(STARTS), []
    day = started_at.date()
    for gap, length in draw(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=3)):
        pauses.append((day + ONE * gap, day + ONE * (gap + length)))
        day = pauses[-1][1]
    return started_at, draw(LENGTHS), pauses


def rests(day: date, pauses: Sequence[Pause]) -> bool:
    return any(start <= day < end for start, end in pauses)


def walked(start: date, days: int, pauses: Sequence[Pause]) -> date:
    """The day reached by counting every day that does not rest."""
    day = start
    while days:
        day += ONE
        days -= not rests(day, pauses)
    return day


def check_explained(due: Deadline, started_at: datetime, days: int) -> None:
    assert [note.day for note in due.days] == [
        started_at.date() + ONE * ahead for ahead in range((due.day - started_at.date()).days + 1)
    ]
    assert sum(note.counted for note in due.days) == days
    assert due.days[-1].counted
    for language in ("zh", "en"):
        told = explain(due, "x", language)
        assert len(told) == 1 + len(due.days) + due.is_provisional
    assert Deadline.from_json(due.to_json()) == due


@given(case=cases())
def test_both_kinds_of_clock_explain_every_day_and_a_working_one_is_never_earlier(case):
    started_at, days, pauses = case
    every, working = (
        sla.plan_deadline(started_at, calendar, days, pauses) for calendar in (EVERY_DAY, WORKING)
    )
    assert every.at == datetime.combine(walked(started_at.date(), days, pauses), WORKING.closing, ZONE)
    assert every.at <= working.at
    assert not every.is_provisional
    for due in (every, working):
        check_explained(due, started_at, days)
    assert {note.reason for note in every.days} <= {"opened", "calendar", "paused"}


@given(case=cases())
def test_a_calendar_clock_warns_on_the_same_day_of_its_count(case):
    started_at, days, pauses = case
    warned = sla.warn_at(started_at, EVERY_DAY, days, pauses)
    assert warned.date() == walked(started_at.date(), -(-2 * days // 3), pauses)
    assert (warned.hour == 15) == (days == 1)


@given(case=cases(), ahead=st.integers(0, 20))
def test_no_change_of_the_calendar_moves_it(case, ahead):
    started_at, days, pauses = case
    due = sla.plan_deadline(started_at, EVERY_DAY, days, pauses)
    now = min(started_at + ONE * ahead, due.at)
    again = sla.plan_deadline(started_at, EVERY_DAY, days, sla.rests_of(due))
    assert sla.moved_deadline(again, due.at, now, EVERY_DAY, sla.rests_of(due)) == due


def test_its_days_are_told_as_days_in_both_languages():
    due = sla.plan_deadline(datetime(2026, 11, 6, 9, tzinfo=ZONE), EVERY_DAY, 2)
    assert explain(due, "First talk", "en") == [
        "First talk due by Sun 8 Nov 2026 18:00: day 2 after the day it starts.",
        "Fri 6 Nov 2026: the day it starts (day 0), not counted",
        "Sat 7 Nov 2026: day 1",
        "Sun 8 Nov 2026: day 2",
    ]
    assert explain(due, "首次通话")[0] == "首次通话须在 2026年11月8日 周日 18:00 前完成：起算日后第 2 天。"
    assert explain(due, "首次通话")[-1] == "2026年11月8日 周日：第 2 天"
