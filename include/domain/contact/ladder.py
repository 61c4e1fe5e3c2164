"""The contact ladder: how and when to try a subscriber next, and when "unreachable" may be said."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import takewhile
from typing import Literal

from include.domain.periods.months import ZONE
from include.domain.workdays import WorkCalendar, shanghai_day

Kind = Literal["call", "sms", "call_back", "talk", "refused", "unreachable"]

#: Parts of the day: name, start in Shanghai, and its words.
PARTS = (
    ("morning", time(0), "上午", "morning"),
    ("afternoon", time(12), "下午", "afternoon"),
    ("evening", time(18), "晚上", "evening"),
)
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
    """What to do next, in words, and for a call the parts of the day that bring the procedure on."""

    kind: Kind
    zh: str
    en: str
    parts: tuple[str, ...] = ()
    not_before: date | None = None

    @property
    def is_unreachable_allowed(self) -> bool:
        """Whether the procedure was kept and nobody answered."""
        return self.kind == "unreachable"


def day_part(moment: datetime) -> str:
    """The part of the day in Shanghai."""
    local = moment.astimezone(ZONE).time()
    return next(name for name, start, _, _ in reversed(PARTS) if local >= start)


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
        fresh = tuple(name for name, *_ in PARTS if name not in tried_parts)
        last_day = max(days, default=None) if lacking_days >= left else None
        not_before = calendar.next_working_day(last_day) if last_day else None
        return _call(len(calls) + 1, len(calls) + left, fresh if lacking_parts and calls else (), not_before)
    if rules.sms and all(attempt.channel != "sms" for attempt in silent):
        return Step("sms", "多次未接通：请发送短信。", "Nobody answers: send an SMS.")
    return Step(
        "unreachable",
        "已按流程联系，可以“无法接通”结单。",
        "The procedure was kept: the ticket may be closed as unreachable.",
    )


def _answered(last: Attempt) -> Step:
    if last.result == "refused":
        return Step(
            "refused",
            "客户拒绝沟通：请以“拒绝沟通”结单，或登记“请勿来电”。",
            "The customer refused to talk: close as refused contact, or record do-not-call.",
        )
    if last.call_back_at is None:
        return Step(
            "talk",
            "已联系上：请登记需求调查和挽留方案，然后结单。",
            "Reached: record needs survey and plan, then close.",
        )
    when = f"{last.call_back_at.astimezone(ZONE):%Y-%m-%d %H:%M}"
    return Step(
        "call_back",
        f"已约定回电：{when}。",
        f"Call back as promised at {when}.",
        not_before=shanghai_day(last.call_back_at),
    )


def _call(number: int, of: int, parts: tuple[str, ...], not_before: date | None) -> Step:
    zh_parts = "、".join(zh for name, _, zh, _ in PARTS if name in parts)
    en_parts = " or ".join(en for name, _, _, en in PARTS if name in parts)
    zh = f"第 {number} 次呼叫，共 {of} 次" + (f"，换到{zh_parts}" if parts else "")
    en = f"Call {number} of {of}" + (f", in the {en_parts} this time" if parts else "")
    if not_before:
        zh, en = f"{zh}，{not_before} 起的工作日", f"{en}, on a working day from {not_before}"
    return Step("call", f"{zh}。", f"{en}.", parts, not_before)
