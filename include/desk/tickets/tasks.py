"""Problems charged to another unit: opened from a ticket or a talk, with a deadline, followed until cured."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from include.config.readers.campaign.work import Unit
from include.database.queries import load
from include.desk.tickets.transaction import Actor, AtDesk, begin, identify, in_words, working
from include.domain.deadline import Deadline
from include.domain.errors import BadInput, Refused
from include.domain.workdays import WorkCalendar

Q = load("desk/tasks")


def open_task(actor: Actor, *, unit: str, words: str) -> int:
    """Charge a problem to another unit; due after the working days the campaign gives it. The new version."""
    text = in_words(words, "words")
    with working(actor, "open_task") as opened:
        team, branch = opened.ticket.team, opened.ticket.branch_code
        due = task_due(opened.clocks.calendar(team, branch), opened.campaign.units, unit, actor.now)
        task_id = opened.run(
            Q["open_task"],
            task_ticket_id=actor.ticket_id,
            inbound_id=None,
            unit=unit,
            words=text,
            due_at=due.at,
            is_provisional=due.is_provisional,
        ).scalar_one()
        opened.details = {"task": task_id, "unit": unit, "due_at": due.at.isoformat()}
    return opened.version


def finish_task(actor: Actor, *, task_id: int, result: str) -> int:
    """Record what the unit did; the task may outlive its ticket. Refused when it is done already."""
    text = in_words(result, "result")
    with working(actor, "finish_task") as opened:
        _finish(AtDesk(actor.db, actor.staff_id, actor.now), task_id, actor.ticket_id, text)
        opened.details = {"task": task_id, "result": text}
    return opened.version


def inbound_tasks(db: sa.Connection) -> Sequence[sa.RowMapping]:
    """The unfinished tasks of talks without a ticket that the identified person may see, the most urgent first."""
    return db.execute(Q["read_inbound_tasks"]).mappings().all()


def finish_inbound_task(
    db: sa.Connection, *, staff_id: int, task_id: int, result: str, now: datetime
) -> None:
    """Record what the unit did about a task that came from a talk without a ticket."""
    text = in_words(result, "result")
    with begin(db):
        identify(db, staff_id)
        _finish(AtDesk(db, staff_id, now), task_id, None, text)


def task_due(calendar: WorkCalendar, units: Mapping[str, Unit], unit: str, now: datetime) -> Deadline:
    """The deadline of a task given to one of a campaign's units at `now`; BadInput for a unit it has not."""
    if unit not in units:
        raise BadInput(
            "'{typed}' is not a unit of this campaign. Choose one of {units}.",
            code="unknown_unit", typed=unit, units=list(units),
        )  # fmt: skip
    return calendar.due_on(now, units[unit].days)


def _finish(desk: AtDesk, task_id: int, ticket_id: int | None, result: str) -> None:
    values = {"task_id": task_id, "task_ticket_id": ticket_id}
    task = desk.db.execute(Q["lock_task"], values).one_or_none()
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
    done = {"task_id": task_id, "result": result, "staff_id": desk.staff_id, "now": desk.now}
    desk.db.execute(Q["finish_task"], done)
