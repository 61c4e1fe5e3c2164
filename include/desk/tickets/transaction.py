"""One action on a ticket: who, state and version checked under its lock, change and event written together.

A connection with desk rights is given; row-level security hides what `staff_id` may not see.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, TypedDict

import sqlalchemy as sa

from include.clocks.ticket_clocks import Clocks, Terms, read_clocks
from include.config import Config
from include.config.readers.campaign import Campaign
from include.database.queries import load
from include.desk.tickets import rounds
from include.domain.errors import BadInput, Refused
from include.domain.periods.months import ZONE
from include.domain.ticket import (
    ASKS_LIMITS,
    ASKS_STOPS,
    UNFINISHED,
    is_taking,
    next_state,
    refuse_frozen,
    refuse_limited,
    refuse_stopped,
)
from include.run.cycles import campaign_of

Q = load("desk/actions")
HOLDS = load("desk/next")


@dataclass(frozen=True)
class Actor:
    """Who acts, on which ticket as last seen, at which instant."""

    db: sa.Connection
    config: Config
    staff_id: int
    ticket_id: int
    version: int
    now: datetime


@dataclass(frozen=True)
class AtDesk:
    """Who of the staff does something that is about no ticket, or about several, on which connection and when."""

    db: sa.Connection
    staff_id: int
    now: datetime


class TicketKey(TypedDict):
    """What nearly every statement about a ticket asks for."""

    ticket_id: int
    now: datetime
    staff_id: int


@dataclass
class OpenedTicket:
    """A ticket locked for one action, and what the action changes about it."""

    actor: Actor
    ticket: sa.Row[Any]
    role: str
    action: str
    to_state: str
    changes: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    version: int = 0

    @cached_property
    def clocks(self) -> Clocks:
        """The rules and working days of every ticket."""
        return read_clocks(self.actor.db, self.actor.config, self.actor.now)

    @cached_property
    def campaign(self) -> Campaign:
        """The rules the ticket is worked by."""
        return campaign_of(self.actor.db, self.actor.config, self.ticket.campaign, self.ticket.cycle)

    @property
    def terms(self) -> Terms:
        """The rules and the calendar this ticket goes by."""
        return self.clocks.of(self.ticket)

    @property
    def key(self) -> TicketKey:
        """What nearly every statement about the ticket asks for."""
        return {"ticket_id": self.actor.ticket_id, "now": self.actor.now, "staff_id": self.actor.staff_id}

    def run(self, statement: str | sa.TextClause, **values: Any) -> sa.CursorResult[Any]:
        """Run a statement about this ticket: one of sql/desk/actions.sql by name, or any other."""
        clause = Q[statement] if isinstance(statement, str) else statement
        return self.actor.db.execute(clause, {**self.key, **values})


@contextmanager
def working(actor: Actor, action: str) -> Iterator[OpenedTicket]:
    """Lock the ticket, check role, state and version, then write the change and its event together."""
    with _identified(actor) as me:
        opened = _open(actor, action, me)
        yield opened
        _write(opened, me)


@contextmanager
def working_on_two(
    actor: Actor, action: str, other: tuple[int, int], other_action: str
) -> Iterator[tuple[OpenedTicket, OpenedTicket]]:
    """The same for two tickets at once, `other` being (ticket_id, version): both change or neither."""
    with _identified(actor) as me:
        second = replace(actor, ticket_id=other[0], version=other[1])
        lock_in_order(actor, [actor.ticket_id, second.ticket_id])
        works = _open(actor, action, me), _open(second, other_action, me)
        yield works
        for opened in works:
            _write(opened, me)


@contextmanager
def working_on_customer(actor: Actor, action: str) -> Iterator[OpenedTicket]:
    """The same for a ticket whose customer's other tickets, seen or not, the action will change too."""
    with _identified(actor) as me:
        actor.db.execute(Q["lock_tickets_of_customer"], {"ticket_id": actor.ticket_id})
        opened = _open(actor, action, me)
        yield opened
        _write(opened, me)


@contextmanager
def looking(actor: Actor) -> Iterator[OpenedTicket]:
    """A ticket to read, whatever its version and state; nothing is locked or written."""
    with _identified(actor) as me:
        ticket = actor.db.execute(Q["see_ticket"], {"ticket_id": actor.ticket_id}).one_or_none()
        if ticket is None:
            raise hidden(actor.ticket_id)
        yield OpenedTicket(actor, ticket, me.role, "look", ticket.state)


def lock_in_order(actor: Actor, ticket_ids: Sequence[int]) -> None:
    """Lock several tickets by their number, as everybody does who locks more than one: nobody waits in a ring."""
    actor.db.execute(Q["lock_in_order"], {"ticket_ids": list(ticket_ids)})


@contextmanager
def _identified(actor: Actor) -> Iterator[sa.Row[Any]]:
    """A transaction in which row-level security knows who acts."""
    with begin(actor.db):
        yield identify(actor.db, actor.staff_id)


def begin(db: sa.Connection) -> sa.Transaction:
    """A transaction of its own, or a part of the open one when the action is done within a greater one."""
    return db.begin_nested() if db.in_transaction() else db.begin()


def identify(db: sa.Connection, staff_id: int) -> sa.Row[Any]:
    """Say who works in the open transaction; the person's row, or Refused when there is no such active one."""
    db.execute(Q["identify"], {"staff_id": str(staff_id)})
    me = db.execute(Q["find_staff"], {"staff_id": staff_id}).one_or_none()
    if me is None:
        raise Refused(
            "Staff {staff} is unknown or no longer active. Ask your lead.",
            code="not_on_staff",
            staff=staff_id,
        )
    return me


