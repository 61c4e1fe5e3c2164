"""Every clock of some six hundred cases, against an oracle that walks the official lists one day at a time.

The oracle shares nothing with the program: hand-copied notices, its own eight hours to Shanghai, its own table
of warning days.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import pytest

from include.domain import sla
from include.domain.workdays import PROVISIONAL, WorkCalendar, WorkDay
from tests.domain.official_days import DAYS_OFF, MAKE_UPS, NOTICES, days_from

ONE = timedelta(days=1)
EIGHT_HOURS = timedelta(hours=8)
#: 18:00 in Shanghai, in UTC
CLOSING = time(10, tzinfo=UTC)
#: the day of n on which a clock of n days warns, written out
WARNS_ON = {1: 1, 2: 2, 3: 2, 4: 3, 5: 4, 6: 4, 7: 5, 8: 6, 9: 6, 10: 7}
FIXED = {(1, 1), (5, 1), (5, 2), (10, 1), (10, 2), (10, 3)}

Worked = Callable[[date], bool]
Pauses = tuple[tuple[date, date], ...]

# ------------------------------------------------------------ what is known, and when


def official(day: date) -> bool:
    """Worked by the notices of 2022 to 2026, in other years as the fixed holidays have it."""
    if 2022 <= day.year <= 2026 or day in DAYS_OFF:
        return day in MAKE_UPS or (day.weekday() < 5 and day not in DAYS_OFF)
    return guessed(day)


def guessed(day: date) -> bool:
    """Worked as far as is known of a year without a notice."""
    return day.weekday() < 5 and (day.month, day.day) not in FIXED


def known_until(year: int) -> Worked:
    """Worked by the notices up to that year's; the year after is not published yet."""
    off = {d for n in NOTICES if n.year <= year for b in n.breaks for d in days_from(b.first, b.last)}
    make_ups = {d for n in NOTICES if n.year <= year for b in n.breaks for d in b.make_ups}

    def worked(day: date) -> bool:
        if day.year > year and day not in off:
            return guessed(day)
        return day in make_ups or (day.weekday() < 5 and day not in off)

    return worked


def changed(worked: Worked, days: dict[date, bool]) -> Worked:
    """The same with some days decided otherwise."""
    return lambda day: days[day] if day in days else worked(day)


def calendar_of(worked: Worked, first: int, last: int, published: int) -> WorkCalendar:
    """The stored calendar of these years: provisional after the last published one."""
    return WorkCalendar.from_rows(
        WorkDay(day, worked(day), None, "notice" if day.year <= published else PROVISIONAL)
        for day in days_from(date(first, 1, 1), date(last, 12, 31))
    )


# ------------------------------------------------------------ the oracle


def shanghai(moment: datetime) -> date:
    return (moment.astimezone(UTC) + EIGHT_HOURS).date()


def walked(start: date, days: int, worked: Worked, paused: Pauses = ()) -> list[date]:
    """The first `days` counted days after a day."""
    found: list[date] = []
    day = start
    while len(found) < days:
        day += ONE
        if worked(day) and not any(a <= day < b for a, b in paused):
            found.append(day)
    return found


def closing(day: date) -> datetime:
    return datetime.combine(day, CLOSING)


@dataclass(frozen=True)
class Case:
    """One clock: what is known, when it starts, its days and pauses, and from when on days are provisional."""

    name: str
    known: str
    started_at: datetime
    days: int = 3
    paused: Pauses = ()

    def __str__(self) -> str:
        rests = "".join(f"-rest{(end - start).days}" for start, end in self.paused)
        return f"{self.name}-{self.started_at:%Y%m%dT%H%MZ}-{self.days}d{rests}"


