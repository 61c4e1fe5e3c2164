"""How much working time is left until a deadline: what an agent can still use, not what a wall clock shows."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Literal

from include.domain.periods.months import ZONE

Urgency = Literal["on_time", "soon", "overdue"]


def working_time_between(
    start: datetime, end: datetime, is_working: Callable[[date], bool], opens: time, closes: time
) -> timedelta:
    """Working time from `start` to `end` (aware): the parts of working days between `opens` and `closes`.

    Negative when `end` lies before `start`: working time a deadline is overdue.
    """
    if end < start:
        return -working_time_between(end, start, is_working, opens, closes)
    first, last = start.astimezone(ZONE), end.astimezone(ZONE)
    total = timedelta()
    for ahead in range((last.date() - first.date()).days + 1):
        day = first.date() + timedelta(days=ahead)
        if is_working(day):
            begins = max(first, datetime.combine(day, opens, ZONE))
            ends = min(last, datetime.combine(day, closes, ZONE))
            total += max(ends - begins, timedelta())
    return total


def urgency(due_at: datetime, warn_at: datetime, now: datetime) -> Urgency:
    """Overdue after the deadline, soon from the early warning on, else on time."""
    if now > due_at:
        return "overdue"
    return "soon" if now >= warn_at else "on_time"