def _open(actor: Actor, action: str, me: sa.Row[Any]) -> OpenedTicket:
    """The locked ticket, checked against what the actor saw and may do."""
    ticket = actor.db.execute(Q["lock_ticket"], {"ticket_id": actor.ticket_id}).one_or_none()
    if ticket is None:
        raise hidden(actor.ticket_id)
    if ticket.version != actor.version:
        raise _stale(actor, ticket)
    refuse_held(actor, ticket, me.role)
    refuse_chosen(actor, ticket, action, me.role)
    refuse_frozen(action, ticket.frozen_because)
    to_state = next_state(ticket.state, action, me.role)
    if action in ASKS_STOPS:
        refuse_stopped(is_stopped(actor))
    if action in ASKS_LIMITS:
        refuse_limited(action, limit_today(actor))
    return OpenedTicket(actor, ticket, me.role, action, to_state)


def limit_today(actor: Actor) -> str | None:
    """The gravest limit of contact that stands at this moment for the customer of the ticket, watched or not yet."""
    asked = {"ticket_id": actor.ticket_id, "today": actor.now.astimezone(ZONE).date()}
    kind: str | None = actor.db.execute(Q["find_limit"], asked).scalar_one()
    return kind


def is_stopped(actor: Actor) -> bool:
    """Whether all outbound of the ticket's region, team or campaign is stopped at this moment."""
    return bool(actor.db.execute(Q["find_stop"], {"ticket_id": actor.ticket_id}).scalar_one())


def refuse_held(actor: Actor, ticket: sa.Row[Any], role: str) -> None:
    """Refused to an agent when somebody else was given the ticket as their next one."""
    if ticket.assignee_id is not None or role != "agent":
        return
    hold = actor.db.execute(
        HOLDS["find_hold"], {"ticket_id": actor.ticket_id, "now": actor.now}
    ).one_or_none()
    if hold is not None and hold.staff_id != actor.staff_id:
        raise Refused(
            "Ticket {ticket} is held for {person} until {at}. Take another one.",
            code="held", ticket=actor.ticket_id, person=hold.name, at=shanghai_time(hold.held_until),
        )  # fmt: skip


def refuse_chosen(actor: Actor, ticket: sa.Row[Any], action: str, role: str) -> None:
    """Refused when the ticket lies in a pool and the action would take it: the next one is given by rank."""
    lies_in_pool = ticket.is_pool and ticket.assignee_id is None and ticket.state in UNFINISHED
    if lies_in_pool and is_taking(action, role):
        raise Refused(
            "Ticket {ticket} lies in a pool, which gives the next one by rank: nobody chooses. Ask for the next "
            "ticket; when the customer is on the line, ask your lead to give you this one.",
            code="pool_gives_the_next", ticket=actor.ticket_id,
        )  # fmt: skip


#: What a ticket keeps through every action that does not say otherwise.
_KEPT = ("assignee_id", "outcome", "outcome_detail", "is_willing", "satisfaction", "closed_at", "merged_into")


def _write(opened: OpenedTicket, me: sa.Row[Any]) -> None:
    ticket = opened.ticket
    if ticket.state == "paused" and opened.to_state != "paused":
        rounds.end_pause(opened)
    values: dict[str, Any] = {name: getattr(ticket, name) for name in _KEPT}
    if ticket.assignee_id is None and opened.role == "agent" and ticket.state in UNFINISHED:
        values["assignee_id"] = me.staff_id  # acting is taking
    values |= {
        "version": ticket.version,
        "kind": opened.action,
        "from_state": ticket.state,
        "to_state": opened.to_state,
        "actor": me.staff_code,
        "paused_until": ticket.paused_until if opened.to_state == "paused" else None,
        "details": json.dumps(opened.details, ensure_ascii=False),
    }
    opened.version = int(opened.run("change_ticket", **(values | opened.changes)).scalar_one())


def hidden(ticket_id: int) -> Refused:
    """What is said of a ticket that does not exist or is another's: nobody is told which."""
    return Refused(
        "Ticket {ticket} does not exist or is not yours to work. Go back to your queue.",
        code="hidden", ticket=ticket_id,
    )  # fmt: skip


def _stale(actor: Actor, ticket: sa.Row[Any]) -> Refused:
    last = actor.db.execute(Q["last_event"], {"ticket_id": actor.ticket_id}).one()
    return Refused(
        "Ticket {ticket} was changed meanwhile: '{action}' by {actor} at {at}. "
        "You saw version {seen}, it stands at {version}. Look at it again, then repeat.",
        code="stale", ticket=actor.ticket_id, action=last.kind, actor=last.actor, at=shanghai_time(last.occurred_at),
        seen=actor.version, version=ticket.version,
    )  # fmt: skip


def shanghai_time(instant: datetime) -> str:
    """An instant as people here read it."""
    return f"{instant.astimezone(ZONE):%Y-%m-%d %H:%M}"


def in_words(said: str, field: str) -> str:
    """What was said in a field, without blanks around it; BadInput when it is nothing."""
    if not said.strip():
        raise BadInput("'{field}' is to be said in words. Write one sentence.", code="say_it", field=field)
    return said.strip()
