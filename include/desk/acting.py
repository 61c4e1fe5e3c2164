"""One action on a ticket: who, state and version checked under its lock, change and event written together.

A connection with desk rights is given; row-level security hides what `staff_id` may not see.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from include.config import Config
from include.domain import sla
from include.domain.errors import Refused
from include.domain.months import ZONE
from include.domain.ticket import next_state
from include.queries import load
from include.stages.sla import plan_clock, read_calendar

Q = load("desk")


@dataclass(frozen=True)
class Actor:
    """Who acts, on which ticket as last seen, at which instant."""

    db: sa.Connection
    config: Config
    staff_id: int
    ticket_id: int
    version: int
    now: datetime


@dataclass
class Work:
    """A ticket locked for one action, and what the action changes about it."""

    actor: Actor
    ticket: sa.Row[Any]
    role: str
    action: str
    to_state: str
    changes: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    version: int = 0

    @property
    def key(self) -> dict[str, Any]:
        """What nearly every statement about the ticket asks for."""
        return {"ticket_id": self.actor.ticket_id, "now": self.actor.now, "staff_id": self.actor.staff_id}

    def run(self, statement: str, **values: Any) -> sa.CursorResult[Any]:
        """Run a statement of sql/desk.sql about this ticket."""
        return self.actor.db.execute(Q[statement], self.key | values)


@contextmanager
def working(actor: Actor, action: str) -> Iterator[Work]:
    """Lock the ticket, check role, state and version, then write the change and its event together."""
    with actor.db.begin():
        actor.db.execute(Q["identify"], {"staff_id": str(actor.staff_id)})
        me = actor.db.execute(Q["find_staff"], {"staff_id": actor.staff_id}).one_or_none()
        if me is None:
            raise Refused(f"Staff {actor.staff_id} is unknown or no longer active. Ask your lead.")
        ticket = actor.db.execute(Q["lock_ticket"], {"ticket_id": actor.ticket_id}).one_or_none()
        if ticket is None:
            raise Refused(
                f"Ticket {actor.ticket_id} does not exist or is not yours to work. Go back to your queue."
            )
        if ticket.version != actor.version:
            raise Refused(_stale(actor, ticket))
        work = Work(actor, ticket, me.role, action, next_state(ticket.state, action, me.role))
        yield work
        _write(work, me)


def _write(work: Work, me: sa.Row[Any]) -> None:
    ticket = work.ticket
    if ticket.state == "paused" and work.to_state != "paused":
        _end_pause(work)
    is_taken_by_acting = ticket.assignee_id is None and work.role == "agent"
    values: dict[str, Any] = {
        "version": ticket.version,
        "kind": work.action,
        "from_state": ticket.state,
        "to_state": work.to_state,
        "actor": me.staff_code,
        "assignee_id": work.actor.staff_id if is_taken_by_acting else ticket.assignee_id,
        "paused_until": ticket.paused_until if work.to_state == "paused" else None,
        "outcome": None,
        "closed_at": None,
        "details": json.dumps(work.details, ensure_ascii=False),
    }
    work.version = int(work.run("change_ticket", **(values | work.changes)).scalar_one())


def _end_pause(work: Work) -> None:
    """Give the days a pause cut short did not use back to the clock; its own event is not written yet."""
    *earlier, last = pauses(work)
    move_plan_clock(work, [*earlier, _cut_short(work, last, work.actor.now)])


def _stale(actor: Actor, ticket: sa.Row[Any]) -> str:
    last = actor.db.execute(Q["last_event"], {"ticket_id": actor.ticket_id}).one()
    return (
        f"Ticket {actor.ticket_id} was changed meanwhile: '{last.kind}' by {last.actor} at {told(last.occurred_at)}. "
        f"You saw version {actor.version}, it stands at {ticket.version}. Look at it again, then repeat."
    )


def told(instant: datetime) -> str:
    """An instant as people here read it."""
    return f"{instant.astimezone(ZONE):%Y-%m-%d %H:%M}"


def done_in_round(work: Work) -> sa.Row[Any]:
    """What was recorded since the running plan clock began: a reopened ticket starts over."""
    return work.run("read_work", since=work.run("find_plan_clock").one().started_at).one()


def meet_plan_when_complete(work: Work) -> None:
    """Survey and plan together meet the plan clock."""
    done = done_in_round(work)
    if done.survey_at and done.plan_at:
        work.run("meet_clock", clock="plan")


def pauses(work: Work) -> list[sla.Pause]:
    """The pauses of the running plan clock, as told by the ticket's events."""
    clock = work.run("find_plan_clock").one()
    return [
        (row.paused_from, row.paused_until)
        if row.ended_at is None
        else _cut_short(work, (row.paused_from, row.paused_until), row.ended_at)
        for row in work.run("read_pauses", started_at=clock.started_at)
    ]


def _cut_short(work: Work, pause: sla.Pause, ended_at: datetime) -> sla.Pause:
    """A pause ended early; after closing time its day is over and still rests."""
    local = ended_at.astimezone(ZONE)
    is_over = local.time() >= work.actor.config.sla.closes
    return sla.end_pause(pause, local + timedelta(days=1) if is_over else local)


def move_plan_clock(work: Work, pauses: Sequence[sla.Pause]) -> None:
    """Count the running plan clock anew with these pauses."""
    clock = work.run("find_plan_clock").one()
    calendar = read_calendar(work.actor.db, work.actor.config, work.actor.now)
    work.run(
        "move_plan_clock",
        round=clock.round,
        **plan_clock(calendar, work.actor.config, clock.started_at, pauses),
    )
