"""What has been kept long enough goes: whole months of the lake, quarantine, and rows of the database.

python -m include.commands.data_retention [--now ISO] [--lake DIR] [--db URL] [--config DIR] [--dry-run]
"""

import argparse
import json
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypedDict

import sqlalchemy as sa

from include import settings
from include.commands import (
    Command,
    add_place_and_time,
    command_line,
    instant,
    lake_option,
    on_database,
    option,
)
from include.config import Config, load_config
from include.database.queries import load
from include.domain.periods.months import ZONE, month_of
from include.lake import UNKNOWN_SECONDS, Lake
from include.lake.campaigns import parted
from include.lake.locks import hold
from include.lake.upkeep import QUARANTINE
from include.stages.collection.staging import STAGING_PREFIX


class Retained(TypedDict):
    """What went, or of a dry run would go: `gone` in rows or files by what they were of, `rows_out` of all."""

    stage: str
    rows_out: int
    dry_run: bool
    gone: dict[str, int]


@dataclass(frozen=True)
class _Month:
    table: str
    month: str
    rows: int


def retain(
    *, db: sa.Connection, lake: Lake, config: Config, now: datetime, dry_run: bool = False
) -> Retained:
    """Remove what is older than retention.yaml allows at `now`.

    Months of the lake go one by one, each in one step for its readers; each kind of the database in one
    transaction. Nothing is left half: run again, it goes on where it was killed.
    """
    gone = _from_lake(db, lake, config, now, dry_run)
    gone |= {f"lake.{QUARANTINE}": _from_quarantine(lake, config, now, dry_run)}
    for kind, kept in config.retention.database.items():
        gone[kind] = _from_database(db, kind, now - timedelta(days=kept.days), now, dry_run)
    if not dry_run:
        lake.store.drop_spools(STAGING_PREFIX, UNKNOWN_SECONDS)
    some = {what: count for what, count in gone.items() if count}
    return {"stage": "retention", "rows_out": sum(some.values()), "dry_run": dry_run, "gone": some}


def _from_lake(db: sa.Connection, lake: Lake, config: Config, now: datetime, dry_run: bool) -> dict[str, int]:
    gone: dict[str, int] = {}
    for table in lake.tables():
        oldest = config.retention.oldest_month(parted(table)[0], now)
        for month in (month for month in lake.months(table) if month < oldest):
            stands = lake.published(table, month)  # what is damaged goes as well when its time has come
            rows = stands.rows if stands else 0
            gone[f"lake.{table}"] = gone.get(f"lake.{table}", 0) + rows
            if not dry_run:
                _drop(db, lake, _Month(table, month, rows), now)
    return gone


def _drop(db: sa.Connection, lake: Lake, old: _Month, now: datetime) -> None:
    with db.begin():
        hold(db, old.table, old.month)
        lake.drop(old.table, old.month)
        _record(db, f"lake.{old.table}", old.month, old.rows, now)


def _from_quarantine(lake: Lake, config: Config, now: datetime, dry_run: bool) -> int:
    """Files of quarantine written before their period began; how many."""
    before = (now - timedelta(days=config.retention.quarantine.days)).timestamp()
    folders = sorted({name.rpartition("/")[0] for name in lake.store.below(QUARANTINE)})
    old = [
        f"{folder}/{name}"
        for folder in folders
        for name, file in lake.store.files(folder).items()
        if file.changed_at < before
    ]
    for name in [] if dry_run else old:
        lake.store.delete(name)
    return len(old)


def _from_database(db: sa.Connection, kind: str, before: datetime, now: datetime, dry_run: bool) -> int:
    with db.begin() as transaction:
        asked = {"before": before, "now": now, "month": month_of(before.astimezone(ZONE).date())}
        rows: int = db.execute(load("commands/data_retention")[kind], asked).scalar_one()
        if dry_run:
            transaction.rollback()
        else:
            _record(db, kind, before.isoformat(), rows, now)
    return rows


def _record(db: sa.Connection, what: str, before: str, rows: int, now: datetime) -> None:
    if rows:
        db.execute(
            load("commands/data_retention")["record"],
            {"what": what, "before": before, "rows": rows, "now": now},
        )


@on_database
def _run(db: sa.Connection, args: argparse.Namespace) -> None:
    lake, config = Lake(args.lake), load_config(args.config)
    gone = retain(db=db, lake=lake, config=config, now=instant(args), dry_run=args.dry_run)["gone"]
    for what, count in sorted(gone.items()):
        print(f"{what:<52}{count:>12,}")
    print(json.dumps({"gone": gone, "dry_run": args.dry_run}))


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, default=settings.config_folder(), help="default CHURN_CONFIG")


main = command_line(
    "include.commands.data_retention",
    __doc__,
    Command(
        _run,
        (
            lake_option(),
            add_place_and_time,
            _add_config,
            option("--dry-run", action="store_true", help="only tell what would go"),
        ),
    ),
)


if __name__ == "__main__":
    sys.exit(main())
