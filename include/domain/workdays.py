"""The Chinese working calendar: public holidays, make-up working weekends, deadlines in working days.

A year is known once the State Council's notice for it is published, late in the year before. Days of unknown
years, and the last days of the last published year, are counted provisionally and say so.
"""

from calendar import isleap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple, TypedDict, cast

from include.domain.deadline import DayNote, Deadline, Reason
from include.domain.errors import BadInput
from include.domain.periods.months import ZONE

NATIONAL = "cn"
PROVISIONAL = "provisional"
LIBRARY = "chinesecalendar"
CLOSING = time(18)

# A notice may rearrange the days around New Year that lie in the year before it
_NEXT_NOTICE_FROM = (12, 26)
_LONGEST = 1000
_DAY = timedelta(days=1)

_LABOUR = "劳动节 / Labour Day"
_NATIONAL_DAY = "国庆节 / National Day"
# Statutory holidays of fixed date (Regulation on Public Holidays, article 2, as revised 2024-11-10). The
# others go by the lunar calendar or the solar terms; only the notice says how they are joined with weekends.
_FIXED = {
    (1, 1): "元旦 / New Year's Day",
    (5, 1): _LABOUR,
    (5, 2): _LABOUR,
    (10, 1): _NATIONAL_DAY,
    (10, 2): _NATIONAL_DAY,
    (10, 3): _NATIONAL_DAY,
}


class WorkDayRow(TypedDict):
    """A `WorkDay` by the names of its columns."""

    date: date
    is_working: bool
    name: str | None
    source: str
    layer: str


class WorkDay(NamedTuple):
    """One row of the table work_days; `name` is "中文 / English", or one name, or None on plain days."""

    date: date
    is_working: bool
    name: str | None
    source: str
    layer: str = NATIONAL


@dataclass(frozen=True)
class WorkCalendar:
    """Working days by layer: the first layer is the national one, later layers override those before."""

    given: tuple[WorkDay, ...]
    layers: tuple[str, ...] = (NATIONAL,)
    closing: time = CLOSING

    @classmethod
    def from_library(cls, closing: time = CLOSING) -> "WorkCalendar":
        """The years known to the package chinesecalendar, and the year after them, provisionally."""
        # lazily: the domain needs no package unless this calendar is asked for
        import chinese_calendar

        names = {kind.value: f"{kind.chinese} / {kind.value}" for kind in chinese_calendar.Holiday}
        holidays = {day: names[name] for day, name in chinese_calendar.holidays.items()}
        make_ups = {day: names[name] for day, name in chinese_calendar.workdays.items()}
        first, last = min(holidays).year, max(holidays).year
        published = (_published(day, holidays, make_ups) for day in _days_of(first, last))
        guessed = (_guess(day) for day in _days_of(last + 1, last + 1))
        return cls((*published, *guessed), closing=closing)

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[Mapping[Any, Any] | Sequence[Any]],
        layers: Sequence[str] = (NATIONAL,),
        closing: time = CLOSING,
    ) -> "WorkCalendar":
        """The calendar stored in work_days: mappings, or tuples (date, is_working, name, source[, layer]).

        A row without a layer belongs to the first of `layers`; rows of layers not listed are left out. Raises
        BadInput for a row that cannot be read or that contradicts another one of its layer.
        """
        if not layers or isinstance(layers, str):
            raise BadInput(f"layers={layers!r} names no calendar. Give a list that begins with '{NATIONAL}'.")
        found: dict[tuple[int, date], WorkDay] = {}
        for row in rows:
            work_day = _read(row, layers[0])
            if work_day.layer in layers:
                key = (layers.index(work_day.layer), work_day.date)
                if found.setdefault(key, work_day) != work_day:
                    raise BadInput(f"Calendar layer '{work_day.layer}' has two {work_day.date}. Keep one.")
        return cls(tuple(found[key] for key in sorted(found)), tuple(layers), closing)

    def rows(self) -> list[WorkDayRow]:
        """Every given day as a row of the table work_days."""
        return [cast(WorkDayRow, work_day._asdict()) for work_day in self.given]

    @cached_property
    def last_published_year(self) -> int | None:
        """The last year of which the national layer holds every day from a source that is not provisional."""
        national = (row for row in self.given if row.layer == self.layers[0] and row.source != PROVISIONAL)
        years = Counter(row.date.year for row in national)
        return max((year for year, days in years.items() if days == 365 + isleap(year)), default=None)

    @cached_property
    def _provisional_from(self) -> date:
        if self.last_published_year is None:
            return date.min
        return date(self.last_published_year, *_NEXT_NOTICE_FROM)

    @cached_property
    def _by_day(self) -> dict[date, WorkDay]:
        return {row.date: row for row in self.given}  # sorted by layer: the last one wins

    @cached_property
    def _notes(self) -> dict[date, DayNote]:
        return {}

    def note_on(self, day: date) -> DayNote:
        """Whether a day is worked, and why. Never fails: an unknown day is judged provisionally."""
        note = self._notes.get(day)
        if note is None:
            row = self._by_day.get(day) or _guess(day)
            is_provisional = row.source == PROVISIONAL or day >= self._provisional_from
            note = DayNote(day, row.is_working, _reason(row), row.name, is_provisional)
            self._notes[day] = note
        return note

    def is_working(self, day: date) -> bool:
        """Whether a day is worked."""
        return self.note_on(shanghai_day(day)).counted

    def next_working_day(self, day: date) -> date:
        """The first working day after `day`."""
        return self.due_on(day, 1).day

    def working_days_between(self, start: date, end: date) -> int:
        """How many working days lie after `start` and not after `end`: `due_on(start, n)` lies n days on."""
        start, end = shanghai_day(start), shanghai_day(end)
        if end < start:
            raise BadInput(f"{end} lies before {start}. Give the earlier day first.")
        return sum(self.note_on(start + _DAY * ahead).counted for ahead in range(1, (end - start).days + 1))

    def closes_at(self, day: date) -> datetime:
        """The aware instant at which working hours end on a day."""
        return datetime.combine(shanghai_day(day), self.closing, ZONE)

    def due_on(self, opened: date, days: int, paused: Sequence[tuple[date, date]] = ()) -> Deadline:
        """Closing time of the `days`-th day that counts after the day `opened` (day 0, worked or not).

        `paused` holds half-open whole days [from, to) that do not count. An aware datetime stands for its
        day in Shanghai. Raises BadInput for fewer than 1 or more than 1000 days, naive datetimes, reversed
        or overlapping pauses.
        """
        _check_days(days)
        pauses = _in_order(paused)
        day = shanghai_day(opened)
        notes = [DayNote(day, counted=False, reason="opened")]
        is_provisional = False
        while days:
            day = _day_after(day)
            note = self.note_on(day)
            if pauses and any(start <= day < end for start, end in pauses):
                note = DayNote(day, False, "paused", note.name, note.is_provisional)
            days -= note.counted
            is_provisional |= note.is_provisional
            notes.append(note)
        return Deadline(datetime.combine(day, self.closing, ZONE), is_provisional, tuple(notes))


