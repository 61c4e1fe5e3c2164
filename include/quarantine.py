"""What was put aside from the deliveries that stand for a month, as a table; and the choice to go on without.

python -m include.quarantine --month YYYY-MM [--db URL]
python -m include.quarantine continue (--month YYYY-MM | --day YYYY-MM-DD) --feed FEED [--file NAME] --by WHO
    --because WHY [--landing DIR] [--db URL] [--now ISO]
"""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from include import database, settings
from include.command import in_columns
from include.config import load_config
from include.config.sources import Sources
from include.domain.errors import BadInput, LoopError
from include.domain.months import ZONE, parse_instant, parse_month
from include.queries import load
from include.stages.collection import deliveries, gaps
from include.stages.collection.records import batches

_HEADER = ("feed", "period", "file", "column", "reason", "rows", "first line")
_CONTINUE = "continue"


def put_aside(db: sa.Connection, month: str) -> list[tuple[str, ...]]:
    """Feed, period, file, column, reason, rows and first line of a month's quarantine, worst first."""
    with db.begin():
        found = db.execute(load("collection")["quarantine_of_month"], {"month": month}).all()
    return [
        (row.feed, row.period, row.file, row.column_name, row.reason, f"{row.rows:,}", _line(row.first_line))
        for row in found
    ]


def go_on(
    *, db: sa.Connection, sources: Sources, landing: Path, feed: str, period: str, file: str | None,
    by: str, because: str, now: datetime,
) -> str:  # fmt: skip
    """Record that a delivery is collected without `file`, or without one incomplete as it is; told in a sentence.

    The decision is about the file's bytes: delivered anew, it is read again. BadInput for an unknown file, and
    for the only file of a feed that a month cannot do without.
    """
    if not (by.strip() and because.strip()):
        raise BadInput("Who decides, and why, must be said. Give --by and --because.")
    delivery = deliveries.named(landing, sources, feed, period)
    gap = _whole(delivery) if file is None else _one(delivery, sources, file)
    with db.begin():
        gaps.approve(db, gap, by.strip(), because.strip(), now)
    told = {**vars(gap), "rows": gap.rows_left_out, "by": by.strip(), "because": because.strip()}
    return f"{gaps.described(told)}. Clear the failed task, or run again."


def _whole(delivery: deliveries.Delivery) -> gaps.Gap:
    return gaps.Gap(delivery.feed, delivery.period, gaps.WHOLE, delivery.fingerprint(""), None)


def _one(delivery: deliveries.Delivery, sources: Sources, file: str) -> gaps.Gap:
    paths = {deliveries.written(path.name): path for path in delivery.files}
    if file not in paths:
        raise BadInput(f"{delivery.name} has no file {file}, only {', '.join(paths)}. Name one of them.")
    declared = sources.feeds[delivery.feed]
    if declared.required and len(paths) == 1:
        raise BadInput(f"{file} is all there is of {delivery.name}, which the loop needs. Deliver it again.")
    rows: int | None
    try:
        read = batches(paths[file], declared.columns, declared.dialect)
        rows = sum(batch.rows.height + batch.broken.height for batch in read)
    except LoopError:
        rows = None  # it cannot even be counted
    return gaps.Gap(delivery.feed, delivery.period, file, gaps.file_fingerprint(paths[file]), rows)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns as wide as their widest cell; Chinese characters take two places."""
    return in_columns([_HEADER, *rows])


def _line(first: int | None) -> str:
    return "" if first is None else f"{first:,}"


def main(words: list[str] | None = None) -> int:
    """Run the command; the exit status is 1, after one sentence on stderr, when a person must act."""
    given = sys.argv[1:] if words is None else words
    try:
        print(_continued(given[1:]) if given[:1] == [_CONTINUE] else _shown(given))
    except LoopError as error:
        return _told_as_failure(type(error).__name__, str(error))
    except sa.exc.OperationalError as error:
        cause = str(error.orig).splitlines()[0]
        return _told_as_failure(
            "BadInput", f"The operations database cannot be reached: {cause}. Look at --db."
        )
    except OSError as error:
        cause = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
        return _told_as_failure(type(error).__name__, f"{cause}. Mend the folder, or name another.")
    return 0


def _told_as_failure(kind: str, sentence: str) -> int:
    print(f"{kind}: {' '.join(sentence.split())}", file=sys.stderr)
    return 1


def _shown(words: Sequence[str]) -> str:
    told = _parser("", __doc__).parse_args(words)
    month = parse_month(told.month or "")
    with _opened(told.db) as db:
        rows = put_aside(db, month)
        with db.begin():
            without = gaps.of_month(db, month)
    told_rows = table(rows) if rows else f"Nothing of {month} is in quarantine."
    return "\n".join([told_rows, *(f"{gaps.described(gap)}." for gap in without)])


def _continued(words: Sequence[str]) -> str:
    parser = _parser(f" {_CONTINUE}", "Go on without a file, or with an incomplete delivery as it is.")
    parser.add_argument("--day", help="YYYY-MM-DD, of a day feed")
    parser.add_argument("--feed", required=True)
    parser.add_argument("--file", help="its name; without one the delivery is taken as it is")
    parser.add_argument("--by", required=True, help="who decides")
    parser.add_argument("--because", required=True, help="why")
    parser.add_argument("--landing", type=Path, default=settings.landing(), help="folder of deliveries")
    parser.add_argument("--now", help="when it was decided; default: the real time")
    told = parser.parse_args(words)
    if bool(told.month) == bool(told.day):
        raise BadInput("Name the delivery by --month or by --day.")
    sources = load_config(settings.config_folder()).sources
    now = parse_instant(told.now, "--now") if told.now else datetime.now(ZONE)
    with _opened(told.db) as db:
        return go_on(
            db=db, sources=sources, landing=told.landing, feed=told.feed, period=told.month or told.day,
            file=told.file, by=told.by, because=told.because, now=now,
        )  # fmt: skip


def _parser(command: str, about: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m include.quarantine{command}", description=about)
    parser.add_argument("--month", required=not command, help="YYYY-MM")
    parser.add_argument("--db", default=os.environ.get("AIRFLOW_CONN_CHURN_DB"), help="postgresql:// URL")
    return parser


def _opened(url: str | None) -> Any:
    """A connection to the operations database, closed with its engine at the end."""
    if not url:
        raise BadInput("No operations database is named. Give --db, or set AIRFLOW_CONN_CHURN_DB.")
    return database.engine(url, poolclass=sa.NullPool).connect()


if __name__ == "__main__":
    sys.exit(main())
