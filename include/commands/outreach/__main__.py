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
    signature,
)
from include.commands.outreach.effect import effect
from include.commands.outreach.lists import OutreachList, export, list_of
from include.config import load_config
from include.lake import Lake


@on_database
def _show(db: sa.Connection, args: argparse.Namespace) -> None:
    """the list, phone numbers masked"""
    rows, left_out = list_of(_list(db, args), instant(args), is_masked=True)
    if rows:
        cells = [
            (str(row["rank"]), row["msisdn"], row["channel"], row["offer"], row["offer_zh"]) for row in rows
        ]
        print(in_columns(cells, to_the_right=[0]))
    print(f"{len(rows):,} may be written to, left out since the listing: {left_out or 'nobody'}.")


@on_database
def _export(db: sa.Connection, args: argparse.Namespace) -> None:
    """write the list to a file"""
    done = export(_list(db, args), args.to, signature(args), is_masked=args.masked)
    print(json.dumps(done, ensure_ascii=False))


@on_database
def _effect(db: sa.Connection, args: argparse.Namespace) -> None:
    """what the contact changed, against those held out"""
    print(json.dumps(effect(_list(db, args), instant(args))))


def _list(db: sa.Connection, args: argparse.Namespace) -> OutreachList:
    return OutreachList(db, Lake(args.lake), load_config(settings.config_folder()), args.campaign, args.cycle)


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