class EveryDay(WorkCalendar):
    """Rest days count like any other, so no notice moves a deadline counted by it."""

    def note_on(self, day: date) -> DayNote:
        """A day that counts."""
        return DayNote(day, counted=True, reason="calendar")


def shanghai_day(moment: date) -> date:
    """The day in Shanghai of an aware datetime; a date is that day already. Raises BadInput when naive."""
    if not isinstance(moment, datetime):
        return moment
    if moment.tzinfo is None:
        raise BadInput(f"{moment.isoformat()} has no time zone. Write it as {moment.isoformat()}+08:00.")
    return moment.astimezone(ZONE).date()


def _days_of(first_year: int, last_year: int) -> Iterator[date]:
    start = date(first_year, 1, 1)
    for ahead in range((date(last_year, 12, 31) - start).days + 1):
        yield start + _DAY * ahead


def _published(day: date, holidays: Mapping[date, str], make_ups: Mapping[date, str]) -> WorkDay:
    is_working = day in make_ups or (day.weekday() < 5 and day not in holidays)
    return WorkDay(day, is_working, make_ups.get(day) or holidays.get(day), LIBRARY)


def _guess(day: date) -> WorkDay:
    holiday = _FIXED.get((day.month, day.day))
    return WorkDay(day, day.weekday() < 5 and holiday is None, holiday, PROVISIONAL)


def _reason(row: WorkDay) -> Reason:
    is_weekend = row.date.weekday() >= 5
    if row.is_working:
        return "make_up" if is_weekend else "working"
    return "weekend" if is_weekend and not row.name else "holiday"


def _read(row: Any, layer: str) -> WorkDay:
    # SQLAlchemy's rows name their columns there
    values = getattr(row, "_mapping", row)
    if not isinstance(values, Mapping):
        values = dict(zip(WorkDay._fields, values, strict=False))
    known = {field: values[field] for field in WorkDay._fields if field in values}
    try:
        work_day = WorkDay(**{"layer": layer} | known)
    except TypeError:
        raise BadInput(f"Calendar row {row!r} is not (date, is_working, name, source[, layer]).") from None
    if type(work_day.date) is not date:
        raise BadInput(f"Calendar row {row!r} does not begin with a date. Give a day such as 2026-10-10.")
    return work_day


def _check_days(days: int) -> None:
    if type(days) is not int or not 1 <= days <= _LONGEST:
        raise BadInput(f"A deadline of {days!r} working days cannot be counted. Give 1 to {_LONGEST}.")


def _in_order(paused: Sequence[tuple[date, date]]) -> list[tuple[date, date]]:
    pauses = sorted((shanghai_day(start), shanghai_day(end)) for start, end in paused)
    for start, end in pauses:
        if end < start:
            raise BadInput(f"The pause from {start} to {end} ends before it starts. Swap the two days.")
    for (start, end), (later, _) in pairwise(pauses):
        if later < end:
            raise BadInput(f"The pause from {start} to {end} overlaps the one from {later}. Join the two.")
    return pauses


def _day_after(day: date) -> date:
    try:
        return day + _DAY
    except OverflowError:
        raise BadInput(f"No deadline can lie after {day}. Check the day it starts and its pauses.") from None
