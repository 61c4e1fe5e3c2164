"""What was put aside from the deliveries that stand for a month, as a table an operator can read.

python -m include.quarantine --month YYYY-MM [--db URL]
"""

import argparse
import os
import sys
from collections.abc import Sequence

import sqlalchemy as sa

from include import database
from include.command import in_columns
from include.domain.errors import BadInput, LoopError
from include.domain.months import parse_month
from include.queries import load

_HEADER = ("feed", "period", "file", "column", "reason", "rows", "first line")


def put_aside(db: sa.Connection, month: str) -> list[tuple[str, ...]]:
    """Feed, period, file, column, reason, rows and first line of a month's quarantine, worst first."""
    with db.begin():
        found = db.execute(load("collection")["quarantine_of_month"], {"month": month}).all()
    return [
        (row.feed, row.period, row.file, row.column_name, row.reason, f"{row.rows:,}", _line(row.first_line))
        for row in found
    ]


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns as wide as their widest cell; Chinese characters take two places."""
    return in_columns([_HEADER, *rows])


def _line(first: int | None) -> str:
    return "" if first is None else f"{first:,}"


def main(words: list[str] | None = None) -> int:
    """Run the command; the exit status is 1, after one sentence on stderr, when a person must act."""
    parser = argparse.ArgumentParser(prog="python -m include.quarantine", description=__doc__)
    parser.add_argument("--month", required=True, help="YYYY-MM")
    parser.add_argument("--db", default=os.environ.get("AIRFLOW_CONN_CHURN_DB"), help="postgresql:// URL")
    told = parser.parse_args(words)
    try:
        _print(parse_month(told.month), told.db)
    except LoopError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def _print(month: str, url: str | None) -> None:
    if not url:
        raise BadInput("No operations database is named. Give --db, or set AIRFLOW_CONN_CHURN_DB.")
    made = database.engine(url)
    try:
        with made.connect() as db:
            rows = put_aside(db, month)
    except sa.exc.OperationalError as error:
        cause = str(error.orig).splitlines()[0]
        raise BadInput(f"The operations database cannot be reached: {cause}. Look at --db.") from None
    finally:
        made.dispose()
    print(table(rows) if rows else f"Nothing of {month} is in quarantine.")


if __name__ == "__main__":
    sys.exit(main())
