"""Calendar months as "YYYY-MM" text, and the instants the loop derives from them (Asia/Shanghai)."""

import re
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from include.domain.errors import BadInput, NotReady

ZONE = ZoneInfo("Asia/Shanghai")

_AS_OF_DAY = 5
_AS_OF_TIME = time(6, 0)


def parse_month(text: str) -> str:
    """Return `text` when it is a month "YYYY-MM"; raise BadInput otherwise."""
    if not re.fullmatch(r"[12]\d{3}-(0[1-9]|1[0-2])", text):
        raise BadInput(f"'{text}' is not a month. Write it as YYYY-MM, for example 2026-10.")
    return text


def parse_day(text: str) -> str:
    """Return `text` when it is a day "YYYY-MM-DD"; raise BadInput otherwise."""
    try:
        if date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass  # told below, as is a day in another writing
    raise BadInput(f"'{text}' is not a day. Write it as YYYY-MM-DD, for example 2026-10-17.")


def month_of(day: date) -> str:
    """The month a day lies in."""
    return f"{day.year:04d}-{day.month:02d}"


def first_day(month: str) -> date:
    """The first day of a month."""
    return date(int(month[:4]), int(month[5:7]), 1)


def last_day(month: str) -> date:
    """The last day of a month."""
    return first_day(shift(month, 1)) - timedelta(days=1)


def shift(month: str, months: int) -> str:
    """The month `months` later (or earlier, when negative)."""
    ordinal = int(month[:4]) * 12 + int(month[5:7]) - 1 + months
    return f"{ordinal // 12:04d}-{ordinal % 12 + 1:02d}"


def month_start(month: str) -> datetime:
    """The aware instant at which a month begins in Shanghai."""
    return datetime.combine(first_day(month), time(0), ZONE)


def default_as_of(month: str) -> datetime:
    """06:00 Shanghai on the 5th of the month after `month`: what a scheduled run may know."""
    return datetime.combine(first_day(shift(month, 1)).replace(day=_AS_OF_DAY), _AS_OF_TIME, ZONE)


def require_past(as_of: datetime, now: datetime) -> None:
    """NotReady while `as_of` is still to come: what is done now would be dated before what it rests on."""
    if now < as_of:
        raise NotReady(
            f"It is {now.astimezone(ZONE).isoformat()}, before as_of {as_of.astimezone(ZONE).isoformat()}: tickets "
            "would be dated before their cycle. Wait, set the clock right, or give an earlier as_of."
        )


def past_grace_on(month: str) -> date:
    """The day after the 5th of the following month, from which on a feed counts as complete unmarked."""
    return first_day(shift(month, 1)).replace(day=_AS_OF_DAY + 1)


def parse_instant(text: str, name: str = "as_of") -> datetime:
    """An aware instant from ISO text; BadInput, told with `name`, when it is none or has no time zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{name} '{text}' is not an instant. Write it as 2026-11-05T06:00+08:00.") from None
    if moment.tzinfo is None:
        raise BadInput(f"{name} '{text}' has no time zone. Write it as {text}+08:00.")
    return moment
