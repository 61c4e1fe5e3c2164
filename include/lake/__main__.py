"""Looking after the lake by hand.

python -m include.lake describe [--lake DIR]
python -m include.lake verify [--lake DIR]
python -m include.lake reshard --to DIR --shards N [--lake DIR]
"""

import argparse
import sys

from include import settings
from include.domain.errors import LoopError
from include.lake import Lake
from include.lake.upkeep import described, faults, manifests, resharded


def main(words: list[str] | None = None) -> int:
    """Run the command; the exit status is 1 when the lake is not sound or a person must act."""
    told = _arguments(words)
    try:
        return int(COMMANDS[told.command](Lake(told.lake), told))
    except LoopError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    except OSError as error:
        cause = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
        print(f"{type(error).__name__}: {cause}. Mend the folder, or name another.", file=sys.stderr)
    return 1


def describe(lake: Lake, told: argparse.Namespace) -> int:
    """Print each table's months with files, rows and size."""
    print(f"{lake.root}: {lake.shards} shards")
    print(f"{'table':<24}{'month':<9}{'files':>7}{'rows':>15}{'MB':>10}")
    for table, month, files, rows, size, _ in described(lake).iter_rows():
        print(f"{table:<24}{month:<9}{files:>7,}{rows:>15,}{size / 1e6:>10,.1f}")
    return 0


def verify(lake: Lake, told: argparse.Namespace) -> int:
    """Print what is wrong with the live files; 1 when anything is."""
    found = faults(lake)
    for fault in found:
        print(fault)
    months = sum(1 for _ in manifests(lake))
    print(f"{months:,} months of tables looked at, {len(found):,} files at fault.")
    return 1 if found else 0


def reshard(lake: Lake, told: argparse.Namespace) -> int:
    """Write the lake anew with another number of shards, beside the old one."""
    made = resharded(lake, told.to, told.shards)
    print(f"{made.root} holds the same rows in {made.shards} shards instead of {lake.shards}.")
    print("Point CHURN_LAKE to it between two runs; then the old one can go.")
    return 0


COMMANDS = {"describe": describe, "verify": verify, "reshard": reshard}


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
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
