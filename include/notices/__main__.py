"""Messages that are waiting or dead, at the command line.

python -m include.notices list | retry [--db URL] [--now ISO]
"""

import argparse
import sys
from collections.abc import Iterator

import sqlalchemy as sa

from include.commands import Command, add_place_and_time, command_line, instant, on_database, option
from include.database.queries import load
from include.domain.periods.months import ZONE
from include.notices.delivering import retry_dead


def waiting(db: sa.Connection) -> Iterator[str]:
    """One line for each message not delivered: number, channel, age, attempts, why."""
    with db.begin():
        rows = db.execute(load("notices")["list_waiting_messages"]).all()
    for row in rows:
        state = "dead" if row.dead_at else "waiting"
        since = f"{row.created_at.astimezone(ZONE):%Y-%m-%d %H:%M}"
        yield (
            f"{row.message_id:>8}  {state:<7} {row.channel:<10} since {since}  "
            f"{row.attempts} attempts  {row.error or ''}"
        )
    if not rows:
        yield "Every message is delivered."


@on_database
def _run(db: sa.Connection, args: argparse.Namespace) -> None:
    if args.command == "retry":
        print(f"{retry_dead(db, instant(args))} messages are on their way again.")
        return
    for line in waiting(db):
        print(line)


main = command_line(
    "include.notices",
    __doc__,
    Command(_run, (option("command", choices=("list", "retry")), add_place_and_time)),
)


if __name__ == "__main__":
    sys.exit(main())
