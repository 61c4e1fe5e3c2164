"""Going on without a file, or with an incomplete delivery: what a person decided, for these very bytes alone."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from include.config.readers.sources import Sources
from include.database.queries import load
from include.domain.errors import BadInput, NotReady
from include.stages.collection.sources.landing_folder import Delivery, is_day, written

#: In place of a file's name: the delivery as a whole, incomplete as it is.
WHOLE = ""

#: By feed and period, the (file, fingerprint) pairs that are gone without.
Approved = dict[tuple[str, str], set[tuple[str, str]]]


class FileAtFault(BadInput):
    """A file of a delivery that stops its collection."""

    def __init__(self, sentence: str, file: str) -> None:
        super().__init__(sentence)
        self.file = file


class Incomplete(NotReady):
    """A delivery of which not all has come."""


@dataclass(frozen=True)
class Gap:
    """One decision: which file (or WHOLE) of which delivery, as it was then, and how many rows it held."""

    feed: str
    period: str
    file: str
    fingerprint: str
    rows_left_out: int | None


def approved(db: Connection) -> Approved:
    """Every decision in force."""
    found: Approved = {}
    for row in db.execute(load("stages/collection")["gaps_in_force"]):
        found.setdefault((row.feed, row.period), set()).add((row.file, row.fingerprint))
    return found


def applied(delivery: Delivery, decided: Approved) -> Delivery:
    """The delivery without the files a person decided to go on without."""
    pairs = decided.get((delivery.feed, delivery.period), set())
    names = {file for file, _ in pairs}
    files = [path for path in delivery.files if written(path.name) in names]
    left = [path for path in files if (written(path.name), file_fingerprint(path)) in pairs]
    as_is = WHOLE in names and (WHOLE, delivery.fingerprint("")) in pairs
    return replace(
        delivery,
        files=tuple(path for path in delivery.files if path not in left),
        left_out=tuple(written(path.name) for path in left),
        is_taken_as_is=as_is,
    )


def file_fingerprint(path: Path) -> str:
    """The SHA-256 of a file; of its name, size and time of change when it cannot be read."""
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError:
        stat = path.stat()
        return hashlib.sha256(f"{path.name} {stat.st_size} {stat.st_mtime_ns}".encode()).hexdigest()


@contextmanager
def at_fault(path: Path) -> Iterator[None]:
    """Whatever is wrong meanwhile is this file's fault."""
    try:
        yield
    except BadInput as error:
        raise FileAtFault(str(error), written(path.name)) from None


@contextmanager
def advised(feed: str, period: str, sources: Sources, files: int) -> Iterator[None]:
    """Tell, with what stops a delivery of so many `files`, how to go on without it."""
    try:
        yield
    except FileAtFault as error:
        if sources.feeds[feed].required and files < 2:
            raise BadInput(str(error)) from None
        raise BadInput(f"{error} Or go on without it: {_command(feed, period, error.file)}") from None
    except Incomplete as error:
        raise NotReady(f"{error} Or take it as it is: {_command(feed, period, WHOLE)}") from None


def _command(feed: str, period: str, file: str) -> str:
    named = f" --file '{file}'" if file else ""
    word = "day" if is_day(period) else "month"
    asked = f"--{word} {period} --feed {feed}{named} --by NAME --because WHY"
    return f"python -m include.commands.quarantine continue {asked}."


def approve(db: Connection, gap: Gap, by: str, because: str, now: datetime) -> None:
    """Record the decision, once; the caller has begun the transaction."""
    values = {**vars(gap), "by": by, "because": because, "now": now}
    db.execute(load("stages/collection")["approve_gap"], values)
    db.execute(load("stages/collection")["audit_gap"], values)


def keep_in_force(db: Connection, delivery: Delivery, now: datetime) -> None:
    """End the decisions about other files than those that the collected delivery really went without."""
    kept = [*delivery.left_out, *([WHOLE] if delivery.is_taken_as_is else [])]
    values = {"feed": delivery.feed, "period": delivery.period, "kept": kept, "now": now}
    db.execute(load("stages/collection")["supersede_gaps"], values)


def of_month(db: Connection, month: str) -> list[dict[str, Any]]:
    """The decisions in force for a month: feed, period, file, rows (None when not counted), by, because, at."""
    rows = db.execute(load("stages/collection")["gaps_of_month"], {"month": month}).mappings()
    return [{**row, "at": row["at"].isoformat()} for row in rows]


def described(gap: dict[str, Any]) -> str:
    """One decision as a sentence without its stop."""
    rows = "rows not counted" if gap["rows"] is None else f"{gap['rows']:,} rows"
    what = f"without {gap['file']} ({rows})" if gap["file"] else "though its delivery is incomplete"
    return f"{gap['feed']} of {gap['period']} goes on {what}, decided by {gap['by']}: {gap['because']}"
