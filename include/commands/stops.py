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
from include.commands import add_place_and_time, an_id, in_columns, instant, on_database
from include.config import load_config
from include.domain.contact.stop import ALL, CAMPAIGN, REGION, TEAM, Scope
from include.domain.periods.months import ZONE


def _stop(db: sa.Connection, told: argparse.Namespace) -> None:
    config = load_config(settings.config_folder())
    named = {CAMPAIGN: told.campaign, TEAM: told.team, REGION: told.region}
    scope = next((Scope(kind, what) for kind, what in named.items() if what), Scope(ALL))
    made = stops.stop(db, config, scope, because=told.because, by=told.by, now=instant(told))
    print(json.dumps(made, ensure_ascii=False))


def _lift(db: sa.Connection, told: argparse.Namespace) -> None:
    print(json.dumps(stops.lift(db, told.stop, by=told.by, now=instant(told)), ensure_ascii=False))


def _list(db: sa.Connection, told: argparse.Namespace) -> None:
    with db.begin():
        rows = stops.read_stops(db)
    table = [("stop", "of", "since", "by", "until", "because")]
    for row in rows:
        of = Scope(row["scope"], row["what"]).told
        until = _at(row["lifted_at"]) if row["lifted_at"] else "stands"
        table.append(
            (str(row["stop_id"]), of, _at(row["stopped_at"]), row["stopped_by"], until, row["because"])
        )
    print(in_columns(table) if rows else "Nothing is stopped, nor ever was.")


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(ZONE):%Y-%m-%d %H:%M}"


_COMMANDS = {"stop": _stop, "lift": _lift, "list": _list}


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m include.commands.stops",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = {name: commands.add_parser(name) for name in _COMMANDS}
    for each in one.values():
        add_place_and_time(each)
    what = one["stop"].add_mutually_exclusive_group(required=True)
    what.add_argument("--all", action="store_true", help="everything")
    what.add_argument("--campaign", help="one campaign")
    what.add_argument("--team", help="one team")
    what.add_argument("--region", type=an_id, help="one region_code")
    one["stop"].add_argument("--because", required=True, help="why, in words; told on every page")
    one["lift"].add_argument("stop", type=int, help="the number of the stop")
    for name in ("stop", "lift"):
        one[name].add_argument("--by", required=True, help="who, for the audit log")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Run the command; the exit status is 1, after one sentence on stderr, when a person must act."""
    told = _arguments(words)
    return on_database(told, lambda db: _COMMANDS[told.command](db, told))


if __name__ == "__main__":
    sys.exit(main())
