"""A delivery: the files, or the rows of a query, of one feed and period, known by their content."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from include.domain.errors import NotReady
from include.domain.periods.months import first_day, last_day, month_start

COMPLETE = "_COMPLETE"
MANIFEST = "_MANIFEST.csv"


class DeliveryKey(NamedTuple):
    """Which delivery: its feed and period, a month ("2026-10") or a day ("2026-10-03")."""

    feed: str
    period: str

    @property
    def is_day(self) -> bool:
        """Whether the period is a day rather than a month."""
        return len(self.period) > len("2026-10")

    @property
    def month(self) -> str:
        """The month of the lake it belongs to."""
        return self.period[:7]

    @property
    def day(self) -> str | None:
        """The day, None for a whole month."""
        return self.period if self.is_day else None

    @property
    def of_month(self) -> "DeliveryKey":
        """The delivery of the whole month."""
        return DeliveryKey(self.feed, self.month)

    @property
    def folder(self) -> str:
        """What its folder is called below that of the feed."""
        return f"{'day' if self.is_day else 'month'}={self.period}"

    @property
    def name(self) -> str:
        """Feed and folder, as people are told of it."""
        return f"{self.feed}/{self.folder}"

    @property
    def days(self) -> tuple[date, date]:
        """First and last day of the period."""
        return days_of(self.period)

    def starts_before(self, as_of: datetime) -> bool:
        """Whether the period begins, in Shanghai, before `as_of`."""
        return month_start(self.month) + timedelta(days=self.days[0].day - 1) < as_of


@dataclass(frozen=True)
class Delivery:
    """The files of one feed and period in the landing folder.

    `content` is the hash of rows that a query gave instead of files. `left_out` names files that a person
    decided to go on without; they are not among `files`.
    """

    key: DeliveryKey
    folder: Path
    files: tuple[Path, ...]
    others: tuple[str, ...]
    is_complete: bool
    content: str = ""
    left_out: tuple[str, ...] = ()
    is_taken_as_is: bool = False

    @property
    def has_manifest(self) -> bool:
        return (self.folder / MANIFEST).is_file()

    @property
    def name(self) -> str:
        return self.key.name

    def state(self) -> tuple[tuple[str, int, int], ...]:
        """Name, size and time of change of each file: differs when somebody writes while we read."""
        listed = [self.folder / MANIFEST] if self.has_manifest else []
        with self._not_ready_when_unreadable():
            stats = [(path.name, path.stat()) for path in (*self.files, *listed)]
        return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)

    def fingerprint(self, declared: str) -> str:
        """Names, sizes and contents of the files, the marker, and how the feed is declared."""
        digest = hashlib.sha256(f"{declared} {self.is_complete}{self.content}".encode())
        if self.content:
            return digest.hexdigest()
        for path in self.files:
            with self._not_ready_when_unreadable(), path.open("rb") as content:
                hashed = hashlib.file_digest(content, "sha256").hexdigest()
                size = content.tell()
            digest.update(f"\n{written(path.name)}\0{size}\0{hashed}".encode())
        if self.has_manifest:
            digest.update((self.folder / MANIFEST).read_bytes())
        if self.left_out:
            digest.update(f"\nwithout {self.left_out}".encode())
        return digest.hexdigest()

    @contextmanager
    def _not_ready_when_unreadable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            cause = error.strerror or type(error).__name__
            raise NotReady(f"A file of {self.name} cannot be read: {cause}. Deliver it again.") from None


def days_of(period: str) -> tuple[date, date]:
    """First and last day of a month ("2026-10"), or a day ("2026-10-03") twice."""
    if len(period) > len("2026-10"):
        return date.fromisoformat(period), date.fromisoformat(period)
    return first_day(period), last_day(period)


def written(name: str) -> str:
    """A file name as text that any database and file can hold, even when it is not UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()
