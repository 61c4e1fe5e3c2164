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
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from include import settings
from include.commands import add_place_and_time, an_id, day, in_columns, instant, on_database
from include.commands.staff import roster
from include.commands.staff.files import Absence, read_people
from include.config import load_config
from include.desk.tickets.reassignment import HandOver, hand_over
from include.domain.errors import BadInput

Told = argparse.Namespace


def _load(db: sa.Connection, told: Told, now: datetime) -> None:
    """load a file of branches, staff, rosters and leave"""
    people = read_people(told.file)
    counts = roster.load_people(db, load_config(settings.config_folder()), people, by=told.by, now=now)
    print(json.dumps({"stage": "staff", **counts, **({"message": people.note} if people.note else {})}))


def _show(db: sa.Connection, told: Told, now: datetime) -> None:
    """everybody at work, or one team"""
    if told.team is not None:
        load_config(settings.config_folder()).teams.require(told.team)
    people = roster.show(db, now, told.team)
    if not people:
        where = f"in team {told.team}" if told.team else "on the staff"
        print(f"Nobody is {where}. Load a file first: python -m include.commands.staff load FILE.csv")
        return
    print(in_columns([tuple(people[0]), *(tuple(_cell(value) for value in row.values()) for row in people)]))


def _leave(db: sa.Connection, told: Told, now: datetime) -> None:
    """record leave, or take it back"""
    first, last = told.first, told.last or told.first
    if told.cancel:
        roster.cancel_leave(db, told.staff_code, first, by=told.by, now=now)
    elif last < first:
        raise BadInput(f"--until {last} lies before --from {first}. Give the first day first.")
    else:
        absence = Absence(staff_code=told.staff_code, from_on=first, until_on=last, reason=told.because)
        roster.take_leave(db, absence, by=told.by, now=now)
    print(json.dumps({"stage": "staff", "leave": told.staff_code, "cancelled": told.cancel}))


def _present(db: sa.Connection, told: Told, now: datetime) -> None:
    """somebody is here today, or is not"""
    is_present = told.command == "present"
    roster.mark_present(db, told.staff_code, is_present, by=told.by, now=now)
    print(json.dumps({"stage": "staff", told.command: told.staff_code}))


def _hand_over(db: sa.Connection, told: Told, now: datetime) -> None:
    """give the tickets of somebody who leaves to others"""
    leaver_id, lead_id = (roster.staff_id_of(db, code) for code in (told.staff_code, told.by))
    done = hand_over(db, staff_id=lead_id, leaver_id=leaver_id, because=told.because, now=now)
    print(json.dumps({"stage": "staff", **_told_of(done)}, ensure_ascii=False))


def _told_of(done: HandOver) -> dict[str, object]:
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


_COMMANDS: Mapping[str, Callable[[sa.Connection, Told, datetime], None]] = {
    "load": _load,
    "show": _show,
    "leave": _leave,
    "present": _present,
    "absent": _present,
    "hand-over": _hand_over,
}


def _arguments(words: list[str] | None) -> Told:
    parser = argparse.ArgumentParser(
        prog="python -m include.commands.staff",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, command in _COMMANDS.items():
        one = commands.add_parser(name, help=command.__doc__)
        add_place_and_time(one)
        if name == "load":
            one.add_argument("file", type=Path, metavar="FILE")
        elif name == "show":
            one.add_argument("--team")
        else:
            one.add_argument("staff_code", metavar="STAFF_CODE", type=an_id)
        if name != "show":
            who = an_id if name == "hand-over" else str
            one.add_argument("--by", required=True, type=who, help="who decides, for the audit log")
    leave = commands.choices["leave"]
    leave.add_argument("--from", dest="first", required=True, type=day, help="first day of the leave")
    leave.add_argument("--until", dest="last", type=day, help="last day; default: the first")
    leave.add_argument("--because")
    leave.add_argument("--cancel", action="store_true", help="take the leave back")
    commands.choices["hand-over"].add_argument("--because", required=True, help="why, in words")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Run the command; the exit status is 1, after one sentence on stderr, when a person must act."""
    told = _arguments(words)
    return on_database(told, lambda db: _COMMANDS[told.command](db, told, instant(told)))


if __name__ == "__main__":
    sys.exit(main())
