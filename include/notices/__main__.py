"""Messages that are waiting or dead, at the command line.

python -m include.notices list | retry [--db URL] [--now ISO]
"""

import argparse
import sys
from collections.abc import Iterator

import sqlalchemy as sa

from include.commands import add_place_and_time, instant, on_database
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


def main(words: list[str] | None = None) -> int:
    """Run the command; the exit status is 1, after one sentence on stderr, when a person must act."""
    parser = argparse.ArgumentParser(
        prog="python -m include.notices",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=("list", "retry"))
    add_place_and_time(parser)
    given = parser.parse_args(words)
    return on_database(given, lambda db: _run(db, given))


def _run(db: sa.Connection, given: argparse.Namespace) -> None:
    if given.command == "retry":
        print(f"{retry_dead(db, instant(given))} messages are on their way again.")
        return
    for line in waiting(db):
        print(line)


if __name__ == "__main__":
    sys.exit(main())
