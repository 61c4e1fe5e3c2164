"""Take one subscriber out of everything the loop keeps. Logged in `erasures`, without the id.

python -m include.commands.erasure --subscriber ID --because TEXT --by WHO
    [--bar] [--lake DIR] [--db URL] [--now ISO] [--dry-run]
"""

import argparse
import json
import sys

import sqlalchemy as sa

from include import settings
from include.commands import add_place_and_time, an_id, instant, on_database
from include.commands.erasure import erase
from include.lake import Lake

_NO_PLACE = ("erasure_id", "dry_run")
_LANDING = (
    "The landing folder is yours: take the subscriber out of the files there, too. What is delivered again of "
    "the time up to this month is kept out; {later}"
)


def main(words: list[str] | None = None) -> int:
    """Run the command; the exit status is 1, after one sentence on stderr, when a person must act."""
    told = _arguments(words)
    return on_database(told, lambda db: _run(db, told))


def _run(db: sa.Connection, told: argparse.Namespace) -> None:
    done = erase(
        db=db, lake=Lake(told.lake), subscriber=told.subscriber, because=told.because, by=told.by,
        now=instant(told), bar=told.bar, dry_run=told.dry_run,
    )  # fmt: skip
    print(json.dumps(done, ensure_ascii=False))
    if not any(isinstance(rows, int) and rows for place, rows in done.items() if place not in _NO_PLACE):
        print("Nothing is stored of this id. Look at its writing: small and capital letters tell ids apart.")
    later = (
        "so is all that comes later."
        if told.bar
        else "delivered for a later month, they are a customer again."
    )
    print(_LANDING.format(later=later))


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m include.commands.erasure",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--subscriber", required=True, type=an_id, help="subscriber_id")
    parser.add_argument("--because", required=True, help="why, for the log")
    parser.add_argument("--by", required=True, help="who asked for it, for the log")
    parser.add_argument("--bar", action="store_true", help="keep out what is delivered for later months, too")
    parser.add_argument("--lake", default=settings.lake_root(), help="folder or URL; default CHURN_LAKE")
    add_place_and_time(parser)
    parser.add_argument("--dry-run", action="store_true", help="only tell what would go")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
