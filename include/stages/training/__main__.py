"""Commands of the model, each printing JSON: `evaluate` on any flat table, `compare` with scikit-learn.

python -m include.stages.training evaluate --csv FILE --label COL [--positive VALUE] [--drop COLS]
python -m include.stages.training compare --lake DIR --month YYYY-MM
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from include.domain.errors import LoopError


def main(words: list[str] | None = None) -> int:
    """Run one command; 0, or 1 with a sentence on stderr when the input is at fault."""
    asked = _parser().parse_args(words)
    try:
        result: Mapping[str, object] = asked.command(asked)
    except LoopError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m include.stages.training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    evaluate = commands.add_parser("evaluate", help="cross-validate the model on a CSV file")
    evaluate.add_argument("--csv", type=Path, required=True, help="UTF-8, with a header")
    evaluate.add_argument("--label", required=True, help="the column that says who left")
    evaluate.add_argument("--positive", help="the value of the label that means leaving")
    evaluate.add_argument("--drop", default="", help="columns not to learn from, with commas between")
    evaluate.add_argument("--threads", type=int, help="of the fit; by default as the rows need")
    evaluate.set_defaults(command=_evaluate)
    compare = commands.add_parser("compare", help="beside scikit-learn's trees on the raw columns")
    compare.add_argument("--lake", required=True, help="with the factors and the churn of the month")
    compare.add_argument("--month", required=True, help="YYYY-MM, a labelled month")
    compare.add_argument("--threads", type=int, help="of the fit; by default as the rows need")
    compare.add_argument("--splits", type=int, help="ways to put the people into folds (default 5)")
    compare.set_defaults(command=_compare)
    return parser


def _evaluate(asked: argparse.Namespace) -> Mapping[str, object]:
    from include.stages.training.evaluation import evaluate
    from include.stages.training.table import read_table

    drop = [name.strip() for name in asked.drop.split(",") if name.strip()]
    return evaluate(read_table(asked.csv, asked.label, asked.positive, drop), asked.threads)


def _compare(asked: argparse.Namespace) -> Mapping[str, object]:
    from include.domain.periods.months import parse_month
    from include.lake import Lake
    from include.stages.training.comparison import SPLITS, compare

    splits = max(1, asked.splits or SPLITS)
    return compare(Lake(asked.lake), parse_month(asked.month), nthread=asked.threads, splits=splits)


if __name__ == "__main__":
    sys.exit(main())
