"""People, rosters, leave and hand-over without SQL.

python -m include.commands.staff load FILE.csv|FILE.yaml --by WHO
python -m include.commands.staff show [--team TEAM]
python -m include.commands.staff leave STAFF_CODE --from YYYY-MM-DD [--until YYYY-MM-DD] [--because TEXT] [--cancel]
    --by WHO
python -m include.commands.staff present STAFF_CODE --by WHO
python -m include.commands.staff absent STAFF_CODE --by WHO
python -m include.commands.staff hand-over STAFF_CODE --because TEXT --by STAFF_CODE
    (each with [--db URL] [--now ISO])
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from include import settings
from include.commands import (
    Command,
    Option,
    add_place_and_time,
    an_id,
    command_line,
    day,
    in_columns,
    instant,
    on_database,
    option,
    signature,
)
from include.commands.staff import roster
from include.commands.staff.files import Absence, read_people
from include.config import load_config
from include.desk.tickets.reassignment import HandOver, hand_over
from include.domain.errors import BadInput


@on_database
def _load(db: sa.Connection, args: argparse.Namespace) -> None:
    """load a file of branches, staff, rosters and leave"""
    people = read_people(args.file)
    counts = roster.load_people(db, load_config(settings.config_folder()), people, signature(args))
    print(json.dumps({"stage": "staff", **counts, **({"message": people.note} if people.note else {})}))


@on_database
def _show(db: sa.Connection, args: argparse.Namespace) -> None:
    """everybody at work, or one team"""
    if args.team is not None:
        load_config(settings.config_folder()).teams.require(args.team)
    people = roster.show(db, instant(args), args.team)
    if not people:
        where = f"in team {args.team}" if args.team else "on the staff"
        print(f"Nobody is {where}. Load a file first: python -m include.commands.staff load FILE.csv")
        return
    print(in_columns([tuple(people[0]), *(tuple(_cell(value) for value in row.values()) for row in people)]))


@on_database
def _leave(db: sa.Connection, args: argparse.Namespace) -> None:
    """record leave, or take it back"""
    first, last = args.first, args.last or args.first
    if args.cancel:
        roster.cancel_leave(db, args.staff_code, first, signature(args))
    elif last < first:
        raise BadInput(f"--until {last} lies before --from {first}. Give the first day first.")
    else:
        absence = Absence(staff_code=args.staff_code, from_on=first, until_on=last, reason=args.because)
        roster.take_leave(db, absence, signature(args))
    print(json.dumps({"stage": "staff", "leave": args.staff_code, "cancelled": args.cancel}))


@on_database
def _present(db: sa.Connection, args: argparse.Namespace) -> None:
    """somebody is here today, or is not"""
    is_present = args.command == "present"
    roster.mark_present(db, args.staff_code, is_present, signature(args))
    print(json.dumps({"stage": "staff", args.command: args.staff_code}))


@on_database
def _hand_over(db: sa.Connection, args: argparse.Namespace) -> None:
    """give the tickets of somebody who leaves to others"""
    leaver_id, lead_id = (roster.staff_id_of(db, code) for code in (args.staff_code, args.by))
    done = hand_over(db, staff_id=lead_id, leaver_id=leaver_id, because=args.because, now=instant(args))
    print(json.dumps({"stage": "staff", **_as_json(done)}, ensure_ascii=False))


def _as_json(done: HandOver) -> dict[str, object]:
    user = done.airflow_username
    return {
        "tickets": done.tickets,
        "heirs": dict(done.heirs),
        "untrained": list(done.untrained),
        "call_backs": [
            {"ticket_id": each.ticket_id, "at": each.call_back_at.isoformat(), "staff_id": each.staff_id}
            for each in done.call_backs
        ],
        "message": f"Disable the Airflow user '{user}' too: Security, List Users."
        if user
        else "No Airflow user.",
    }


def _cell(value: object) -> str:
    return "" if value is None else str(value)


_CODE = option("staff_code", metavar="STAFF_CODE", type=an_id)


def _by(kind: type[str] | Callable[[str], str] = str) -> Option:
    return option("--by", required=True, type=kind, help="who decides, for the audit log")


main = command_line(
    "include.commands.staff",
    __doc__,
    {
        "load": Command(_load, (add_place_and_time, option("file", type=Path, metavar="FILE"), _by())),
        "show": Command(_show, (add_place_and_time, option("--team"))),
        "leave": Command(
            _leave,
            (
                add_place_and_time,
                _CODE,
                _by(),
                option("--from", dest="first", required=True, type=day, help="first day of the leave"),
                option("--until", dest="last", type=day, help="last day; default: the first"),
                option("--because"),
                option("--cancel", action="store_true", help="take the leave back"),
            ),
        ),
        "present": Command(_present, (add_place_and_time, _CODE, _by())),
        "absent": Command(_present, (add_place_and_time, _CODE, _by())),
        "hand-over": Command(
            _hand_over,
            (
                add_place_and_time,
                _CODE,
                _by(an_id),
                option("--because", required=True, help="why, in words"),
            ),
        ),
    },
)


if __name__ == "__main__":
    sys.exit(main())
