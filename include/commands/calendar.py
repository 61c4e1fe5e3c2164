"""The working calendar at the command line: look at it, note changes, preview them, apply them.

python -m include.commands.calendar show [--from DAY] [--until DAY]
python -m include.commands.calendar set --layer cn --date DAY --working|--rest [--name TEXT] --source TEXT
python -m include.commands.calendar set --layer guangxi --date DAY --drop
python -m include.commands.calendar load FILE.csv --source TEXT      columns layer, date, is_working, name
python -m include.commands.calendar preview | apply --confirm N | discard
python -m include.commands.calendar explain TICKET [--language zh|en]
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from include import settings
from include.clocks import calendar
from include.commands import (
    Command,
    Option,
    Run,
    add_place_and_time,
    command_line,
    day,
    instant,
    on_database,
    one_of,
    option,
)
from include.commands.csv_files import read_csv
from include.config import Config, load_config
from include.database.queries import load
from include.domain.deadline import Deadline
from include.domain.errors import BadInput
from include.domain.periods.months import ZONE
from include.domain.text.typed import bare, parse_day, parse_flag
from include.domain.workdays import PROVISIONAL, WorkDay
from include.words.deadlines import day_text
from include.words.deadlines import explain as explain_deadline

Q = load("clocks/calendar")
T = TypeVar("T")
_COLUMNS = ("layer", "date", "is_working", "name")


@dataclass(frozen=True)
class Desk:
    """What every command is given: database, configuration, who asks, when, and the words of the command."""

    db: sa.Connection
    config: Config
    actor: str
    now: datetime
    args: argparse.Namespace


def show(desk: Desk) -> Iterable[str]:
    """The days that are not plain working days or weekends, and those noted to be changed."""
    first = desk.args.start or desk.now.astimezone(ZONE).date()
    span = {"first": first, "last": desk.args.until or first + timedelta(days=60)}
    for row in desk.db.execute(Q["read_days"], span):
        worked = "worked" if row.is_working else "rest"
        yield f"{day_text(row.date, 'en'):<16} {row.layer:<10} {worked:<7} {row.name or ''}  ({row.source})"
    yield from _noted(desk)


def _noted(desk: Desk) -> Iterable[str]:
    for row in calendar.drafts(desk.db):
        new = "taken away" if row.is_working is None else "worked" if row.is_working else "rest"
        old = "nothing" if row.was_working is None else "worked" if row.was_working else "rest"
        yield f"noted by {row.drafted_by}: {row.layer} {row.date} {old} -> {new}  ({row.source})"


def set_day(desk: Desk) -> Iterable[str]:
    """Note one day."""
    args = desk.args
    if args.working is None:
        days: list[WorkDay | tuple[str, date]] = [(args.layer, args.date)]
    else:
        days = [_checked(desk, WorkDay(args.date, args.working, args.name, args.source or "", args.layer))]
    calendar.draft(desk.db, days, actor=desk.actor, now=desk.now)
    yield f"Noted. Look at it with preview, then apply. {_count(desk)}"


def load_file(desk: Desk) -> Iterable[str]:
    """Note the days of a CSV file."""
    found, note = read_days(desk.args.file, desk.args.source or "")
    days = [_checked(desk, each) for each in found]
    calendar.draft(desk.db, days, actor=desk.actor, now=desk.now)
    yield f"Noted {len(days)} days. {_count(desk)} {note}".strip()


def _checked(desk: Desk, day: WorkDay) -> WorkDay:
    if not day.source.strip() or day.source == PROVISIONAL:
        raise BadInput(f"{day.date} has no source. Say with --source who decided it, for example a notice.")
    if day.layer not in desk.config.sla.every_layer:
        known = ", ".join(desk.config.sla.every_layer)
        raise BadInput(
            f"Layer '{day.layer}' is in no entry of sla.yaml; known are {known}. Enter it there first."
        )
    return day


def read_days(path: Path, source: str) -> tuple[list[WorkDay], str]:
    """The days of a CSV file with the columns layer, date, is_working, name, and what is to be told of its reading.

    BadInput names file and line.
    """
    file = read_csv(path)
    if set(file.columns) != set(_COLUMNS):
        raise BadInput(
            f"{path.name} has the columns {', '.join(file.columns) or 'none'}; it needs {', '.join(_COLUMNS)}."
        )
    return [_day(row, source, f"{path.name}, line {line}") for line, row in file.rows], file.note


def _day(row: Mapping[str, str], source: str, where: str) -> WorkDay:
    on = _read(parse_day, row, "date", where)
    worked = _read(parse_flag, row, "is_working", where)
    return WorkDay(on, worked, row["name"] or None, source, bare(row["layer"]))


def _read(parse: Callable[[str], T], row: Mapping[str, str], column: str, where: str) -> T:
    try:
        return parse(row[column])
    except BadInput as error:
        raise BadInput(f"{where}, {column}: {error}") from None


def _count(desk: Desk) -> str:
    return f"{len(list(calendar.drafts(desk.db)))} days are noted in all."


def preview(desk: Desk) -> Iterable[str]:
    """Which deadlines would move: clock, old and new, how many, and what to confirm."""
    found = calendar.preview(desk.db, desk.config, desk.now)
    yield from _noted(desk)
    for clock, old, new, clocks in found.deadlines():
        yield f"{clock:<14} {old:%Y-%m-%d %H:%M} -> {new:%Y-%m-%d %H:%M}  {clocks:,} clocks"
    yield (
        f"{found.tickets:,} open tickets would get another deadline, {found.earlier:,} of them an earlier one; "
        f"none is breached at once. To do it: python -m include.commands.calendar apply --confirm {found.tickets}"
    )


def apply(desk: Desk) -> Iterable[str]:
    """Put the noted days into the calendar and move the deadlines."""
    moved = calendar.apply(
        desk.db, desk.config, desk.now, confirm=desk.args.confirm, actor=desk.actor
    )  # fmt: skip
    yield f"The calendar is changed; {moved:,} tickets have another deadline, each with an event and a notice."


def discard(desk: Desk) -> Iterable[str]:
    """Forget the noted days."""
    calendar.discard(desk.db)
    yield "No day is noted any more; the calendar is as it was."


def explain(desk: Desk) -> Iterable[str]:
    """Why the deadlines of a ticket are what they are, day by day, as stored."""
    rows = desk.db.execute(Q["read_clock"], {"ticket_id": desk.args.ticket}).all()
    if not rows:
        raise BadInput(f"Ticket {desk.args.ticket} has no clock: it is unknown or not released yet.")
    for row in rows:
        named = desk.config.clocks_named(row.campaign).get(row.clock)
        what = getattr(named, desk.args.language, row.clock)
        yield from explain_deadline(Deadline.from_json(row.explanation), what, desk.args.language)
        yield ""


def _printed(command: Callable[[Desk], Iterable[str]]) -> Run:
    """Print the lines of `command` once its transaction has ended well."""

    @wraps(command)
    def run(db: sa.Connection, args: argparse.Namespace) -> None:
        with db.begin():
            desk = Desk(db, load_config(settings.config_folder()), args.by, instant(args), args)
            lines = list(command(desk))
        for line in lines:
            print(line)

    return on_database(run)


def _add_who(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--by", default=os.environ.get("USER") or "operations", help="who changes it")


def _command(command: Callable[[Desk], Iterable[str]], *options: Option) -> Command:
    return Command(_printed(command), (*options, add_place_and_time, _add_who))


main = command_line(
    "include.commands.calendar",
    None,
    {
        "show": _command(show, option("--from", dest="start", type=day), option("--until", type=day)),
        "set": _command(
            set_day,
            option("--layer", required=True),
            option("--date", required=True, type=day),
            one_of(
                ("--working", {"dest": "working", "action": "store_const", "const": True}),
                ("--rest", {"dest": "working", "action": "store_const", "const": False}),
                ("--drop", {"dest": "working", "action": "store_const", "const": None}),
            ),
            option("--name", help="holiday behind it, 中文 / English"),
            option("--source", help="who says so"),
        ),
        "load": _command(
            load_file, option("file", type=Path), option("--source", required=True, help="who says so")
        ),
        "preview": _command(preview),
        "apply": _command(
            apply,
            option("--confirm", required=True, type=int, help="tickets the preview said would move"),
        ),
        "discard": _command(discard),
        "explain": _command(
            explain, option("ticket", type=int), option("--language", choices=("zh", "en"), default="zh")
        ),
    },
)


if __name__ == "__main__":
    sys.exit(main())
