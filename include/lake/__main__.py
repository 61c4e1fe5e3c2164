"""Looking after the lake by hand.

python -m include.lake describe [--lake DIR]
python -m include.lake verify [--lake DIR]
python -m include.lake repair [--lake DIR] [--db URL] [--landing DIR] [--accept-loss]
python -m include.lake reshard --to DIR --shards N [--lake DIR] [--db URL]
"""

import argparse
import os
import sys
from contextlib import nullcontext
from pathlib import Path

from include import settings
from include.commands import Command, command_line, instant, lake_option, opened, option
from include.lake import Lake
from include.lake.upkeep import described, faults, months, resharded, unrecorded


def describe(args: argparse.Namespace) -> int:
    """Print each table's months with files, rows and size."""
    lake = Lake(args.lake)
    print(f"{lake.root}: {lake.shards} shards")
    print(f"{'table':<44}{'period':<12}{'files':>7}{'rows':>15}{'MB':>10}")
    for table, month, files, rows, size, _ in described(lake).iter_rows():
        print(f"{table:<44} {month:<11}{files:>7,}{rows:>15,}{size / 1e6:>10,.1f}")
    return 0


def verify(args: argparse.Namespace) -> int:
    """Print what is wrong with the lake; 1 when anything is."""
    lake = Lake(args.lake)
    found = faults(lake)
    for fault in found:
        print(fault.sentence)
    if not_recorded := unrecorded(lake):
        print(
            f"Size and hash of {not_recorded:,} files are not recorded: an earlier version wrote them. "
            "They are recorded when their month is written anew."
        )
    looked_at = sum(1 for _ in months(lake))
    print(f"{looked_at:,} months of tables looked at, {len(found):,} files at fault.")
    return 1 if found else 0


def repair(args: argparse.Namespace) -> int:
    """Cure what verify names: collect again what lies in the landing folder, make again or drop what was made."""
    from include.commands.repair import repaired

    with opened(args.db) if args.db else nullcontext() as db:
        left = 0
        place = (db, args.lake, args.landing, args.config, instant(args))
        for step in repaired(*place, accept_loss=args.accept_loss):
            print(step.sentence, flush=True)
            left += step.is_left
    print("Nothing remains to be done." if not left else f"{left:,} things remain to be done.")
    return 1 if left else 0


def reshard(args: argparse.Namespace) -> int:
    """Write the lake anew with another number of shards, beside the old one."""
    lake = Lake(args.lake)
    with opened(args.db) if args.db else nullcontext() as db:
        made = resharded(lake, args.to, args.shards, db)
    print(f"{made.root} holds the same rows in {made.shards} shards instead of {lake.shards}.")
    print("Point CHURN_LAKE to it between two runs; then the old one can go.")
    return 0


def _add_what_repairs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--db",
        default=os.environ.get("AIRFLOW_CONN_CHURN_DB"),
        help="postgresql:// URL; without it, only drop",
    )
    parser.add_argument("--now", help="instant it is recorded with; default: the real time")
    parser.add_argument("--landing", type=Path, default=settings.landing(), help="default CHURN_LANDING")
    parser.add_argument("--config", type=Path, default=settings.config_folder(), help="default CHURN_CONFIG")
    parser.add_argument(
        "--accept-loss", action="store_true", help="drop also what a dispatched cycle rests on"
    )


_RESHARD_DB = "postgresql:// URL; with it no run writes a month while that is copied"
_LAKE = lake_option("folder or URL of the lake; default CHURN_LAKE")

#: The exit status is 1 also when the lake is not sound.
main = command_line(
    "include.lake",
    "Look after the lake.",
    {
        "describe": Command(describe, (_LAKE,)),
        "verify": Command(verify, (_LAKE,)),
        "repair": Command(repair, (_LAKE, _add_what_repairs)),
        "reshard": Command(
            reshard,
            (
                _LAKE,
                option("--to", required=True, help="folder or URL of the new lake"),
                option("--shards", type=int, required=True, help="about one for 500,000 subscribers"),
                option("--db", default=os.environ.get("AIRFLOW_CONN_CHURN_DB"), help=_RESHARD_DB),
            ),
        ),
    },
)


if __name__ == "__main__":
    sys.exit(main())
