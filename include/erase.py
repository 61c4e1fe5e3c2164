"""Take one subscriber out of everything the loop keeps. Logged in `erasures`, without the id.

python -m include.erase --subscriber ID --because TEXT --by WHO [--bar] [--lake DIR] [--db URL] [--now ISO] [--dry-run]
"""

import argparse
import json
import os
import sys
from datetime import UTC, datetime

import sqlalchemy as sa

from include import database, settings
from include.domain.errors import BadInput, LoopError
from include.domain.months import parse_instant
from include.erasure import erase
from include.lake import Lake

_LANDING = (
    "The landing folder is yours: take the subscriber out of the files there, too. What is delivered again of "
    "the time up to this month is kept out; {later}"
)


def main(words: list[str] | None = None) -> int:
    """Run the command; the exit status is 1, after one sentence on stderr, when a person must act."""
    told = _arguments(words)
    try:
        print(json.dumps(_erase(told), ensure_ascii=False))
    except LoopError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    later = (
        "so is all that comes later."
        if told.bar
        else "delivered for a later month, they are a customer again."
    )
    print(_LANDING.format(later=later))
    return 0


def _erase(told: argparse.Namespace) -> dict[str, object]:
    if not told.db:
        raise BadInput("No operations database is named. Give --db, or set AIRFLOW_CONN_CHURN_DB.")
    made = database.engine(told.db)
    try:
        with made.connect() as db:
            return erase(
                db=db,
                lake=Lake(told.lake),
                subscriber=told.subscriber,
                because=told.because,
                by=told.by,
                now=told.now,
                bar=told.bar,
                dry_run=told.dry_run,
            )
    except sa.exc.OperationalError as error:
        cause = str(error.orig).splitlines()[0]
        raise BadInput(f"The operations database cannot be reached: {cause}. Look at --db.") from None
    finally:
        made.dispose()


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m include.erase", description=__doc__)
    parser.add_argument("--subscriber", required=True, help="subscriber_id")
    parser.add_argument("--because", required=True, help="why, for the log")
    parser.add_argument("--by", required=True, help="who asked for it, for the log")
    parser.add_argument("--bar", action="store_true", help="keep out what is delivered for later months, too")
    parser.add_argument("--lake", default=settings.lake_root(), help="folder or URL; default CHURN_LAKE")
    parser.add_argument("--db", default=os.environ.get("AIRFLOW_CONN_CHURN_DB"), help="postgresql:// URL")
    parser.add_argument("--now", type=lambda text: parse_instant(text, "now"), default=datetime.now(UTC))
    parser.add_argument("--dry-run", action="store_true", help="only tell what would go")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