# an in-year change announced for November 2026: Friday 6 off, Saturday 7 worked instead
MOVED = {date(2026, 11, 6): False, date(2026, 11, 7): True}
# a province's own days (the third of the third lunar month), and a team at work on one of them
PROVINCE = {date(2026, 4, 20): False, date(2026, 4, 21): False, date(2026, 4, 25): True}
TEAM = {date(2026, 4, 21): True, date(2026, 4, 25): False}
THREE_LAYERS = WorkCalendar.from_rows(
    [
        *calendar_of(official, 2025, 2027, 2026).given,
        *(WorkDay(day, is_working, "三月三", "省政府", "guangxi") for day, is_working in PROVINCE.items()),
        *(WorkDay(day, is_working, None, "vip", "vip") for day, is_working in TEAM.items()),
    ],
    ("cn", "guangxi", "vip"),
)
KNOWN: dict[str, tuple[Worked, WorkCalendar, int]] = {
    "library": (official, WorkCalendar.from_library(), 2026),
    "all": (official, calendar_of(official, 2021, 2027, 2026), 2026),
    "late": (known_until(2025), calendar_of(known_until(2025), 2024, 2026, 2025), 2025),
    "later": (known_until(2022), calendar_of(known_until(2022), 2021, 2023, 2022), 2022),
    "moved": (changed(official, MOVED), calendar_of(changed(official, MOVED), 2025, 2027, 2026), 2026),
    "province": (
        changed(official, PROVINCE),
        WorkCalendar.from_rows(THREE_LAYERS.given, ("cn", "guangxi")),
        2026,
    ),
    "team": (changed(official, PROVINCE | TEAM), THREE_LAYERS, 2026),
}

# ------------------------------------------------------------ the cases


def at(day: date, hour: int = 8, minute: int = 30) -> datetime:
    """An hour of a day in Shanghai, told in UTC."""
    return datetime.combine(day, time(hour, minute), UTC) - EIGHT_HOURS


def cases() -> list[Case]:
    found = [
        Case("year-end", "all", at(day))
        for year in range(2022, 2027)
        for day in days_from(date(year, 12, 22), date(year + 1, 1, 6))
    ]
    found += [
        Case("make-up", "library", at(day + ONE * ahead), days)
        for day in sorted(MAKE_UPS)
        for ahead in (-3, -2, -1, 0)
        for days in (1, 3)
    ]
    found += [Case("late-notice", "late", at(d)) for d in days_from(date(2025, 12, 20), date(2026, 3, 2))]
    found += [Case("later-notice", "later", at(d)) for d in days_from(date(2022, 12, 22), date(2023, 1, 31))]
    found += [Case("in-year", "moved", at(day)) for day in days_from(date(2026, 10, 28), date(2026, 11, 9))]
    found += [
        Case(known, known, at(day), days)
        for known in ("province", "team")
        for day in days_from(date(2026, 4, 13), date(2026, 4, 27))
        for days in (1, 3)
    ]
    found += [
        Case("utc", "library", datetime(*day, hour, minute, tzinfo=UTC), days)
        for day in (
            (2026, 11, 7),
            (2026, 11, 8),
            (2026, 10, 9),
            (2026, 10, 10),
            (2026, 12, 31),
            (2026, 2, 27),
        )
        for hour, minute in ((15, 59), (16, 0), (17, 0), (23, 59), (0, 0))
        for days in (1, 3)
    ]
    found += [
        Case("pause", "library", at(date(2026, 9, start)), 3, tuple(_rests(date(2026, 9, start), *lengths)))
        for start in (15, 16, 17, 18, 24, 28, 30)
        for lengths in ((1,), (2,), (4,), (9,), (1, 2), (3, 1), (2, 2, 1))
    ]
    found += [Case("long", "all", at(date(2026, 9, day)), days) for day in (18, 25) for days in range(1, 11)]
    return list(dict.fromkeys(found))  # make-up days in a row share neighbours


def _rests(start: date, *lengths: int) -> list[tuple[date, date]]:
    """Pauses of these lengths, two days after one another, the first on the day after `start`."""
    rests, day = [], start + ONE
    for length in lengths:
        rests.append((day, day + ONE * length))
        day += ONE * (length + 2)
    return rests


CASES = cases()


