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
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from include import settings
from include.clocks import calendar
from include.commands import add_place_and_time, day, instant, on_database
from include.commands.csv_files import read_csv
from include.config import Config, load_config
from include.database.queries import load
from include.domain import sla
from include.domain.deadline import Deadline, day_text
from include.domain.errors import BadInput
from include.domain.periods.months import ZONE
from include.domain.text.typed import bare, parse_day, parse_flag
from include.domain.workdays import PROVISIONAL, WorkDay

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
    given: argparse.Namespace


def show(desk: Desk) -> Iterable[str]:
    """The days that are not plain working days or weekends, and those noted to be changed."""
    first = desk.given.start or desk.now.astimezone(ZONE).date()
    span = {"first": first, "last": desk.given.until or first + timedelta(days=60)}
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
    given = desk.given
    if given.working is None:
        days: list[WorkDay | tuple[str, date]] = [(given.layer, given.date)]
    else:
        days = [
            _checked(desk, WorkDay(given.date, given.working, given.name, given.source or "", given.layer))
        ]
    calendar.draft(desk.db, days, actor=desk.actor, now=desk.now)
    yield f"Noted. Look at it with preview, then apply. {_count(desk)}"


def load_file(desk: Desk) -> Iterable[str]:
    """Note the days of a CSV file."""
    found, note = read_days(desk.given.file, desk.given.source or "")
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
        desk.db, desk.config, desk.now, confirm=desk.given.confirm, actor=desk.actor
    )  # fmt: skip
    yield f"The calendar is changed; {moved:,} tickets have another deadline, each with an event and a notice."


def discard(desk: Desk) -> Iterable[str]:
    """Forget the noted days."""
    calendar.discard(desk.db)
    yield "No day is noted any more; the calendar is as it was."


def explain(desk: Desk) -> Iterable[str]:
    """Why the deadlines of a ticket are what they are, day by day, as stored."""
    rows = desk.db.execute(Q["read_clock"], {"ticket_id": desk.given.ticket}).all()
    if not rows:
        raise BadInput(f"Ticket {desk.given.ticket} has no clock: it is unknown or not released yet.")
    for row in rows:
        named = desk.config.clocks_named(row.campaign).get(row.clock)
        what = getattr(named, desk.given.language, row.clock)
        yield from sla.explain(Deadline.from_json(row.explanation), what, desk.given.language)
        yield ""


COMMANDS: Mapping[str, Callable[[Desk], Iterable[str]]] = {
    "show": show,
    "set": set_day,
    "load": load_file,
    "preview": preview,
    "apply": apply,
    "discard": discard,
    "explain": explain,
}


def main(words: list[str] | None = None) -> int:
    """Run the command; the exit status is 1, after one sentence on stderr, when a person must act."""
    given = _parser().parse_args(words)
    return on_database(given, lambda db: _run(db, given))


def _run(db: sa.Connection, given: argparse.Namespace) -> None:
    with db.begin():
        desk = Desk(db, load_config(settings.config_folder()), given.by, instant(given), given)
        lines = list(COMMANDS[given.command](desk))
    for line in lines:
        print(line)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.commands.calendar")
    commands = parser.add_subparsers(dest="command", required=True)
    made = {name: commands.add_parser(name, help=what.__doc__) for name, what in COMMANDS.items()}
    made["show"].add_argument("--from", dest="start", type=day)
    made["show"].add_argument("--until", type=day)
    made["set"].add_argument("--layer", required=True)
    made["set"].add_argument("--date", required=True, type=day)
    how = made["set"].add_mutually_exclusive_group(required=True)
    how.add_argument("--working", dest="working", action="store_const", const=True)
    how.add_argument("--rest", dest="working", action="store_const", const=False)
    how.add_argument("--drop", dest="working", action="store_const", const=None)
    made["set"].add_argument("--name", help="holiday behind it, 中文 / English")
    made["set"].add_argument("--source", help="who says so")
    made["load"].add_argument("file", type=Path)
    made["load"].add_argument("--source", required=True, help="who says so")
    made["apply"].add_argument(
        "--confirm", required=True, type=int, help="tickets the preview said would move"
    )
    made["explain"].add_argument("ticket", type=int)
    made["explain"].add_argument("--language", choices=("zh", "en"), default="zh")
    for command in made.values():
        add_place_and_time(command)
        command.add_argument("--by", default=os.environ.get("USER") or "operations", help="who changes it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
