"""Commands of an analyst over a lake; they store nothing.

python -m include.analysis dry-run --lake DIR --month YYYY-MM [--rule NAME] [--file FILE] [--campaign NAME]
    [--as-of ISO] [--json]
python -m include.analysis drift --lake DIR --month YYYY-MM [--campaign NAME] [--as-of ISO] [--json]

With the operations database (--db URL) whom somebody contacted does not count, and the held-out weigh for them.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from include import settings
from include.analysis.dry_run import Trial, dry_run, sentence
from include.commands import add_campaign, add_place, ended, opened
from include.config import Config, load_config
from include.config.readers import rules
from include.config.readers.plain import read_yaml
from include.config.readers.reading import read_text
from include.domain.errors import BadInput
from include.domain.periods.months import ZONE, parse_instant, parse_month
from include.lake import Lake
from include.models import labels
from include.models.training_sets import Labelling
from include.stages import drift

_STRONGEST = 10


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.analysis")
    commands = parser.add_subparsers(required=True)
    tried = commands.add_parser("dry-run", help="what a warning rule would have done in a month")
    tried.add_argument("--rule", help="one rule; by default all of the file")
    tried.add_argument("--file", type=Path, help="rules to try instead of those of the configuration")
    tried.set_defaults(command=_dry_run)
    moved = commands.add_parser("drift", help="how factors moved, and which tell most about churn")
    moved.set_defaults(command=_drift)
    for command in (tried, moved):
        command.add_argument("--lake", required=True, help="folder of the lake")
        command.add_argument("--month", required=True, help="YYYY-MM, with factors in the lake")
        add_campaign(command)
        add_place(command)
        command.add_argument("--as-of", help="instant from which on nothing is known; default: now")
        command.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser


def _dry_run(
    asked: argparse.Namespace, config: Config, month: str, as_of: datetime, db: Connection | None
) -> Iterator[str]:
    tried = config.rules
    if asked.file:
        if not asked.file.is_file():
            raise BadInput(f"There is no file {asked.file}. Name a YAML file of rules.")
        tried = rules.parse(read_yaml(read_text(asked.file), asked.file.name), asked.file.name)
        rules.check_factors(tried, config.factors, asked.file.name)
    trial = Trial(Lake(asked.lake), config, asked.campaign, month, tried)
    found = dry_run(trial, as_of=as_of, name=asked.rule, db=db)
    for facts in found:
        yield json.dumps(facts) if asked.json else sentence(facts)


def _drift(
    asked: argparse.Namespace, config: Config, month: str, as_of: datetime, db: Connection | None
) -> Iterator[str]:
    lake = Lake(asked.lake)
    label = labels.label_of(config, asked.campaign)
    labelling = label and Labelling(db, lake, asked.campaign, label, as_of)
    people = drift.newest_labelled(labelling, month) if labelling else None
    shifts = drift.shifts_of(lake, config, asked.campaign, month)
    found = drift.Found(shifts, drift.strengths_of(lake, config, people), people.month if people else None)
    if asked.json:
        yield from (json.dumps(asdict(each)) for each in found.shifts)
        yield from (json.dumps(asdict(each)) for each in found.strengths)
        return
    yield drift.result_of(lake, month, found, has_model=label is not None)["message"]
    for each in found.shifts:
        yield f"{each.subject:<32}{each.psi:>8.4f}  {each.level:<8} known {each.coverage:.0%}"
    for best in found.strengths:
        if best.rank <= _STRONGEST:
            figures = f"{best.information_value:>8.4f}{best.mutual_information:>9.5f}"
            yield f"{best.cluster:<10}{best.rank:>3}  {best.factor:<32}{figures}"


def main(words: list[str] | None = None) -> int:
    """Run a command; the exit status is 1, after one sentence on stderr, when a person must act."""
    asked = _parser().parse_args(words)

    def run() -> None:
        month = parse_month(asked.month)
        as_of = parse_instant(asked.as_of, "--as-of") if asked.as_of else datetime.now(ZONE)
        config = load_config(settings.config_folder())
        with opened(asked.db) if asked.db else nullcontext() as db:
            for line in asked.command(asked, config, month, as_of, db):
                print(line)

    return ended(run)


if __name__ == "__main__":
    sys.exit(main())
