"""Branches, staff, rosters and leave in the operations database: loaded whole, shown, corrected."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypedDict, cast

import sqlalchemy as sa

from include.commands.staff.files import Absence, Branch, People, Person
from include.config import Config
from include.database.queries import load
from include.domain.errors import BadInput
from include.domain.periods.months import ZONE
from include.domain.signature import Signature

Q = load("commands/roster")


@dataclass(frozen=True)
class _Known:
    """What stands already: branch and the one it reports to, staff codes, user names and whose they are."""

    branches: Mapping[str, str | None]
    staff: Collection[str]
    users: Mapping[str, str]


class PersonAtWork(TypedDict):
    """Who works here: skills with semicolons between, contacts a day, whether on duty today, tickets in hand, leave.

    `leave` is the current or next one, first/last day; None without.
    """

    staff_code: str
    name: str
    role: str
    team: str
    branch_code: str | None
    airflow_username: str | None
    skills: str
    contacts_per_day: int
    is_on_duty: bool
    unfinished: int
    leave: str | None


def load_people(db: sa.Connection, config: Config, people: People, signed: Signature) -> dict[str, int]:
    """Load a file's rows in one transaction, all or none; what is there already is brought up to date.

    The roster of a person's week is replaced as a whole by the rows of that week. BadInput lists what does not
    fit together: unknown teams, branches or people, a circle of branches, a user name somebody else has.
    """
    with db.begin():
        db.execute(Q["lock_people"])
        known = _known(db)
        if faults := list(_faults(config, people, known)):
            raise BadInput("Nothing was loaded: " + "; ".join(faults[:10]) + ". Mend and load again.")
        _run(db, "put_branches", (row.model_dump() for row in people.branches))
        _run(db, "put_staff", (row.model_dump() for row in people.staff))
        _run(db, "clear_weeks", (row.model_dump() for row in people.shifts))
        _run(db, "put_shifts", (row.model_dump() for row in people.shifts))
        _run(db, "put_absences", (row.model_dump() for row in people.absences), by=signed.by, now=signed.at)
        counts = {name: len(getattr(people, name)) for name in ("branches", "staff", "shifts", "absences")}
        _keep(db, signed, "staff load", "people", counts)
    return counts


def take_leave(db: sa.Connection, absence: Absence, signed: Signature) -> None:
    """Record leave; one that began on the same day is replaced. BadInput when nobody has the staff code."""
    with db.begin():
        _require_person(db, absence.staff_code)
        _run(db, "put_absences", [absence.model_dump()], by=signed.by, now=signed.at)
        days = {"from_on": absence.from_on.isoformat(), "until_on": absence.until_on.isoformat()}
        _keep(db, signed, "leave", absence.staff_code, days)


def cancel_leave(db: sa.Connection, staff_code: str, from_on: date, signed: Signature) -> None:
    """Take back the leave that begins on a day; BadInput when there is none."""
    with db.begin():
        done = db.execute(Q["delete_absence"], {"staff_code": staff_code, "from_on": from_on})
        if not done.rowcount:
            raise BadInput(f"{staff_code} has no leave from {from_on}. See what there is: show.")
        _keep(db, signed, "leave taken back", staff_code, {"from_on": from_on.isoformat()})


def mark_present(db: sa.Connection, staff_code: str, is_present: bool, signed: Signature) -> None:
    """Somebody is here today, or is not (ill, unforeseen), until told otherwise; BadInput when nobody has the code."""
    with db.begin():
        _require_person(db, staff_code)
        db.execute(Q["mark_present"], {"staff_code": staff_code, "is_present": is_present})
        _keep(db, signed, "present" if is_present else "absent", staff_code, {})


def show(db: sa.Connection, now: datetime, team: str | None = None) -> list[PersonAtWork]:
    """Everybody at work, or one team, by team, role and staff code."""
    today = now.astimezone(ZONE).date()
    with db.begin():
        rows = db.execute(Q["show_people"], {"today": today, "team": team})
        return [cast("PersonAtWork", dict(row)) for row in rows.mappings()]


def staff_id_of(db: sa.Connection, staff_code: str) -> int:
    """The number of a person; BadInput when nobody has the code."""
    with db.begin():
        return _require_person(db, staff_code)


def _require_person(db: sa.Connection, staff_code: str) -> int:
    found = db.execute(Q["find_person"], {"staff_code": staff_code}).scalar()
    if found is None:
        raise BadInput(f"Nobody has the staff code '{staff_code}'. See who is there: show.")
    return int(found)


def _known(db: sa.Connection) -> _Known:
    staff = db.execute(Q["known_staff"]).all()
    return _Known(
        {row.branch_code: row.parent_code for row in db.execute(Q["known_branches"])},
        {row.staff_code for row in staff},
        {row.airflow_username: row.staff_code for row in staff if row.airflow_username},
    )


def _faults(config: Config, people: People, known: _Known) -> Iterator[str]:
    tree = {**known.branches, **{row.branch_code: row.parent_code for row in people.branches}}
    yield from _faults_of_tree(people.branches, tree)
    yield from _faults_of_staff(config, people.staff, tree, known)
    codes = {*known.staff, *(row.staff_code for row in people.staff)}
    named = [row.staff_code for row in people.shifts] + [row.staff_code for row in people.absences]
    for code in sorted(set(named) - codes):
        yield f"nobody has the staff code '{code}'; load the person first"


def _faults_of_tree(branches: Sequence[Branch], tree: Mapping[str, str | None]) -> Iterator[str]:
    for row in branches:
        if row.parent_code is not None and row.parent_code not in tree:
            yield f"branch '{row.branch_code}' reports to '{row.parent_code}', which is unknown"
        elif _is_circle(row.branch_code, tree):
            yield f"branch '{row.branch_code}' reports to itself in a circle"


def _is_circle(branch: str, tree: Mapping[str, str | None]) -> bool:
    seen, above = {branch}, tree.get(branch)
    while above is not None:
        if above in seen:
            return True
        seen.add(above)
        above = tree.get(above)
    return False


def _faults_of_staff(
    config: Config, staff: Sequence[Person], tree: Mapping[str, str | None], known: _Known
) -> Iterator[str]:
    users = dict(known.users)
    for row in staff:
        if row.team not in config.teams.teams:
            yield f"{row.staff_code}: team '{row.team}' is none of {', '.join(config.teams.teams)}"
        if row.branch_code is not None and row.branch_code not in tree:
            yield f"{row.staff_code}: branch '{row.branch_code}' is unknown; load it first"
        if row.airflow_username is not None:
            owner = users.setdefault(row.airflow_username, row.staff_code)
            if owner != row.staff_code:
                yield f"{row.staff_code}: the user '{row.airflow_username}' is {owner}'s"


def _run(db: sa.Connection, statement: str, rows: Iterable[Mapping[str, Any]], **values: Any) -> None:
    written = json.dumps([_plain(row) for row in rows], ensure_ascii=False)
    db.execute(Q[statement], {"rows": written, **values})


def _plain(row: Mapping[str, object]) -> dict[str, object]:
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in row.items()}


def _keep(
    db: sa.Connection, signed: Signature, action: str, subject: str, details: Mapping[str, int | str]
) -> None:
    values = {"now": signed.at, "actor": signed.by, "action": action, "subject": subject}
    db.execute(Q["keep_change"], values | {"details": json.dumps(dict(details), ensure_ascii=False)})
