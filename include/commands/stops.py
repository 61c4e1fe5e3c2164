"""Stop all outbound of a region, team, campaign or everything: nothing is released, called or exported, clocks rest.

python -m include.commands.stops stop (--all | --campaign NAME | --team TEAM | --region CODE) --because TEXT --by WHO
python -m include.commands.stops lift STOP --by WHO
python -m include.commands.stops list
"""

import argparse
import json
import sys
from datetime import datetime

import sqlalchemy as sa

from include import settings
from include.clocks import stops
from include.commands import (
    Command,
    add_place_and_time,
    an_id,
    command_line,
    in_columns,
    instant,
    on_database,
    one_of,
    option,
)
from include.config import load_config
from include.domain.contact.stop import ALL, CAMPAIGN, REGION, TEAM, Scope
from include.domain.periods.months import ZONE
from include.domain.signature import Signature


@on_database
def _stop(db: sa.Connection, args: argparse.Namespace) -> None:
    config = load_config(settings.config_folder())
    named = {CAMPAIGN: args.campaign, TEAM: args.team, REGION: args.region}
    scope = next((Scope(kind, what) for kind, what in named.items() if what), Scope(ALL))
    made = stops.stop(db, config, scope, Signature(args.by, instant(args), args.because))
    print(json.dumps(made, ensure_ascii=False))


@on_database
def _lift(db: sa.Connection, args: argparse.Namespace) -> None:
    print(json.dumps(stops.lift(db, args.stop, Signature(args.by, instant(args))), ensure_ascii=False))


@on_database
def _list(db: sa.Connection, args: argparse.Namespace) -> None:
    with db.begin():
        rows = stops.read_stops(db)
    table = [("stop", "of", "since", "by", "until", "because")]
    for row in rows:
        of = Scope(row["scope"], row["what"]).named
        until = _at(row["lifted_at"]) if row["lifted_at"] else "stands"
        table.append(
            (str(row["stop_id"]), of, _at(row["stopped_at"]), row["stopped_by"], until, row["because"])
        )
    print(in_columns(table) if rows else "Nothing is stopped, nor ever was.")


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(ZONE):%Y-%m-%d %H:%M}"


_BY = option("--by", required=True, help="who, for the audit log")

main = command_line(
    "include.commands.stops",
    __doc__,
    {
        "stop": Command(
            _stop,
            (
                add_place_and_time,
                one_of(
                    ("--all", {"action": "store_true", "help": "everything"}),
                    ("--campaign", {"help": "one campaign"}),
                    ("--team", {"help": "one team"}),
                    ("--region", {"type": an_id, "help": "one region_code"}),
                ),
                option("--because", required=True, help="why, in words; told on every page"),
                _BY,
            ),
        ),
        "lift": Command(
            _lift, (add_place_and_time, option("stop", type=int, help="the number of the stop"), _BY)
        ),
        "list": Command(_list, (add_place_and_time,)),
    },
)


if __name__ == "__main__":
    sys.exit(main())
