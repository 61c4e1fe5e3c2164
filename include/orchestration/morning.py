"""The day feeds come in and reach the tickets: in the morning before tickets are handed out, and through the day."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired, cast

from include import settings
from include.domain.day_feeds import FEEDS
from include.domain.errors import BadInput, LoopError, NotReady
from include.domain.row_counts import RowCounts, added
from include.orchestration import Workplace, logged, workplace
from include.orchestration.deliveries import site_of

if TYPE_CHECKING:  # heavy: a look at the landing folder must cost nothing
    from collections.abc import Collection, Iterable, Mapping

    from sqlalchemy import TextClause

    from include.run.results import Counts
    from include.stages.collection.results import Collected, PlannedDelivery
    from include.stages.limits import Limited

_NO_LAKE = "There is no lake yet; the first run of a campaign makes one."


class DaysCollected(RowCounts):
    """What was collected of the day feeds; `message` says why nothing could be."""

    stage: str
    deliveries: NotRequired[int]
    message: NotRequired[str]


def look() -> str | None:
    """What lies in the landing folders of the day feeds, when it is not what was taken in last; leaves a heartbeat.

    Files alone are looked at, by name, size and times: nothing is read, and no database of the operator asked.
    """
    with workplace() as place:
        landed = _landed(place.landing)
        with place.db.begin():
            taken = place.db.execute(_statements()["look"], {"now": place.now}).scalar_one()
        return None if landed == taken else landed


def collect_days() -> DaysCollected:
    """Collect what has landed of the day feeds; one failure stops no other delivery, but is told at the end."""
    return _collect("Until then nothing is released.")


def collect_landed(landed: str) -> DaysCollected:
    """The same through the day, of files alone: databases are asked in the morning, for days that are over."""
    return _collect("Until then tickets go by what else is known.", landed)


def _collect(meanwhile: str, landed: str | None = None) -> DaysCollected:
    """Collect the day feeds; where files have `landed`, those alone."""
    from include.stages import collection
    from include.stages.collection import known_ids

    with workplace() as place:
        if not _has_lake():
            return {"stage": "collection", "rows_in": 0, "rows_out": 0, "quarantined": 0, "message": _NO_LAKE}
        queried = None if landed is None else ()
        planned = collection.plan(site_of(place), as_of=place.now, queried=queried, feeds=FEEDS)
        done, failed = _tried(place, planned)
        try:
            known_ids.measure(place.db, place.lake, place.config, feeds=FEEDS)
        except LoopError as error:
            failed.append(error)
        if landed:
            _note(place, "tried", landed)
        if failed:
            kind = NotReady if all(isinstance(error, NotReady) for error in failed) else BadInput
            raise kind(f"{' '.join(map(str, failed))} {meanwhile}")
        return _in_all(done)


def _in_all(done: "Collection[Collected]") -> DaysCollected:
    return cast(DaysCollected, {"stage": "collection", "deliveries": len(done), **added(done)})


def _tried(
    place: Workplace, planned: "Iterable[PlannedDelivery]"
) -> "tuple[list[Collected], list[LoopError]]":
    """What was collected, and why not the rest."""
    from include.stages import collection

    done: list[Collected] = []
    failed: list[LoopError] = []
    for delivery in planned:
        key = collection.DeliveryKey(delivery["feed"], delivery["period"])
        try:
            site = site_of(place, place.connections(key.feed))
            started = time.monotonic()
            done.append(collection.collect(site, key))
            logged(done[-1], started)
        except LoopError as error:
            failed.append(error)
    return done, failed


def process_limits(landed: str | None = None) -> "Limited | Counts":
    """Cancel, freeze and unfreeze tickets by what is known now; then what had `landed` (see look) is taken in.

    A delivery that could not be read is tried again when something lands; one that nothing came to try, and
    what is dated ahead of now, at the next look.
    """
    from include.stages import limits

    with workplace() as place:
        if not _has_lake():
            return {"stage": "limits", "rows_in": 0, "rows_out": 0, "message": _NO_LAKE}
        started = time.monotonic()
        limited = limits.process(db=place.db, lake=place.lake, config=place.config, now=place.now)
        result = logged(limited, started)
        if landed and not result["ahead"]:
            _note(place, "processed", landed)
        return result


def _note(place: Workplace, step: str, landed: str) -> None:
    with place.db.begin():
        place.db.execute(_statements()["note_landed"], {"step": step, "landed": landed})


def _has_lake() -> bool:
    from include.lake import Lake

    return Lake.exists(settings.lake_root())


def _statements() -> "Mapping[str, TextClause]":
    from include.database.queries import load

    return load("stages/limits")


def _landed(landing: Path) -> str:
    """A fingerprint of the files of the day feeds; nothing can be written, replaced or renamed without changing it."""
    return hashlib.sha256("\n".join(_files(landing)).encode("utf-8", "backslashreplace")).hexdigest()


def _files(landing: Path) -> Iterator[str]:
    for feed in FEEDS:
        for path in sorted((landing / feed).glob("*=*/*")):
            try:
                stat = path.stat()
            except FileNotFoundError:  # taken away or renamed meanwhile: the next look sees what stands
                continue
            yield f"{feed}/{path.parent.name}/{path.name} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"
