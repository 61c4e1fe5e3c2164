"""What a table is published by: a month or, for the cycles of a daily campaign, a day; and its folder."""

from include.domain.errors import BadInput
from include.domain.periods.months import parse_day, parse_month

_WORDS = {"month": parse_month, "day": parse_day}


def folder_of(period: str) -> str:
    """The folder of a month or day within a table; BadInput for what is neither."""
    word = "day" if len(period) > len("2026-10") else "month"
    return f"{word}={_WORDS[word](period)}"


def period_of(folder: str) -> str | None:
    """The month or day whose folder it is; None for any other folder."""
    word, _, period = folder.partition("=")
    try:
        return _WORDS[word](period) if word in _WORDS else None
    except BadInput:
        return None
