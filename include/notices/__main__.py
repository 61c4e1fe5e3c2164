"""Messages that are waiting or dead, at the command line.

python -m include.notices list | retry [--db URL] [--now ISO]
"""

import argparse
import os
import sys
from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa

from include import database
from include.domain.errors import BadInput, LoopError
from include.domain.months import ZONE, parse_instant
from include.notices.delivering import retry_dead
from include.queries import load


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
    parser = argparse.ArgumentParser(prog="python -m include.notices", description=__doc__)
    parser.add_argument("command", choices=("list", "retry"))
    parser.add_argument("--db", default=os.environ.get("AIRFLOW_CONN_CHURN_DB"), help="postgresql:// URL")
    parser.add_argument("--now", help="act as at this instant (ISO, with a time zone)")
    given = parser.parse_args(words)
    try:
        for line in _run(given):
            print(line)
    except LoopError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def _run(given: argparse.Namespace) -> list[str]:
    if not given.db:
        raise BadInput("No operations database is named. Give --db, or set AIRFLOW_CONN_CHURN_DB.")
    now = parse_instant(given.now) if given.now else datetime.now(ZONE)
    made = database.engine(given.db)
    try:
        with made.connect() as db:
            if given.command == "retry":
                return [f"{retry_dead(db, now)} messages are on their way again."]
            return list(waiting(db))
    finally:
        made.dispose()


if __name__ == "__main__":
    sys.exit(main())
