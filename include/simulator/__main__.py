"""The simulator's command: python -m include.simulator --subscribers N --months M --seed S --out DIR."""

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from include.domain.errors import LoopError
from include.simulator.province import FEEDS, LAST_MONTH, Province
from include.simulator.walk import Order, simulate

_BAD_ARGUMENTS = 2


class _OneLine(argparse.ArgumentParser):
    """A parser whose complaint is a single line."""

    def error(self, message: str) -> NoReturn:
        _refuse(message)


def _refuse(message: str) -> NoReturn:
    sys.stderr.write(f"simulator: {message}\n")
    raise SystemExit(_BAD_ARGUMENTS)


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    made = _OneLine(
        prog="python -m include.simulator", description="Write a simulated province as landing files."
    )
    made.add_argument("--subscribers", type=int, default=20_000, help="subscribers at the start (20000)")
    made.add_argument("--months", type=int, default=8, help="whole months of history (8)")
    made.add_argument("--seed", type=int, default=1, help="another seed is another province (1)")
    made.add_argument("--out", type=Path, required=True, help="folder for landing/ and truth/")
    made.add_argument("--last-month", default=LAST_MONTH, help=f"last whole month, YYYY-MM ({LAST_MONTH})")
    made.add_argument("--dirt", type=float, default=0.0, help="share of dirty rows, for example 0.01")
    made.add_argument(
        "--missing", nargs="+", default=[], metavar="FEED", help=f"leave out: {', '.join(FEEDS)}"
    )
    made.add_argument(
        "--treated", type=Path, help="CSV subscriber_id, month, offer_reason, contacted_on[, campaign]"
    )
    made.add_argument("--from-month", help="write only this month and later ones, YYYY-MM")
    made.add_argument("--days-from", help="day feeds by day from this month on, whole before it, YYYY-MM")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 when the files are written."""
    given = parser().parse_args(arguments)
    try:
        province = Province(given.subscribers, given.months, given.seed, given.last_month)
        order = Order(given.dirt, frozenset(given.missing), given.treated, given.from_month, given.days_from)
        simulate(province, given.out, order, say=lambda line: print(line, file=sys.stderr, flush=True))
    except LoopError as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"{given.out} cannot be written ({error.strerror}). Choose another folder or make room.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
