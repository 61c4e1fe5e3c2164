"""Take one subscriber out of everything the loop keeps. Logged in `erasures`, without the id.

python -m include.commands.erasure --subscriber ID --because TEXT --by WHO
    [--bar] [--lake DIR] [--db URL] [--now ISO] [--dry-run]
"""

import argparse
import json
import sys

import sqlalchemy as sa

from include.commands import (
    Command,
    add_place_and_time,
    an_id,
    command_line,
    lake_option,
    on_database,
    option,
    signature,
)
from include.commands.erasure import Request, erase
from include.lake import Lake

_LANDING = (
    "The landing folder is yours: take the subscriber out of the files there, too. What is delivered again of "
    "the time up to this month is kept out; {later}"
)


@on_database
def _run(db: sa.Connection, args: argparse.Namespace) -> None:
    request = Request(args.subscriber, signature(args), args.bar)
    done = erase(db=db, lake=Lake(args.lake), request=request, dry_run=args.dry_run)
    print(json.dumps(done.as_json(), ensure_ascii=False))
    if done.is_nothing:
        print("Nothing is stored of this id. Look at its writing: small and capital letters tell ids apart.")
    later = (
        "so is all that comes later."
        if args.bar
        else "delivered for a later month, they are a customer again."
    )
    print(_LANDING.format(later=later))


main = command_line(
    "include.commands.erasure",
    __doc__,
    Command(
        _run,
        (
            option("--subscriber", required=True, type=an_id, help="subscriber_id"),
            option("--because", required=True, help="why, for the log"),
            option("--by", required=True, help="who asked for it, for the log"),
            option("--bar", action="store_true", help="keep out what is delivered for later months, too"),
            lake_option(),
            add_place_and_time,
            option("--dry-run", action="store_true", help="only tell what would go"),
        ),
    ),
)


if __name__ == "__main__":
    sys.exit(main())
