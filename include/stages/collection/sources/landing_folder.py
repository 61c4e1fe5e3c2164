"""What lies in the landing folder: a folder per feed, in it one per month or day, in that the files."""

import gzip
import re
import zlib
from collections.abc import Collection
from datetime import date
from pathlib import Path

import polars as pl

from include.config.readers.sources import Sources
from include.domain.errors import BadInput, NotReady
from include.domain.periods.months import parse_month
from include.stages.collection.sources.delivery import COMPLETE, Delivery, DeliveryKey, written

READABLE = (".csv", ".csv.gz", ".parquet")

_FOLDER = re.compile(r"(month|day)=(.*)")


def found(landing: Path, sources: Sources, feeds: Collection[str] | None = None) -> list[Delivery]:
    """Every delivery (of `feeds` alone, when given) with a readable file, in order of period and feed.

    BadInput for a misnamed folder.
    """
    if not landing.is_dir():
        raise NotReady(f"There is no landing folder {landing}. Make it, or name another.")
    deliveries = [
        _open(folder, key)
        for name, declared in sources.feeds.items()
        if feeds is None or name in feeds
        for folder in sorted((landing / name).glob("*=*"))
        if folder.is_dir() and (key := _key_of(folder, declared.periods))
    ]
    return sorted(
        (each for each in deliveries if each.files), key=lambda each: (each.key.period, each.key.feed)
    )


def expected_subscribers(landing: Path, sources: Sources) -> int:
    """About how many subscribers the newest delivered profile holds: what a new lake is laid out for."""
    profiles = [delivery for delivery in found(landing, sources) if delivery.key.feed == "subscribers"]
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


def named(landing: Path, sources: Sources, key: DeliveryKey) -> Delivery:
    """The delivery of a feed and period; NotReady when it has no readable file."""
    if key.feed not in sources.feeds:
        raise BadInput(f"'{key.feed}' is no feed. Known: {', '.join(sources.feeds)}.")
    folder = landing / key.feed / key.folder
    _key_of(folder, sources.feeds[key.feed].periods)
    delivery = _open(folder, key)
    if not delivery.files:
        raise NotReady(f"No files in {key.name}. Deliver {', '.join(READABLE)} files there first.")
    return delivery


def is_landed(landing: Path, key: DeliveryKey) -> bool:
    """Whether files of the feed and period lie in the landing folder."""
    return bool(_open(landing / key.feed / key.folder, key).files)


def _open(folder: Path, key: DeliveryKey) -> Delivery:
    present = sorted(folder.iterdir()) if folder.is_dir() else []
    visible = [path for path in present if path.is_file() and not path.name.startswith((".", "_"))]
    files = tuple(path for path in visible if path.name.lower().endswith(READABLE))
    others = tuple(written(path.name) for path in visible if path not in files)
    return Delivery(key, folder, files, others, (folder / COMPLETE).exists())


def _key_of(folder: Path, allowed: tuple[str, ...]) -> DeliveryKey:
    """Which delivery a folder below that of its feed holds; BadInput when it names no period that is `allowed`."""
    name = folder.parent.name
    matched = _FOLDER.fullmatch(folder.name)
    word, period = matched.groups() if matched else ("", "")
    try:
        if word == "day" and date.fromisoformat(period).isoformat() != period:
            raise ValueError
        parse_month(period[:7] if word == "day" else period)
    except (ValueError, BadInput):
        raise BadInput(
            f"{name}/{folder.name} names no period. Call the folder month=2026-10 or day=2026-10-03."
        ) from None
    if word not in allowed:
        by = " or ".join(allowed)
        raise BadInput(f"{name} is delivered by {by}. Move the files of {name}/{folder.name}.")
    return DeliveryKey(name, period)
