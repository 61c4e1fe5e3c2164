"""The service clocks of a ticket: deadlines, warnings, pauses, verdicts and escalation, as pure rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal

from include.domain.deadline import DayNote, Deadline, Reason
from include.domain.errors import BadInput, Refused
from include.domain.workdays import WorkCalendar, shanghai_day

#: What may meet a clock: the first attempt, the first talk, what is recorded, the closing of the ticket.
Stop = Literal["contact", "reached", "survey", "checklist", "plan", "closed"]
State = Literal["running", "met", "void", "breached"]
Level = Literal["assignee", "lead", "branch_manager"]
Pause = tuple[date, date]

PLAN_DAYS = 3
PAUSE_LIMIT = 5
SINGLE_DAY_WARNING = time(15)
_LONGEST_PAUSE = timedelta(days=366)
LEVELS: tuple[Level, ...] = ("assignee", "lead", "branch_manager")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a clock, and `at` which instant; `noticed_at` is the tick that saw a breach."""

    state: State
    at: datetime | None = None
    noticed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Escalation:
    """Who is told of a breach, and from which instant."""

    level: Level
    due_at: datetime


def plan_deadline(
    released_at: datetime, calendar: WorkCalendar, days: int = PLAN_DAYS, paused: Sequence[Pause] = ()
) -> Deadline:
    """Closing time of the `days`-th day the calendar counts after the Shanghai day of release, pauses left out."""
    return calendar.due_on(_day_of(released_at), days, paused)


def moved_deadline(
    counted: Deadline,
    old_at: datetime,
    now: datetime,
    calendar: WorkCalendar,
    paused: Sequence[Pause] = (),
) -> Deadline:
    """The deadline after a change of the calendar gave `counted` for one that stood at `old_at`, not yet past.

    Later is always taken over. Earlier only as far as closing time of the next working day after `now` that
    is not paused: what no longer leaves that much keeps its old deadline where that is earlier, and else
    gets that day. So no change breaches anything at once. Raises BadInput when `old_at` is past.
    """
    if old_at < now:
        raise BadInput(f"The deadline {old_at.isoformat()} is past; its verdict stands. Leave it as it is.")
    least = calendar.due_on(_day_of(now), 1, paused)
    if counted.at >= min(old_at, least.at):
        return counted
    keeps_old = old_at <= least.at and calendar.is_working(old_at)
    return _with_grace(counted, old_at if keeps_old else least.at, calendar, paused)


def _with_grace(counted: Deadline, at: datetime, calendar: WorkCalendar, paused: Sequence[Pause]) -> Deadline:
    notes = []
    for ahead in range(1, (shanghai_day(at) - counted.day).days + 1):
        note = calendar.note_on(counted.day + timedelta(days=ahead))
        is_paused = any(start <= note.day < end for start, end in paused)
        reason: Reason = "paused" if is_paused else "grace" if note.counted else note.reason
        notes.append(DayNote(note.day, False, reason, note.name, note.is_provisional))
    is_provisional = counted.is_provisional or any(note.is_provisional for note in notes)
    return Deadline(at.astimezone(counted.at.tzinfo), is_provisional, (*counted.days, *notes))


def rests_of(deadline: Deadline) -> list[Pause]:
    """The paused days a deadline was counted with, each a pause of its own."""
    one = timedelta(days=1)
    return [(note.day, note.day + one) for note in deadline.days if note.reason == "paused"]


