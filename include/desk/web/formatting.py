"""How figures and instants are told on the screens: Shanghai time, yuan, shares, working time."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from include.domain.periods.months import ZONE
from include.words import words_in

_DASH = "–"


def instant(value: datetime | None) -> str:
    """ "11-09 18:00" in Shanghai."""
    return f"{value.astimezone(ZONE):%m-%d %H:%M}" if value else _DASH


def day(value: date | None) -> str:
    """ "2026-11-09"."""
    return value.isoformat() if value else _DASH


def yuan(value: Decimal | float | None) -> str:
    """ "¥128.50"."""
    return _DASH if value is None else f"¥{value:,.2f}"


def share(value: float | None) -> str:
    """ "35 %", one decimal below ten."""
    if value is None:
        return _DASH
    return f"{value * 100:.0f} %" if value >= 0.1 else f"{value * 100:.1f} %"


def number(value: Any) -> str:
    """A count or measurement, short."""
    if value is None:
        return _DASH
    if isinstance(value, bool):
        return "✓" if value else "✗"
    return f"{value:,.4g}" if isinstance(value, float) and abs(value) < 1000 else f"{value:,.0f}"


def measured(value: Any, unit: str) -> str:
    """A factor's value as people read it: ratios in per cent, money in yuan, a flag as ✓ or ✗."""
    if not isinstance(value, int | float):
        return str(value)
    match unit:
        case "ratio":
            text = f"{100 * value:,.{0 if abs(value) >= 0.1 else 1}f} %"
            return text.replace("-", "−")
        case "flag":
            return number(bool(value))
        case "yuan":
            return yuan(value)
    return number(round(value, 2))


def working_time(value: timedelta, language: str) -> str:
    """ "7 h 30 min", with a minus sign when overdue."""
    hours, minutes = divmod(int(abs(value).total_seconds() // 60), 60)
    sign = "−" if value < timedelta() else ""
    t = words_in(language)
    units = t("spans.hours"), t("spans.minutes")
    parts = ([f"{hours} {units[0]}"] if hours else []) + (
        [f"{minutes} {units[1]}"] if minutes or not hours else []
    )
    return sign + " ".join(parts)


FILTERS: dict[str, Callable[..., str]] = {
    "instant": instant,
    "day": day,
    "yuan": yuan,
    "share": share,
    "number": number,
    "measured": measured,
    "working_time": working_time,
}
