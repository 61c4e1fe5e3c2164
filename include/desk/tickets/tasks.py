"""Problems charged to another unit: opened from a ticket or a talk, with a deadline, followed until cured."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from include.clocks.ticket_clocks import read_clocks
from include.config import Config
from include.config.readers.campaign.work import Unit
from include.database.queries import load
from include.desk.tickets.acting import Actor, begin, identify, in_words, working
from include.domain.errors import BadInput, Refused

Q = load("desk/tasks")


def open_task(actor: Actor, *, unit: str, words: str) -> int:
    """Charge a problem to another unit; due after the working days the campaign gives it. The new version."""
    told = in_words(words, "words")
    with working(actor, "open_task") as work:
        team, branch = work.ticket.team, work.ticket.branch_code
        due = task_due(actor.db, actor.config, work.campaign.units, unit, actor.now, team, branch)
        task_id = work.run(
            Q["open_task"], task_ticket_id=actor.ticket_id, inbound_id=None, unit=unit, words=told, **due
        ).scalar_one()
        work.details = {"task": task_id, "unit": unit, "due_at": due["due_at"].isoformat()}
    return work.version


def finish_task(actor: Actor, *, task_id: int, result: str) -> int:
    """Record what the unit did; the task may outlive its ticket. Refused when it is done already."""
    told = in_words(result, "result")
    with working(actor, "finish_task") as work:
        _finish(actor.db, task_id, actor.ticket_id, told, actor.staff_id, actor.now)
        work.details = {"task": task_id, "result": told}
    return work.version


def inbound_tasks(db: sa.Connection) -> Sequence[sa.RowMapping]:
    """The unfinished tasks of talks without a ticket that the identified person may see, the most urgent first."""
    return db.execute(Q["read_inbound_tasks"]).mappings().all()


def finish_inbound_task(
    db: sa.Connection, *, staff_id: int, task_id: int, result: str, now: datetime
) -> None:
    """Record what the unit did about a task that came from a talk without a ticket."""
    told = in_words(result, "result")
    with begin(db):
        identify(db, staff_id)
        _finish(db, task_id, None, told, staff_id, now)


def task_due(
    db: sa.Connection,
    config: Config,
    units: Mapping[str, Unit],
    unit: str,
    now: datetime,
    team: str | None = None,
    branch: str | None = None,
) -> dict[str, Any]:
    """The deadline of a task given to one of a campaign's units at `now`: due_at (aware) and is_provisional."""
    if unit not in units:
        raise BadInput(
            "'{typed}' is not a unit of this campaign. Choose one of {units}.",
            code="unknown_unit", typed=unit, units=list(units),
        )  # fmt: skip
    deadline = read_clocks(db, config, now).calendar(team, branch).due_on(now, units[unit].days)
    return {"due_at": deadline.at, "is_provisional": deadline.is_provisional}


def _finish(
    db: sa.Connection, task_id: int, ticket_id: int | None, result: str, staff_id: int, now: datetime
) -> None:
    values = {"task_id": task_id, "task_ticket_id": ticket_id}
    task = db.execute(Q["lock_task"], values).one_or_none()
    if task is None:
        raise Refused(
            "Task {task} does not belong here or is not yours to see. Look at the ticket again.",
            code="no_task", task=task_id,
        )  # fmt: skip
    if task.done_at is not None:
        raise Refused(
            "Task {task} of unit '{unit}' is done already. Open a new one if it is not.",
            code="task_done", task=task_id, unit=task.unit,
        )  # fmt: skip
    db.execute(Q["finish_task"], {"task_id": task_id, "result": result, "staff_id": staff_id, "now": now})
