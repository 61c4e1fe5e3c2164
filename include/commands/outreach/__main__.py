"""The outreach list of a cycle: looked at masked, taken out for the SMS platform, measured against its hold-out.

python -m include.commands.outreach show --cycle YYYY-MM [--campaign NAME] [--db URL] [--lake DIR]
python -m include.commands.outreach export --cycle YYYY-MM --to FILE --by WHO [--masked]
python -m include.commands.outreach effect --cycle YYYY-MM
"""

import argparse
import json
import sys
from pathlib import Path

import sqlalchemy as sa

from include import settings
from include.commands import add_campaign, add_place_and_time, instant, on_database
from include.commands.outreach.effect import effect
from include.commands.outreach.lists import export, list_of
from include.config import Config, load_config
from include.lake import Lake


def _show(db: sa.Connection, lake: Lake, config: Config, told: argparse.Namespace) -> None:
    rows, left_out = list_of(
        db=db, lake=lake, config=config, campaign=told.campaign, cycle=told.cycle, now=instant(told), is_masked=True
    )  # fmt: skip
    for row in rows:
        print(f"{row['rank']:>7}  {row['msisdn']:<14}{row['channel']:<6}{row['offer']:<24}{row['offer_zh']}")
    print(f"{len(rows):,} may be written to, left out since the listing: {left_out or 'nobody'}.")


def _export(db: sa.Connection, lake: Lake, config: Config, told: argparse.Namespace) -> None:
    made = export(
        db=db, lake=lake, config=config, campaign=told.campaign, cycle=told.cycle, to=told.to, by=told.by,
        now=instant(told), is_masked=told.masked,
    )  # fmt: skip
    print(json.dumps(made, ensure_ascii=False))


def _effect(db: sa.Connection, lake: Lake, config: Config, told: argparse.Namespace) -> None:
    made = effect(
        db=db, lake=lake, config=config, campaign=told.campaign, cycle=told.cycle, now=instant(told)
    )
    print(json.dumps(made))


_COMMANDS = {"show": _show, "export": _export, "effect": _effect}
_HELP = {
    "show": "the list, phone numbers masked",
    "export": "write the list to a file",
    "effect": "what the contact changed, against those held out",
}


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m include.commands.outreach", description="The outreach list."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in _COMMANDS:
        one = commands.add_parser(name, help=_HELP[name])
        add_place_and_time(one)
        one.add_argument(
            "--lake", default=settings.lake_root(), help="folder of the lake; default CHURN_LAKE"
        )
        add_campaign(one)
        one.add_argument("--cycle", required=True)
    exports = commands.choices["export"]
    exports.add_argument("--to", required=True, type=Path, metavar="FILE", help="a new .csv or .parquet file")
    exports.add_argument("--by", required=True, help="who takes it out, for the audit log")
    exports.add_argument("--masked", action="store_true", help="without phone numbers")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Run the command; 1 and a sentence on stderr when something must be put right first."""
    told = _arguments(words)
    return on_database(
        told,
        lambda db: _COMMANDS[told.command](db, Lake(told.lake), load_config(settings.config_folder()), told),
    )


if __name__ == "__main__":
    sys.exit(main())
