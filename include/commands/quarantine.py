"""What was put aside from the deliveries that stand for a month, as a table; and the choice to go on without.

python -m include.commands.quarantine --month YYYY-MM [--db URL]
python -m include.commands.quarantine continue (--month YYYY-MM | --day YYYY-MM-DD) --feed FEED [--file NAME] --by WHO
    --because WHY [--landing DIR] [--db URL] [--now ISO]
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy as sa

from include import settings
from include.commands import add_place_and_time, day, ended, in_columns, instant, opened
from include.config import load_config
from include.config.readers.sources import Sources
from include.database.queries import load
from include.domain.errors import BadInput, LoopError
from include.domain.periods.months import parse_month
from include.stages.collection import waivers
from include.stages.collection.reader import batches
from include.stages.collection.sources import landing_folder
from include.stages.collection.sources.delivery import Delivery, DeliveryKey, written
from include.stages.collection.waivers import Decision

_HEADER = ("feed", "period", "file", "column", "reason", "rows", "first line")
_SHOW = "show"
_CONTINUE = "continue"


def put_aside(db: sa.Connection, month: str) -> list[tuple[str, ...]]:
    """Feed, period, file, column, reason, rows and first line of a month's quarantine, worst first."""
    return _causes(db, "quarantine_of_month", month)


def not_taken(db: sa.Connection, month: str) -> list[tuple[str, ...]]:
    """The same of the values that were left out although their rows were taken."""
    return _causes(db, "cleared_of_month", month)


def _causes(db: sa.Connection, statement: str, month: str) -> list[tuple[str, ...]]:
    with db.begin():
        found = db.execute(load("stages/collection")[statement], {"month": month}).all()
    return [
        (row.feed, row.period, row.file, row.column_name, row.reason, f"{row.rows:,}", _line(row.first_line))
        for row in found
    ]


@dataclass(frozen=True)
class Omission:
    """What a person goes on without: a file of a delivery, or (None) what lacks of it, taken as it is."""

    key: DeliveryKey
    file: str | None


def go_on(db: sa.Connection, sources: Sources, landing: Path, omission: Omission, decision: Decision) -> str:
    """Record that a delivery is collected without a file, or incomplete as it is; told in a sentence.

    The decision is about the file's bytes: delivered anew, it is read again. BadInput for an unknown file, and
    for the only file of a feed that a month cannot do without.
    """
    decided = replace(decision, by=decision.by.strip(), because=decision.because.strip())
    if not (decided.by and decided.because):
        raise BadInput("Who decides, and why, must be said. Give --by and --because.")
    delivery = landing_folder.named(landing, sources, omission.key)
    waiver = _whole(delivery) if omission.file is None else _one(delivery, sources, omission.file)
    with db.begin():
        waivers.record(db, waiver, decided)
    return f"{waivers.described(waivers.as_reported(waiver, decided))}. Clear the failed task, or run again."


def _whole(delivery: Delivery) -> waivers.Waiver:
    return waivers.Waiver(delivery.key, waivers.WHOLE, delivery.fingerprint(""), None)


def _one(delivery: Delivery, sources: Sources, file: str) -> waivers.Waiver:
    paths = {written(path.name): path for path in delivery.files}
    if file not in paths:
        raise BadInput(f"{delivery.name} has no file {file}, only {', '.join(paths)}. Name one of them.")
    declared = sources.feeds[delivery.key.feed]
    if declared.required and len(paths) == 1:
        raise BadInput(f"{file} is all there is of {delivery.name}, which the loop needs. Deliver it again.")
    rows: int | None
    try:
        read = batches(paths[file], declared.columns, declared.dialect)
        rows = sum(batch.rows.height + batch.broken.height for batch in read)
    except LoopError:
        rows = None  # it cannot even be counted
    return waivers.Waiver(delivery.key, file, waivers.file_fingerprint(paths[file]), rows)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns as wide as their widest cell; Chinese characters take two places."""
    return in_columns([_HEADER, *rows])


def main(words: list[str] | None = None) -> int:
    """Run the command; the exit status is 1, after one sentence on stderr, when a person must act."""
    given = sys.argv[1:] if words is None else words
    args = _arguments(given)
    return ended(lambda: print(args.command(args)))


def _shown(args: argparse.Namespace) -> str:
    month = parse_month(args.month)
    with opened(args.db) as db:
        rows, cleared = put_aside(db, month), not_taken(db, month)
        with db.begin():
            waived = waivers.of_month(db, month)
    quarantined = table(rows) if rows else f"Nothing of {month} is in quarantine."
    left_out = ["Values not taken, of rows that were:", table(cleared)] if cleared else []
    return "\n".join([quarantined, *left_out, *(f"{waivers.described(each)}." for each in waived)])


def _continued(args: argparse.Namespace) -> str:
    if bool(args.month) == bool(args.day):
        raise BadInput("Name the delivery by --month or by --day.")
    sources = load_config(settings.config_folder()).sources
    key = DeliveryKey(args.feed, args.month or args.day.isoformat())
    with opened(args.db) as db:
        decision = Decision(args.by, args.because, instant(args))
        return go_on(db, sources, args.landing, Omission(key, args.file), decision)


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m include.commands.quarantine",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    shown = commands.add_parser(_SHOW, help="what was put aside of a month; done where no command is given")
    shown.add_argument("--month", required=True, help="YYYY-MM")
    _add_continue(commands.add_parser(_CONTINUE, help="go on without a file, or with an incomplete delivery"))
    for one, command in ((shown, _shown), (commands.choices[_CONTINUE], _continued)):
        add_place_and_time(one)
        one.set_defaults(command=command)
    is_named = words[:1] and (words[0] in commands.choices or words[0] in ("-h", "--help"))
    return parser.parse_args(words if is_named else [_SHOW, *words])


def _add_continue(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--month", help="YYYY-MM, of a month feed")
    parser.add_argument("--day", type=day, help="YYYY-MM-DD, of a day feed")
    parser.add_argument("--feed", required=True)
    parser.add_argument("--file", help="its name; without one the delivery is taken as it is")
    parser.add_argument("--by", required=True, help="who decides")
    parser.add_argument("--because", required=True, help="why")
    parser.add_argument("--landing", type=Path, default=settings.landing(), help="folder of deliveries")


def _line(first: int | None) -> str:
    return "" if first is None else f"{first:,}"


if __name__ == "__main__":
    sys.exit(main())
