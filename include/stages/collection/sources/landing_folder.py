"""What lies in the landing folder: deliveries of a feed and period, known by the content of their files."""

import gzip
import hashlib
import re
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl

from include.config.readers.sources import Sources
from include.domain.errors import BadInput, NotReady
from include.domain.periods.months import ZONE, first_day, last_day, month_start, parse_month

COMPLETE = "_COMPLETE"
MANIFEST = "_MANIFEST.csv"
READABLE = (".csv", ".csv.gz", ".parquet")

# The last week may still have got late rows; what lies longer back than this comes as files.
_WEEK, _DAYS_ASKED = 7, 62

_FOLDER = re.compile(r"(month|day)=(.*)")


@dataclass(frozen=True)
class Delivery:
    """The files of one feed and period ("2026-10" or "2026-10-03") in the landing folder.

    `content` is the hash of rows that a query gave instead of files. `left_out` names files that a person
    decided to go on without; they are not among `files`.
    """

    feed: str
    period: str
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
        return f"{self.feed}/{self.folder.name}"

    def state(self) -> tuple[tuple[str, int, int], ...]:
        """Name, size and time of change of each file: differs when somebody writes while we read."""
        listed = [self.folder / MANIFEST] if self.has_manifest else []
        with self._told_plainly():
            told = [(path.name, path.stat()) for path in (*self.files, *listed)]
        return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in told)

    def fingerprint(self, declared: str) -> str:
        """Names, sizes and contents of the files, the marker, and how the feed is declared."""
        digest = hashlib.sha256(f"{declared} {self.is_complete}{self.content}".encode())
        if self.content:
            return digest.hexdigest()
        for path in self.files:
            with self._told_plainly(), path.open("rb") as content:
                hashed = hashlib.file_digest(content, "sha256").hexdigest()
                size = content.tell()
            digest.update(f"\n{written(path.name)}\0{size}\0{hashed}".encode())
        if self.has_manifest:
            digest.update((self.folder / MANIFEST).read_bytes())
        if self.left_out:
            digest.update(f"\nwithout {self.left_out}".encode())
        return digest.hexdigest()

    @contextmanager
    def _told_plainly(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            cause = error.strerror or type(error).__name__
            raise NotReady(f"A file of {self.name} cannot be read: {cause}. Deliver it again.") from None


def found(landing: Path, sources: Sources, feeds: Collection[str] | None = None) -> list[Delivery]:
    """Every delivery (of `feeds` alone, when given) with a readable file, in order of period and feed.

    BadInput for a misnamed folder.
    """
    if not landing.is_dir():
        raise NotReady(f"There is no landing folder {landing}. Make it, or name another.")
    deliveries = [
        _open(folder, feed, period)
        for feed, declared in sources.feeds.items()
        if feeds is None or feed in feeds
        for folder in sorted((landing / feed).glob("*=*"))
        if folder.is_dir() and (period := _period_of(folder, feed, declared.periods))
    ]
    return sorted((d for d in deliveries if d.files), key=lambda d: (d.period, d.feed))


def expected_subscribers(landing: Path, sources: Sources) -> int:
    """About how many subscribers the newest delivered profile holds: what a new lake is laid out for."""
    profiles = [delivery for delivery in found(landing, sources) if delivery.feed == "subscribers"]
    return sum(map(_rows_about, profiles[-1].files)) if profiles else 0


def _rows_about(path: Path) -> int:
    """About how many rows a file holds; 0 when it is damaged, which collection will tell."""
    name = path.name.lower()
    try:
        if name.endswith(".parquet"):
            return int(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item())
        opener = gzip.open if name.endswith(".gz") else Path.open
        with opener(path, "rb") as content:
            return sum(piece.count(b"\n") for piece in iter(lambda: content.read(1 << 20), b""))
    except (OSError, EOFError, zlib.error, pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return 0


def named(landing: Path, sources: Sources, feed: str, period: str) -> Delivery:
    """The delivery of `feed` and `period`; NotReady when it has no readable file."""
    if feed not in sources.feeds:
        raise BadInput(f"'{feed}' is no feed. Known: {', '.join(sources.feeds)}.")
    word = "day" if is_day(period) else "month"
    folder = landing / feed / f"{word}={period}"
    _period_of(folder, feed, sources.feeds[feed].periods)
    delivery = _open(folder, feed, period)
    if not delivery.files:
        kinds = ", ".join(READABLE)
        raise NotReady(f"No files in {feed}/{word}={period}. Deliver {kinds} files there first.")
    return delivery


def is_landed(landing: Path, feed: str, period: str) -> bool:
    """Whether files of the feed and period lie in the landing folder."""
    word = "day" if is_day(period) else "month"
    return bool(_open(landing / feed / f"{word}={period}", feed, period).files)


def is_day(period: str) -> bool:
    """Whether a period is a day rather than a month."""
    return len(period) > len("2026-10")


def window(period: str) -> tuple[date, date]:
    """First and last day of a period."""
    if is_day(period):
        return date.fromisoformat(period), date.fromisoformat(period)
    return first_day(period), last_day(period)


def starts_before(period: str, as_of: datetime) -> bool:
    """Whether a period begins, in Shanghai, before `as_of`."""
    start = window(period)[0]
    return month_start(period[:7]) + timedelta(days=start.day - 1) < as_of


def days_asked(last: str | None, as_of: datetime) -> list[str]:
    """The days over by `as_of` that a query is asked for: the last week, and all since the `last` one known.

    A day asked again costs a query and changes nothing, unless rows came late.
    """
    yesterday = as_of.astimezone(ZONE).date() - timedelta(days=1)
    first = yesterday - timedelta(days=_WEEK - 1)
    if last is not None:
        first = max(yesterday - timedelta(days=_DAYS_ASKED - 1), min(first, date.fromisoformat(last)))
    return [(first + timedelta(days=nth)).isoformat() for nth in range((yesterday - first).days + 1)]


def written(name: str) -> str:
    """A file name as text that any database and file can hold, even when it is not UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


def _open(folder: Path, feed: str, period: str) -> Delivery:
    present = sorted(folder.iterdir()) if folder.is_dir() else []
    visible = [path for path in present if path.is_file() and not path.name.startswith((".", "_"))]
    files = tuple(path for path in visible if path.name.lower().endswith(READABLE))
    others = tuple(written(path.name) for path in visible if path not in files)
    return Delivery(feed, period, folder, files, others, (folder / COMPLETE).exists())


def _period_of(folder: Path, feed: str, allowed: tuple[str, ...]) -> str:
    matched = _FOLDER.fullmatch(folder.name)
    word, period = matched.groups() if matched else ("", "")
    try:
        if word == "day" and date.fromisoformat(period).isoformat() != period:
            raise ValueError
        parse_month(period[:7] if word == "day" else period)
    except (ValueError, BadInput):
        raise BadInput(
            f"{feed}/{folder.name} names no period. Call the folder month=2026-10 or day=2026-10-03."
        ) from None
    if word not in allowed:
        by = " or ".join(allowed)
        raise BadInput(f"{feed} is delivered by {by}. Move the files of {feed}/{folder.name}.")
    return period
