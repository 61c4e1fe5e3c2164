"""The key of a cycle, a month "2026-10" or a day "2026-10-17" by its campaign's cadence, and the instants it means."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta

from include.domain.errors import BadInput
from include.domain.periods import months
from include.domain.periods.months import ZONE

MONTHLY, DAILY = CADENCES = ("monthly", "daily")

_AS_OF_TIME = time(6, 0)
_LATE_DAYS = 3
_DAY = re.compile(r"[12]\d{3}-\d{2}-\d{2}")


def cadence_of(key: str) -> str:
    """Whether `key` is the key of a monthly or of a daily cycle; BadInput when it is neither."""
    if _DAY.fullmatch(key):
        _day(key)
        return DAILY
    months.parse_month(key)
    return MONTHLY


def parse_key(text: str, cadence: str) -> str:
    """`text` when it is a key of that cadence; BadInput, which says how to write it, otherwise."""
    if cadence == MONTHLY:
        return months.parse_month(text)
    _day(text)
    return text


def default_as_of(key: str) -> datetime:
    """What a scheduled run may know: 06:00 of the day, or of the 5th of the month after (Asia/Shanghai)."""
    if cadence_of(key) == MONTHLY:
        return months.default_as_of(key)
    return datetime.combine(_day(key), _AS_OF_TIME, ZONE)


def ends_at(key: str) -> datetime:
    """The instant at which the month, or the day before the key's morning, is over: no `as_of` may lie before it."""
    if cadence_of(key) == MONTHLY:
        return months.month_start(months.shift(key, 1))
    return datetime.combine(_day(key), time(0), ZONE)


def factors_month(key: str, as_of: datetime) -> str:
    """The month whose factors a cycle reads: its own, or for a day the newest whose factors are due by `as_of`."""
    if cadence_of(key) == MONTHLY:
        return key
    month = months.shift(months.month_of(as_of.astimezone(ZONE).date()), -1)
    return month if months.default_as_of(month) <= as_of else months.shift(month, -1)


def dispatch_ends_at(key: str, late_days: int | None = None) -> datetime:
    """From when on a dispatch is late: when the month after is over, three days after the day, or as told."""
    if late_days is not None:
        return ends_at(key) + timedelta(days=late_days)
    if cadence_of(key) == MONTHLY:
        return months.month_start(months.shift(key, 2))
    return ends_at(key) + timedelta(days=_LATE_DAYS)


def _half_year(key: str) -> str:
    return f"{key[:4]}H{1 if int(key[5:7]) <= 6 else 2}"


def _quarter(key: str) -> str:
    return f"{key[:4]}Q{(int(key[5:7]) + 2) // 3}"


#: How long an arm holds, by the word of measures.yaml: the name of the span a cycle's key lies in.
EPOCHS: Mapping[str, Callable[[str], str]] = {
    "half_year": _half_year,
    "quarter": _quarter,
    "year": lambda key: key[:4],
    "month": lambda key: key[:7],
}


def epoch_of(key: str, epoch: str = "half_year") -> str:
    """The span an arm holds for: "2026H2" for "2026-10" and for "2026-10-17"."""
    return EPOCHS[epoch](key)


def _day(text: str) -> date:
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass  # told below: a day no calendar has
    raise BadInput(f"'{text}' is not a day. Write it as YYYY-MM-DD, for example 2026-10-17.")
