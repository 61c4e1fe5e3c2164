"""A deadline and what explains it: each calendar day from its start to its end, counted, or why not."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Literal, TypedDict, cast

from include.domain.periods.months import ZONE

Reason = Literal["opened", "working", "make_up", "calendar", "weekend", "holiday", "paused", "grace"]


@dataclass(frozen=True, slots=True)
class DayNote:
    """One calendar day: counted, or why not. `name` is the holiday behind it, if any, Chinese and English."""

    day: date
    counted: bool
    reason: Reason
    name: str | None = None
    is_provisional: bool = False


class StoredDay(TypedDict):
    """A `DayNote` as JSON."""

    day: str
    counted: bool
    reason: str
    name: str | None
    is_provisional: bool


class StoredDeadline(TypedDict):
    """A `Deadline` as JSON."""

    at: str
    is_provisional: bool
    days: list[StoredDay]


@dataclass(frozen=True, slots=True)
class Deadline:
    """An aware instant, whether a notice may still move it, and every day from day 0 to its own."""

    at: datetime
    is_provisional: bool
    days: tuple[DayNote, ...]

    @property
    def day(self) -> date:
        """The Shanghai date of the deadline."""
        return self.at.astimezone(ZONE).date()

    def to_json(self) -> StoredDeadline:
        """The deadline as JSON, to be stored with a ticket as it was."""
        days = [cast(StoredDay, {**asdict(note), "day": note.day.isoformat()}) for note in self.days]
        return {"at": self.at.isoformat(), "is_provisional": self.is_provisional, "days": days}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Deadline":
        """The deadline that `to_json` stored."""
        days = (DayNote(**note | {"day": date.fromisoformat(note["day"])}) for note in stored["days"])
        at = datetime.fromisoformat(stored["at"]).astimezone(ZONE)
        return cls(at, stored["is_provisional"], tuple(days))
