"""A feed read from an operator's own database: the rows of one query, spooled in batches as text."""

import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from include.config.readers.sources import FeedContract
from include.domain.errors import BadInput, NotReady
from include.domain.periods.months import ZONE, first_day, shift
from include.stages.collection.reader.batch import BATCH_ROWS, SPOOL, SPOOLED_HEADER
from include.stages.collection.sources.delivery import Delivery, DeliveryKey, days_of

_PARAMETER = re.compile(r"(?<!:):(month|day|first_day|next_month|next_day)\b")
_SUM = 2**256

# The last week may still have got late rows; what lies longer back than this comes as files.
_WEEK, _DAYS_ASKED = 7, 62


class Connection(Protocol):
    """An open DBAPI connection (PEP 249), in whatever driver."""

    def cursor(self, *named: str) -> Any: ...
    def rollback(self) -> None: ...


def spooled(connection: Connection, contract: FeedContract, period: str, folder: Path) -> Delivery:
    """The month or day of a feed as its query gives it, written below `folder` as one delivery of one file.

    The order of the rows does not count for its fingerprint. BadInput for a period that is not asked for;
    NotReady in the words of the database when the query fails.
    """
    key, by = DeliveryKey(contract.name, period), contract.asked_by
    if by != ("day" if key.is_day else "month"):
        raise BadInput(f"{key.feed} is read by SQL {by} by {by}, not for {period}. Give a {by}.")
    target = folder / key.folder / f"{key.feed}{SPOOL}"
    target.mkdir(parents=True)
    driver = sys.modules[type(connection).__module__.partition(".")[0]]
    statement, values = bound(contract.query, period, driver.paramstyle)
    try:
        content = _spool(_batches(_cursor(connection), statement, values), target)
        connection.rollback()
    except driver.Error as error:
        cause = " ".join(str(error).split())[:300]
        raise NotReady(
            f"The query for {key.feed} of {period} failed: {cause}. Mend it in sources.yaml, or the database."
        ) from None
    return Delivery(key, target.parent, (target,), (), is_complete=False, content=content)


def days_asked(last: str | None, as_of: datetime) -> list[str]:
    """The days over by `as_of` that a query is asked for: the last week, and all since the `last` one known.

    A day asked again costs a query and changes nothing, unless rows came late.
    """
    yesterday = as_of.astimezone(ZONE).date() - timedelta(days=1)
    first = yesterday - timedelta(days=_WEEK - 1)
    if last is not None:
        first = max(yesterday - timedelta(days=_DAYS_ASKED - 1), min(first, date.fromisoformat(last)))
    return [(first + timedelta(days=nth)).isoformat() for nth in range((yesterday - first).days + 1)]


def bound(query: str, period: str, paramstyle: str) -> tuple[str, Any]:
    """The query and its values for a month or day as a driver of this `paramstyle` wants them."""
    month, (first, last) = period[:7], days_of(period)
    named = {"month": month, "day": period, "first_day": first}
    named |= {"next_month": first_day(shift(month, 1)), "next_day": last + timedelta(days=1)}
    asked = [found[1] for found in _PARAMETER.finditer(query)]
    if paramstyle in ("pyformat", "format"):
        query = query.replace("%", "%%")
    write: Callable[[int, str], str] = {
        "named": lambda nth, name: f":{name}",
        "pyformat": lambda nth, name: f"%({name})s",
        "format": lambda nth, name: "%s",
        "qmark": lambda nth, name: "?",
        "numeric": lambda nth, name: f":{nth}",
    }[paramstyle]
    nths = iter(range(1, len(asked) + 1))
    statement = _PARAMETER.sub(lambda found: write(next(nths), found[1]), query)
    by_name = paramstyle in ("named", "pyformat")
    return statement, {name: named[name] for name in asked} if by_name else [named[name] for name in asked]


def _cursor(connection: Connection) -> Any:
    """A cursor that does not load the whole result: PostgreSQL's drivers do, unless it has a name."""
    is_postgres = type(connection).__module__.startswith("psycopg")
    return connection.cursor("collection") if is_postgres else connection.cursor()


def _batches(cursor: Any, statement: str, values: Any) -> Iterator[tuple[list[str], list[Sequence[Any]]]]:
    """Header and rows, batch by batch; at least one batch, so that an empty result has its header."""
    cursor.execute(statement, values)
    rows = cursor.fetchmany(BATCH_ROWS)
    header = [str(column[0]) for column in cursor.description]
    yield header, rows
    while rows:
        rows = cursor.fetchmany(BATCH_ROWS)
        if rows:
            yield header, rows
    cursor.close()


def _spool(batches: Iterator[tuple[list[str], list[Sequence[Any]]]], target: Path) -> str:
    """Write the batches as Parquet files of text; return a hash over header and rows in any order."""
    header: list[str] = []
    iso: set[int] = set()
    total = count = 0
    for nth, (header, rows) in enumerate(batches):
        iso |= {at for row in rows for at, value in enumerate(row) if isinstance(value, date)}
        texts = [[as_text(value) for value in row] for row in rows]
        schema = {str(at): pl.String for at in range(len(header))}
        pl.DataFrame(texts, schema=schema, orient="row").write_parquet(target / f"{nth:06d}.parquet")
        total = (total + sum(map(_hashed, texts))) % _SUM
        count += len(rows)
    columns = {"header": header, "iso": [header[at] for at in sorted(iso)]}
    (target / SPOOLED_HEADER).write_text(json.dumps(columns), "utf-8")
    return hashlib.sha256(f"{header} {count} {total}".encode()).hexdigest()


def _hashed(texts: list[str | None]) -> int:
    return int.from_bytes(hashlib.sha256(json.dumps(texts).encode()).digest(), "big")


def as_text(value: Any) -> str | None:
    """A value of a driver as the text a file would hold."""
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case Decimal():
            return f"{value:f}"
        case datetime() | date() | time():
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            return bytes(value).decode("utf-8", "backslashreplace")
    return str(value)