def test_there_are_enough_cases_and_of_every_sort():
    assert len(CASES) >= 450
    assert len({str(case) for case in CASES}) == len(CASES)
    sorts = {case.name for case in CASES}
    assert sorts >= {"year-end", "make-up", "late-notice", "in-year", "province", "team", "utc", "pause"}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_deadline_warning_and_escalations_are_those_of_the_oracle(case):
    worked, calendar, published = KNOWN[case.known]
    start = shanghai(case.started_at)
    counted = walked(start, case.days, worked, case.paused)
    due = closing(counted[-1])

    deadline = sla.plan_deadline(case.started_at, calendar, case.days, case.paused)
    assert deadline.at == due
    assert deadline.is_provisional == (counted[-1] >= date(published, 12, 26))
    assert [note.day for note in deadline.days if note.counted] == counted
    assert [note.day for note in deadline.days] == days_from(start, counted[-1])

    warned = walked(start, WARNS_ON[case.days], worked, case.paused)[-1]
    warning = closing(warned) if case.days > 1 else closing(warned) - timedelta(hours=3)
    assert sla.warn_at(case.started_at, calendar, case.days, case.paused) == warning
    assert sla.plan_deadline(case.started_at, calendar, 1).at == closing(walked(start, 1, worked)[0])

    lead, manager = map(closing, walked(counted[-1], 2, worked))
    assert [each.due_at for each in sla.escalations(due, calendar)] == [due, lead, manager]
    just_before = manager - timedelta(seconds=1)
    assert _level(due, just_before, calendar) == "lead"
    assert _level(due, manager, calendar) == "branch_manager"
    assert sla.next_escalation_at(due, calendar, "assignee") == lead


def _level(due: datetime, now: datetime, calendar: WorkCalendar) -> str | None:
    found = sla.escalation_due(due, now, calendar)
    return found and found.level


# ------------------------------------------------------------ a calendar that changes under running clocks


def changes() -> list[tuple[str, str, datetime, datetime]]:
    """What was known, what is known now, when the clock started, and when the change comes."""
    found = [
        ("late", "all", at(started), at(started + ONE * ahead, 12))
        for started in days_from(date(2025, 12, 24), date(2026, 1, 4))
        for ahead in (0, 1, 2, 3)
    ]
    found += [
        (old, new, at(started), at(started + ONE * ahead, 12))
        for old, new in (("all", "moved"), ("moved", "all"))
        for started in days_from(date(2026, 11, 2), date(2026, 11, 7))
        for ahead in (0, 1, 2, 3, 4)
    ]
    # a clock that had run out before keeps its verdict
    return [each for each in found if closing(walked(shanghai(each[2]), 3, KNOWN[each[0]][0])[-1]) >= each[3]]


@pytest.mark.parametrize(("old", "new", "started_at", "now"), changes())
def test_a_change_takes_the_new_deadline_unless_that_leaves_less_than_the_next_working_day(
    old, new, started_at, now
):
    was_worked, standing, _ = KNOWN[old]
    worked, calendar, _ = KNOWN[new]
    start = shanghai(started_at)
    old_due = closing(walked(start, 3, was_worked)[-1])
    wanted = closing(walked(start, 3, worked)[-1])
    least = closing(walked(shanghai(now), 1, worked)[0])
    if wanted < min(old_due, least):
        wanted = old_due if old_due <= least and worked(shanghai(old_due)) else least

    counted = sla.plan_deadline(started_at, calendar)
    moved = sla.moved_deadline(counted, old_due, now, calendar)
    assert moved.at == wanted
    assert moved.at > now
    assert moved.at >= min(old_due, least)
    assert [note.day for note in moved.days] == days_from(start, shanghai(moved.at))
    assert sum(note.counted for note in moved.days) == 3
    assert sla.plan_deadline(started_at, standing).at == old_due


def test_the_changes_meet_every_way_a_deadline_can_go():
    ways: Sequence[str] = [_way(*change) for change in changes()]
    assert {"later", "earlier", "same", "kept or left a day"} <= set(ways)


def _way(old: str, new: str, started_at: datetime, now: datetime) -> str:
    old_due = sla.plan_deadline(started_at, KNOWN[old][1]).at
    counted = sla.plan_deadline(started_at, KNOWN[new][1])
    moved = sla.moved_deadline(counted, old_due, now, KNOWN[new][1]).at
    if moved != counted.at:
        return "kept or left a day"
    return "later" if moved > old_due else "earlier" if moved < old_due else "same"
