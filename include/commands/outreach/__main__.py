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
from include.commands import (
    Command,
    Option,
    add_campaign,
    add_place_and_time,
    command_line,
    in_columns,
    instant,
    lake_option,
    on_database,
    option,
)
from include.commands.outreach.effect import effect
from include.commands.outreach.lists import export, list_of
from include.config import load_config
from include.lake import Lake


@on_database
def _show(db: sa.Connection, args: argparse.Namespace) -> None:
    """the list, phone numbers masked"""
    rows, left_out = list_of(
        db=db, lake=Lake(args.lake), config=load_config(settings.config_folder()), campaign=args.campaign,
        cycle=args.cycle, now=instant(args), is_masked=True,
    )  # fmt: skip
    if rows:
        shown = ("rank", "msisdn", "channel", "offer", "offer_zh")
        print(in_columns([[str(row[name]) for name in shown] for row in rows], to_the_right=[0]))
    print(f"{len(rows):,} may be written to, left out since the listing: {left_out or 'nobody'}.")


@on_database
def _export(db: sa.Connection, args: argparse.Namespace) -> None:
    """write the list to a file"""
    made = export(
        db=db, lake=Lake(args.lake), config=load_config(settings.config_folder()), campaign=args.campaign,
        cycle=args.cycle, to=args.to, by=args.by, now=instant(args), is_masked=args.masked,
    )  # fmt: skip
    print(json.dumps(made, ensure_ascii=False))


@on_database
def _effect(db: sa.Connection, args: argparse.Namespace) -> None:
    """what the contact changed, against those held out"""
    made = effect(
        db=db, lake=Lake(args.lake), config=load_config(settings.config_folder()), campaign=args.campaign,
        cycle=args.cycle, now=instant(args),
    )  # fmt: skip
    print(json.dumps(made))


_LIST: tuple[Option, ...] = (
    add_place_and_time,
    lake_option("folder of the lake; default CHURN_LAKE"),
    add_campaign,
    option("--cycle", required=True),
)

main = command_line(
    "include.commands.outreach",
    "The outreach list.",
    {
        "show": Command(_show, _LIST),
        "export": Command(
            _export,
            (
                *_LIST,
                option("--to", required=True, type=Path, metavar="FILE", help="a new .csv or .parquet file"),
                option("--by", required=True, help="who takes it out, for the audit log"),
                option("--masked", action="store_true", help="without phone numbers"),
            ),
        ),
        "effect": Command(_effect, _LIST),
    },
)


if __name__ == "__main__":
    sys.exit(main())
