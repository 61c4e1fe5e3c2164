"""Going on without a file, or with an incomplete delivery: what a person decided, for these very bytes alone."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from include.database.queries import load
from include.domain.errors import BadInput, NotReady
from include.stages.collection.results import WaiverInForce
from include.stages.collection.sources.delivery import Delivery, DeliveryKey, written

#: In place of a file's name: the delivery as a whole, incomplete as it is.
WHOLE = ""

#: By delivery, the (file, fingerprint) pairs that are gone without.
Waivers = dict[DeliveryKey, set[tuple[str, str]]]


class FileAtFault(BadInput):
    """A file of a delivery that stops its collection."""

    def __init__(self, sentence: str, file: str) -> None:
        super().__init__(sentence)
        self.file = file


class Incomplete(NotReady):
    """A delivery of which not all has come."""


@dataclass(frozen=True)
class Waiver:
    """What is gone without: which file (or WHOLE) of which delivery, as it was then, and how many rows it held."""

    key: DeliveryKey
    file: str
    fingerprint: str
    rows_left_out: int | None


@dataclass(frozen=True)
class Decision:
    """Who decided to go on without something, why, and when."""

    by: str
    because: str
    at: datetime


def in_force(db: Connection) -> Waivers:
    """Every waiver in force."""
    found: Waivers = {}
    for row in db.execute(load("stages/collection")["gaps_in_force"]):
        found.setdefault(DeliveryKey(row.feed, row.period), set()).add((row.file, row.fingerprint))
    return found


def applied(delivery: Delivery, waivers: Waivers) -> Delivery:
    """The delivery without the files a person decided to go on without."""
    pairs = waivers.get(delivery.key, set())
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
def advised(delivery: Delivery, *, is_required: bool) -> Iterator[None]:
    """Tell, with what stops a delivery, how to go on without it; the only file of a required one cannot be waived."""
    try:
        yield
    except FileAtFault as error:
        if is_required and len(delivery.files) < 2:
            raise BadInput(str(error)) from None
        raise BadInput(f"{error} Or go on without it: {_command(delivery.key, error.file)}") from None
    except Incomplete as error:
        raise NotReady(f"{error} Or take it as it is: {_command(delivery.key, WHOLE)}") from None


def _command(key: DeliveryKey, file: str) -> str:
    named = f" --file '{file}'" if file else ""
    word = "day" if key.is_day else "month"
    asked = f"--{word} {key.period} --feed {key.feed}{named} --by NAME --because WHY"
    return f"python -m include.commands.quarantine continue {asked}."


def record(db: Connection, waiver: Waiver, decision: Decision) -> None:
    """Record the decision, once; the caller has begun the transaction."""
    what = {"feed": waiver.key.feed, "period": waiver.key.period, "file": waiver.file}
    what |= {"fingerprint": waiver.fingerprint}
    values = {**what, "by": decision.by, "because": decision.because, "now": decision.at}
    queries = load("stages/collection")
    db.execute(queries["approve_gap"], {**values, "rows_left_out": waiver.rows_left_out})
    db.execute(queries["audit_gap"], values)


def keep_in_force(db: Connection, delivery: Delivery, now: datetime) -> None:
    """End the waivers of other files than those that the collected delivery really went without."""
    kept = [*delivery.left_out, *([WHOLE] if delivery.is_taken_as_is else [])]
    values = {"feed": delivery.key.feed, "period": delivery.key.period, "kept": kept, "now": now}
    db.execute(load("stages/collection")["supersede_gaps"], values)


def of_month(db: Connection, month: str) -> list[WaiverInForce]:
    """The waivers in force for a month, in order of feed, period and file."""
    return [
        WaiverInForce(
            feed=row.feed,
            period=row.period,
            file=row.file,
            rows=row.rows,
            by=row.by,
            because=row.because,
            at=row.at.isoformat(),
        )
        for row in db.execute(load("stages/collection")["gaps_of_month"], {"month": month})
    ]


def as_reported(waiver: Waiver, decision: Decision) -> WaiverInForce:
    """A waiver and who decided it, as reports tell of them."""
    return WaiverInForce(
        feed=waiver.key.feed,
        period=waiver.key.period,
        file=waiver.file,
        rows=waiver.rows_left_out,
        by=decision.by,
        because=decision.because,
        at=decision.at.isoformat(),
    )


def described(waiver: WaiverInForce) -> str:
    """One waiver as a sentence without its stop."""
    rows = "rows not counted" if waiver["rows"] is None else f"{waiver['rows']:,} rows"
    what = f"without {waiver['file']} ({rows})" if waiver["file"] else "though its delivery is incomplete"
    about = f"{waiver['feed']} of {waiver['period']}"
    return f"{about} goes on {what}, decided by {waiver['by']}: {waiver['because']}"
