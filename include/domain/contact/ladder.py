"""The contact ladder: how and when to try a subscriber next, and when "unreachable" may be said."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import takewhile
from typing import Literal

from include.domain.periods.months import ZONE
from include.domain.workdays import WorkCalendar, shanghai_day

Kind = Literal["call", "sms", "call_back", "talk", "refused", "unreachable"]

#: Parts of the day: name, and start in Shanghai.
PARTS = (("morning", time(0)), ("afternoon", time(12)), ("evening", time(18)))
_VOICE = ("call", "visit")


@dataclass(frozen=True, slots=True)
class Rules:
    """How often somebody is tried before "unreachable": calls, in different parts of the day, on working days."""

    attempts: int = 3
    day_parts: int = 2
    days: int = 2
    sms: bool = True


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt as recorded; `call_back_at` is what was promised, aware."""

    at: datetime
    channel: str
    result: str
    call_back_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next; of a call its number, of how many, and the parts of the day that bring the procedure on.

    `call_back_at` is what was promised, aware, where that is what comes next.
    """

    kind: Kind
    number: int | None = None
    of: int | None = None
    parts: tuple[str, ...] = ()
    not_before: date | None = None
    call_back_at: datetime | None = None

    @property
    def is_unreachable_allowed(self) -> bool:
        """Whether the procedure was kept and nobody answered."""
        return self.kind == "unreachable"


def day_part(moment: datetime) -> str:
    """The part of the day in Shanghai."""
    local = moment.astimezone(ZONE).time()
    return next(name for name, start in reversed(PARTS) if local >= start)


def next_step(attempts: Sequence[Attempt], calendar: WorkCalendar, rules: Rules) -> Step:
    """The step after these attempts of one round, in any order.

    What counts towards "unreachable" is what came after the last time the subscriber was spoken to.
    """
    tried = sorted(attempts, key=lambda attempt: attempt.at)
    if tried and tried[-1].result != "no_answer":
        return _answered(tried[-1])
    silent = list(takewhile(lambda attempt: attempt.result == "no_answer", reversed(tried)))
    calls = [attempt for attempt in silent if attempt.channel in _VOICE]
    tried_parts = {day_part(call.at) for call in calls}
    days = {day for day in (shanghai_day(call.at) for call in calls) if calendar.is_working(day)}
    lacking_parts = max(0, rules.day_parts - len(tried_parts))
    lacking_days = max(0, rules.days - len(days))
    left = max(rules.attempts - len(calls), lacking_parts, lacking_days)
    if left > 0:
        fresh = tuple(name for name, _ in PARTS if name not in tried_parts)
        last_day = max(days, default=None) if lacking_days >= left else None
        not_before = calendar.next_working_day(last_day) if last_day else None
        parts = fresh if lacking_parts and calls else ()
        return Step("call", len(calls) + 1, len(calls) + left, parts, not_before)
    if rules.sms and all(attempt.channel != "sms" for attempt in silent):
        return Step("sms")
    return Step("unreachable")


def _answered(last: Attempt) -> Step:
    if last.result == "refused":
        return Step("refused")
    if last.call_back_at is None:
        return Step("talk")
    return Step("call_back", not_before=shanghai_day(last.call_back_at), call_back_at=last.call_back_at)
