"""The command of the simulated staff: they are hired, and work a cycle.

python -m include.simulator.staff hire --db URL
python -m include.simulator.staff work --db URL --truth DIR --cycle KEY --from ISO --until ISO [--seed N]
"""

import argparse
import json
import sys
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from include import settings
from include.commands import Command, command_line, on_database, option
from include.config import load_config
from include.simulator.staff import hire, open_shift, read_knowledge, work_cycle


def _hire(db: sa.Connection, args: argparse.Namespace) -> None:
    print(json.dumps({"stage": "staff", "hired": hire(db)}))


def _work(db: sa.Connection, args: argparse.Namespace) -> None:
    known = read_knowledge(Path(args.truth), args.cycle)
    shift = open_shift(db, load_config(settings.config_folder()), args.cycle, known, args.seed)
    start, until = (datetime.fromisoformat(text) for text in (args.start, args.until))
    for result in work_cycle(shift, start, until):
        print(json.dumps(result, ensure_ascii=False), flush=True)


_DB = option("--db", required=True)

main = command_line(
    "include.simulator.staff",
    None,
    {
        "hire": Command(on_database(_hire), (_DB,)),
        "work": Command(
            on_database(_work),
            (
                _DB,
                option("--truth", required=True),
                option("--cycle", required=True),
                option("--from", required=True, dest="start"),
                option("--until", required=True),
                option("--seed", type=int, default=0),
            ),
        ),
    },
)


if __name__ == "__main__":
    sys.exit(main())
