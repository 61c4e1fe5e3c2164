"""Looking after the lake by hand.

python -m include.lake describe [--lake DIR]
python -m include.lake verify [--lake DIR]
python -m include.lake repair [--lake DIR] [--db URL] [--landing DIR] [--accept-loss]
python -m include.lake reshard --to DIR --shards N [--lake DIR]
"""

import argparse
import os
import sys
from contextlib import nullcontext
from pathlib import Path

from include import settings
from include.commands import ended, instant, opened
from include.lake import Lake
from include.lake.upkeep import described, faults, months, resharded, unrecorded


def main(words: list[str] | None = None) -> int:
    """Run the command; the exit status is 1 when the lake is not sound or a person must act."""
    told, status = _arguments(words), [0]

    def run() -> None:
        status[0] = COMMANDS[told.command](told)

    return ended(run) or status[0]


def describe(told: argparse.Namespace) -> int:
    """Print each table's months with files, rows and size."""
    lake = Lake(told.lake)
    print(f"{lake.root}: {lake.shards} shards")
    print(f"{'table':<44}{'period':<12}{'files':>7}{'rows':>15}{'MB':>10}")
    for table, month, files, rows, size, _ in described(lake).iter_rows():
        print(f"{table:<44} {month:<11}{files:>7,}{rows:>15,}{size / 1e6:>10,.1f}")
    return 0


def verify(told: argparse.Namespace) -> int:
    """Print what is wrong with the lake; 1 when anything is."""
    lake = Lake(told.lake)
    found = faults(lake)
    for fault in found:
        print(fault.told)
    if not_recorded := unrecorded(lake):
        print(
            f"Size and hash of {not_recorded:,} files are not recorded: an earlier version wrote them. "
            "They are recorded when their month is written anew."
        )
    looked_at = sum(1 for _ in months(lake))
    print(f"{looked_at:,} months of tables looked at, {len(found):,} files at fault.")
    return 1 if found else 0


def repair(told: argparse.Namespace) -> int:
    """Cure what verify names: collect again what lies in the landing folder, make again or drop what was made."""
    from include.commands.repair import repaired

    with opened(told.db) if told.db else nullcontext() as db:
        left = 0
        place = (db, told.lake, told.landing, told.config, instant(told))
        for step in repaired(*place, accept_loss=told.accept_loss):
            print(step.told, flush=True)
            left += step.is_left
    print("Nothing remains to be done." if not left else f"{left:,} things remain to be done.")
    return 1 if left else 0


def reshard(told: argparse.Namespace) -> int:
    """Write the lake anew with another number of shards, beside the old one."""
    lake = Lake(told.lake)
    made = resharded(lake, told.to, told.shards)
    print(f"{made.root} holds the same rows in {made.shards} shards instead of {lake.shards}.")
    print("Point CHURN_LAKE to it between two runs; then the old one can go.")
    return 0


COMMANDS = {"describe": describe, "verify": verify, "repair": repair, "reshard": reshard}


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m include.lake", description="Look after the lake.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        one = commands.add_parser(name, help=command.__doc__)
        one.add_argument(
            "--lake", default=settings.lake_root(), help="folder or URL of the lake; default CHURN_LAKE"
        )
        if name == "reshard":
            one.add_argument("--to", required=True, help="folder or URL of the new lake")
            one.add_argument("--shards", type=int, required=True, help="about one for 500,000 subscribers")
        if name == "repair":
            _add_what_repairs(one)
    return parser.parse_args(words)


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


if __name__ == "__main__":
    sys.exit(main())
