"""What the small commands share: the database they open, the instant they work at, how a failure is told."""

import argparse
import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime

import sqlalchemy as sa
from psycopg2.errors import UndefinedColumn, UndefinedTable
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from tabulate import tabulate

from include.database import engine
from include.domain.errors import BadInput, LoopError, NotReady
from include.domain.periods.months import ZONE, parse_instant
from include.domain.text.canonical import canonical_id
from include.domain.text.typed import parse_day
from include.run.failures import told_plainly

#: The campaign a command is about where none is named; nothing but commands and the demo asks for it.
DEFAULT_CAMPAIGN = "churn_warning"


def add_campaign(parser: argparse.ArgumentParser) -> None:
    """The option --campaign."""
    parser.add_argument(
        "--campaign", default=DEFAULT_CAMPAIGN, metavar="NAME", help=f"default: {DEFAULT_CAMPAIGN}"
    )


def add_place(parser: argparse.ArgumentParser) -> None:
    """The option --db: the operations database."""
    parser.add_argument("--db", default=os.environ.get("AIRFLOW_CONN_CHURN_DB"), help="postgresql:// URL")


def add_place_and_time(parser: argparse.ArgumentParser) -> None:
    """The options --db and --now, which every command on the operations database takes."""
    add_place(parser)
    parser.add_argument("--now", help="instant the change is stamped with; default: the real time")


def instant(told: argparse.Namespace) -> datetime:
    """The instant given by --now, else the real time."""
    return parse_instant(told.now, "--now") if told.now else datetime.now(ZONE)


def required_place(url: str | None) -> str:
    """The operations database named by --db or the environment; BadInput when none is."""
    if not url:
        raise BadInput("No operations database is named. Give --db, or set AIRFLOW_CONN_CHURN_DB.")
    return url


@contextmanager
def opened(url: str | None) -> Iterator[sa.Connection]:
    """A connection with the rights of the stages; BadInput when none is named or it cannot be reached."""
    made = engine(required_place(url))
    try:
        with made.connect() as db:
            yield db
    except OperationalError as error:
        cause = str(error.orig).splitlines()[0]
        raise BadInput(f"The operations database cannot be reached: {cause}. Look at --db.") from None
    except IntegrityError as error:
        cause = str(error.orig).splitlines()[0]
        raise BadInput(f"The database refused it, nothing was changed: {cause}. Mend that first.") from None
    except ProgrammingError as error:
        if not isinstance(error.orig, UndefinedTable | UndefinedColumn):
            raise
        cause = str(error.orig).splitlines()[0]
        raise NotReady(
            f"The operations database is not up to date: {cause}. make run and python -m include.loop bring it there."
        ) from None
    finally:
        made.dispose()


def ended(run: Callable[[], None]) -> int:
    """The exit status of a command: 1, after one sentence on stderr, when a person must act."""
    try:
        with told_plainly():
            run()
    except LoopError as error:
        print(f"{type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def on_database(told: argparse.Namespace, run: Callable[[sa.Connection], None]) -> int:
    """The exit status of a command on the database that --db names; see `opened` and `ended`."""

    def command() -> None:
        with opened(told.db) as db:
            run(db)

    return ended(command)


def day(text: str) -> date:
    """A day of the command line, as argparse wants its types."""
    try:
        return parse_day(text)
    except BadInput as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def an_id(text: str) -> str:
    """An id or code of the command line in its one writing, as argparse wants its types."""
    try:
        found = canonical_id(text)
    except BadInput as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not found:
        raise argparse.ArgumentTypeError("it is empty. Give the id.")
    return found


def in_columns(rows: Sequence[Sequence[str]], to_the_right: Collection[int] = ()) -> str:
    """Rows in columns as wide as their widest cell, those numbered in `to_the_right` flush right, the others left.

    Chinese characters take two places. No line ends in blanks; empty without rows.
    """
    if not rows:
        return ""
    sides = ["right" if column in to_the_right else "left" for column in range(len(rows[0]))]
    table = tabulate(rows, tablefmt="plain", colalign=sides, disable_numparse=True)
    return "\n".join(line.rstrip() for line in table.splitlines())
