"""Commands of the model: `evaluate` judges it on any flat table and prints JSON.

python -m include.stages.training evaluate --csv FILE --label COL [--positive VALUE] [--drop COLS]
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from include.domain.errors import LoopError


def main(words: list[str] | None = None) -> int:
    """Run one command; 0, or 2 with a sentence on stderr when the input is at fault."""
    asked = _parser().parse_args(words)
    try:
        result: dict[str, Any] = asked.command(asked)
    except LoopError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.stages.training", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    evaluate = commands.add_parser("evaluate", help="cross-validate the model on a CSV file")
    evaluate.add_argument("--csv", type=Path, required=True, help="UTF-8, with a header")
    evaluate.add_argument("--label", required=True, help="the column that says who left")
    evaluate.add_argument("--positive", help="the value of the label that means leaving")
    evaluate.add_argument("--drop", default="", help="columns not to learn from, with commas between")
    evaluate.add_argument("--threads", type=int, help="of the fit; by default as the rows need")
    evaluate.set_defaults(command=_evaluate)
    return parser


def _evaluate(asked: argparse.Namespace) -> dict[str, Any]:
    from include.stages.training.evaluation import evaluate
    from include.stages.training.table import read_table

    drop = [name.strip() for name in asked.drop.split(",") if name.strip()]
    return evaluate(read_table(asked.csv, asked.label, asked.positive, drop), asked.threads)


if __name__ == "__main__":
    sys.exit(main())