def warn_at(
    released_at: datetime,
    calendar: WorkCalendar,
    days: int = PLAN_DAYS,
    paused: Sequence[Pause] = (),
    single: time = SINGLE_DAY_WARNING,
) -> datetime:
    """When a clock of `days` counted days warns: closing time of day ⌈2n/3⌉, or `single` on the only day.

    A clock of two days warns at its deadline: ⌈4/3⌉ = 2.
    """
    warned = calendar.due_on(_day_of(released_at), -(-2 * days // 3), paused)
    return warned.at if days > 1 else datetime.combine(warned.day, single, warned.at.tzinfo)


def plan_pause(
    now: datetime,
    call_back_on: date,
    calendar: WorkCalendar,
    earlier: Sequence[Pause] = (),
    *,
    with_lead: bool = False,
    limit: int = PAUSE_LIMIT,
) -> Pause:
    """The days [today, call_back_on) on which the clocks of a ticket rest.

    Without the lead the working days of this and the `earlier` pauses of the ticket come to at most `limit`:
    counted one by one, pauses in a row could stop it for good. Raises BadInput when the call-back does not
    lie ahead, Refused when the clock rests already or the limit is passed.
    """
    today, until = _day_of(now), shanghai_day(call_back_on)
    if until <= today:
        raise BadInput(
            "The call-back on {until} does not lie after today, {today}. Promise a later day.",
            code="call_back_past", until=until, today=today,
        )  # fmt: skip
    if until > today + _LONGEST_PAUSE:
        raise BadInput(
            "The call-back on {until} is more than a year away. Promise an earlier day.",
            code="call_back_far", until=until,
        )  # fmt: skip
    resting_until = max((end for _, end in earlier), default=today)
    if resting_until > today:
        raise Refused(
            "The clock rests already until {until}. End that pause first.",
            code="rests_already", until=resting_until,
        )  # fmt: skip
    resting = sum(_working_days(each, calendar) for each in (*earlier, (today, until)))
    if resting > limit and not with_lead:
        raise Refused(
            "A pause until {until} brings this ticket to {days} working days of rest; "
            "{most} are allowed without the team lead. Promise an earlier call-back or ask the lead.",
            code="pause_too_long", until=until, days=resting, most=limit,
        )  # fmt: skip
    return today, until


def end_pause(pause: Pause, now: datetime) -> Pause:
    """The pause cut short today, which counts again; a pause that is over stays as it was."""
    start, end = pause
    return start, max(start, min(end, _day_of(now)))


def judge(
    due_at: datetime, now: datetime, met_at: datetime | None = None, voided_at: datetime | None = None
) -> Verdict:
    """The verdict at the tick `now`. Work at the very instant of the deadline still meets it.

    What happens after the deadline never undoes a breach, even when no tick came in between.
    """
    for moment in (due_at, now, met_at, voided_at):
        _check_aware(moment)
    latest = min(due_at, now)
    if met_at is not None and met_at <= min(latest, voided_at or latest):
        return Verdict("met", met_at)
    if voided_at is not None and voided_at <= latest:
        return Verdict("void", voided_at)
    return Verdict("breached", due_at, now) if now > due_at else Verdict("running")


def escalations(breached_at: datetime, calendar: WorkCalendar) -> tuple[Escalation, ...]:
    """Assignee at the breach; lead and branch manager at closing time one and two working days later."""
    day = _day_of(breached_at)
    later = (Escalation(level, calendar.due_on(day, gap).at) for gap, level in enumerate(LEVELS[1:], start=1))
    return (Escalation(LEVELS[0], breached_at), *later)


def escalation_due(
    breached_at: datetime, now: datetime, calendar: WorkCalendar, sent: Level | None = None
) -> Escalation | None:
    """The highest escalation due at `now` above the level already `sent`; missed lower ones are skipped."""
    _check_aware(now)
    reached = -1 if sent is None else LEVELS.index(sent)
    due = [each for each in escalations(breached_at, calendar)[reached + 1 :] if each.due_at <= now]
    return due[-1] if due else None


def next_escalation_at(breached_at: datetime, calendar: WorkCalendar, sent: Level | None) -> datetime | None:
    """When the level above the one already `sent` is to be told; None above the highest."""
    reached = -1 if sent is None else LEVELS.index(sent)
    return next((each.due_at for each in escalations(breached_at, calendar)[reached + 1 :]), None)


def _day_of(moment: datetime) -> date:
    _check_aware(moment)
    return shanghai_day(moment)


def _check_aware(moment: datetime | None) -> None:
    if moment is not None:
        if not isinstance(moment, datetime):
            raise BadInput(f"{moment!r} is a day, not an instant. Give a datetime with its time zone.")
        shanghai_day(moment)


def _working_days(pause: Pause, calendar: WorkCalendar) -> int:
    start, end = pause
    return calendar.working_days_between(start - timedelta(days=1), end - timedelta(days=1))
