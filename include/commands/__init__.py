"""What the small commands share: their command line, the database they open, their instant, how a failure is told."""

import argparse
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import wraps
from typing import Any, Protocol

import sqlalchemy as sa
from psycopg2.errors import UndefinedColumn, UndefinedTable
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from tabulate import tabulate

from include import settings
from include.database import engine
from include.domain.errors import BadInput, LoopError, NotReady
from include.domain.periods.months import ZONE, parse_instant
from include.domain.signature import Signature
from include.domain.text.canonical import canonical_id
from include.domain.text.typed import parse_day
from include.failures import told_plainly

#: The campaign a command is about where none is named; nothing but commands and the demo asks for it.
DEFAULT_CAMPAIGN = "churn_warning"

#: Adds something to a parser.
Option = Callable[[argparse.ArgumentParser], None]
#: What a command does with its arguments; the exit status where that is not 0.
Run = Callable[[argparse.Namespace], int | None]


class Main(Protocol):
    """The `main` of a command: the words of the command line (None: the process's own) → its exit status."""

    def __call__(self, words: Sequence[str] | None = None) -> int: ...


@dataclass(frozen=True)
class Command:
    """What one command does, and its options in the order in which --help tells them.

    The docstring of `run`, where there is one, is the command's line in the help of several.
    """

    run: Run
    options: Sequence[Option] = ()


def command_line(module: str, description: str | None, commands: Command | Mapping[str, Command]) -> Main:
    """The `main` of `python -m module`: of one command, or of several that the first word chooses.

    Its exit status is 1, after one sentence on stderr, when a person must act; argparse ends with 2 when the words
    are no command.
    """

    def main(words: Sequence[str] | None = None) -> int:
        args = _parser(module, description, commands).parse_args(words)
        command = commands if isinstance(commands, Command) else commands[args.command]
        return ended(lambda: command.run(args))

    return main


def _parser(
    module: str, description: str | None, commands: Command | Mapping[str, Command]
) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if isinstance(commands, Command):
        _add_options(parser, commands)
        return parser
    each_one = parser.add_subparsers(dest="command", required=True)
    for name, command in commands.items():
        line = command.run.__doc__
        _add_options(each_one.add_parser(name, help=line) if line else each_one.add_parser(name), command)
    return parser


def _add_options(parser: argparse.ArgumentParser, command: Command) -> None:
    for add in command.options:
        add(parser)


def option(*names: str, **details: Any) -> Option:
    """An option or argument, with the names and details of argparse's `add_argument`."""

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(*names, **details)

    return add


def one_of(*options: tuple[str, Mapping[str, Any]]) -> Option:
    """Options, each with its details, of which exactly one must be given."""

    def add(parser: argparse.ArgumentParser) -> None:
        group = parser.add_mutually_exclusive_group(required=True)
        for name, details in options:
            group.add_argument(name, **details)

    return add


def lake_option(help_line: str = "folder or URL; default CHURN_LAKE") -> Option:
    """The option --lake: the folder or URL of the lake."""

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--lake", default=settings.lake_root(), help=help_line)

    return add


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


def instant(args: argparse.Namespace) -> datetime:
    """The instant given by --now, else the real time; BadInput when it is none."""
    return parse_instant(args.now, "--now") if args.now else datetime.now(ZONE)


def signature(args: argparse.Namespace) -> Signature:
    """Who (--by), when (--now) and, where the command asks for it, why (--because); BadInput for a wrong instant."""
    return Signature(args.by, instant(args), getattr(args, "because", None) or "")


def required_place(url: str | None) -> str:
    """The operations database named by --db or the environment; BadInput when none is."""
    if not url:
        raise BadInput("No operations database is named. Give --db, or set AIRFLOW_CONN_CHURN_DB.")
    return url


@contextmanager
def opened(url: str | None) -> Iterator[sa.Connection]:
    """A connection with the rights of the stages.

    BadInput when none is named, when it cannot be reached and when it refuses a row; NotReady when its tables are
    not those of this version.
    """
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


def ended(run: Callable[[], int | None]) -> int:
    """The exit status of a command: 1, after one sentence on stderr, when a person must act; else what `run` says."""
    try:
        with told_plainly():
            return run() or 0
    except LoopError as error:
        print(f"{type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1


def on_database(work: Callable[[sa.Connection, argparse.Namespace], None]) -> Run:
    """What a command does, given the arguments alone: `work` on the database that --db names; see `opened`."""

    @wraps(work)
    def run(args: argparse.Namespace) -> None:
        with opened(args.db) as db:
            work(db, args)

    return run


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
