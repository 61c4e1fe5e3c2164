"""What people do to a ticket: every action checks who, state and version, and leaves one event.

Each function is one transaction. It takes a connection with desk rights; row-level security hides what
`staff_id` may not see. All return the ticket's new version.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from include.config import Config
from include.domain import outcome as outcomes
from include.domain import sla
from include.domain.errors import BadInput, Refused
from include.domain.months import ZONE
from include.domain.ticket import next_state, refuse_frozen
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
class _Work:
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
        return {"ticket_id": self.actor.ticket_id, "now": self.actor.now, "staff_id": self.actor.staff_id}

    def run(self, statement: str, **values: Any) -> sa.CursorResult[Any]:
        return self.actor.db.execute(Q[statement], self.key | values)


def claim(actor: Actor) -> int:
    """Take an unassigned ticket of the own team."""
    with _working(actor, "claim") as work:
        if work.ticket.assignee_id not in (None, actor.staff_id):
            raise Refused(f"Ticket {actor.ticket_id} is already somebody's. Ask your lead to reassign it.")
        work.changes["assignee_id"] = actor.staff_id
    return work.version


def reassign(actor: Actor, to_staff_id: int) -> int:
    """Give a ticket to somebody else of its team; no clock restarts."""
    with _working(actor, "reassign") as work:
        heir = work.actor.db.execute(Q["find_staff"], {"staff_id": to_staff_id}).one_or_none()
        if heir is None or heir.team != work.ticket.team:
            raise Refused(
                f"Staff {to_staff_id} is not active in team '{work.ticket.team}'. Choose somebody who is."
            )
        work.changes["assignee_id"] = to_staff_id
        work.details = {"from": work.ticket.assignee_id, "to": to_staff_id}
    return work.version


def record_contact(
    actor: Actor, *, channel: str, result: str, call_back_on: date | None = None, note: str | None = None
) -> int:
    """Record an attempt, reached or not; the first one meets the first-contact clock."""
    if (result == "call_back") != (call_back_on is not None):
        raise BadInput(
            f"Result '{result}' with call-back date {call_back_on}: give a date with 'call_back' alone."
        )
    with _working(actor, "contact") as work:
        work.run("record_attempt", channel=channel, result=result, call_back_on=call_back_on, note=note)
        work.run("meet_clock", clock="first_contact")
        work.details = {"channel": channel, "result": result}
    return work.version


def record_survey(actor: Actor, *, needs: Sequence[str], note: str | None = None) -> int:
    """Record what the subscriber needs; with a plan it meets the plan clock."""
    outcomes.check_needs(list(needs))
    with _working(actor, "survey") as work:
        work.run("record_survey", needs=list(needs), note=note)
        _meet_plan_when_complete(work)
        work.details = {"needs": list(needs)}
    return work.version


def record_plan(actor: Actor, *, strategy: str, note: str | None = None) -> int:
    """Record the offer of a configured strategy; with a survey it meets the plan clock."""
    known = actor.config.strategies.strategies
    if strategy not in known:
        raise BadInput(f"'{strategy}' is not a strategy. Choose one of {', '.join(known)}.")
    chosen = known[strategy]
    with _working(actor, "plan") as work:
        valid_until = actor.now.astimezone(ZONE).date() + timedelta(days=chosen.valid_days)
        work.run(
            "record_plan", strategy=strategy, offer=chosen.offer_zh, offer_reason=chosen.reason,
            cost_yuan=chosen.cost_yuan, valid_until=valid_until, note=note,
        )  # fmt: skip
        _meet_plan_when_complete(work)
        work.details = {"strategy": strategy}
    return work.version


def pause(actor: Actor, *, call_back_on: date) -> int:
    """Rest the plan clock from today to the promised call-back, exclusive."""
    with _working(actor, "pause") as work:
        calendar = read_calendar(actor.db, actor.config, actor.now)
        clock = work.run("find_plan_clock").one()
        if clock.met_at is None and clock.due_at < actor.now:
            raise Refused(
                f"The plan was due at {_told(clock.due_at)}; a pause cannot undo that. Work the ticket."
            )
        earlier = _pauses(work)
        start, until = sla.plan_pause(
            actor.now, call_back_on, calendar, earlier,
            with_lead=work.role == "lead", limit=actor.config.sla.max_pause_days,
        )  # fmt: skip
        _move_plan_clock(work, [*earlier, (start, until)])
        work.changes["paused_until"] = until
        work.details = {"from": start.isoformat(), "until": until.isoformat()}
    return work.version


def resume(actor: Actor) -> int:
    """End a pause; a pause cut short gives its remaining days back to the clock."""
    with _working(actor, "resume") as work:
        pass
    return work.version


def close(actor: Actor, *, outcome: str) -> int:
    """Close with an outcome; Refused while survey, plan or attempts it needs are missing."""
    with _working(actor, "close") as work:
        done = _done(work)
        rules = actor.config.sla
        calendar = read_calendar(actor.db, actor.config, actor.now)
        outcomes.check_close(
            outcome,
            has_survey=done.survey_at is not None,
            has_plan=done.plan_at is not None,
            may_be_unreachable=sla.is_unreachable(
                done.attempts, calendar, rules.unreachable_attempts, rules.unreachable_days
            ),
        )
        work.run("meet_clock", clock="plan")
        work.changes |= {"outcome": outcome, "closed_at": actor.now}
        work.details = {"outcome": outcome}
    return work.version


def cancel(actor: Actor, *, reason: str) -> int:
    """Withdraw a ticket (gone, wrong number, …); its clocks are void."""
    with _working(actor, "cancel") as work:
        work.run("void_clocks")
        work.changes["closed_at"] = actor.now
        work.details = {"reason": reason}
    return work.version


def reopen(actor: Actor, *, reason: str) -> int:
    """Open a closed ticket again with a new plan clock; the verdict of the old one stays."""
    with _working(actor, "reopen") as work:
        other = work.run("find_unfinished_ticket").scalar()
        if other is not None:
            raise Refused(f"The customer already has ticket {other} in work. Go on with that one.")
        calendar = read_calendar(actor.db, actor.config, actor.now)
        old = work.run("find_plan_clock").one()
        work.run("start_plan_clock", round=old.round + 1, **plan_clock(calendar, actor.config, actor.now))
        work.changes |= {"outcome": None, "closed_at": None}
        work.details = {"reason": reason}
    return work.version


@contextmanager
def _working(actor: Actor, action: str) -> Iterator[_Work]:
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
        refuse_frozen(action, ticket.frozen_because)
        work = _Work(actor, ticket, me.role, action, next_state(ticket.state, action, me.role))
        yield work
        _write(work, me)


def _write(work: _Work, me: sa.Row[Any]) -> None:
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


def _end_pause(work: _Work) -> None:
    """Give the days a pause cut short did not use back to the clock; its own event is not written yet."""
    *earlier, last = _pauses(work)
    _move_plan_clock(work, [*earlier, _cut_short(work, last, work.actor.now)])


def _stale(actor: Actor, ticket: sa.Row[Any]) -> str:
    last = actor.db.execute(Q["last_event"], {"ticket_id": actor.ticket_id}).one()
    return (
        f"Ticket {actor.ticket_id} was changed meanwhile: '{last.kind}' by {last.actor} at {_told(last.occurred_at)}. "
        f"You saw version {actor.version}, it stands at {ticket.version}. Look at it again, then repeat."
    )


def _told(instant: datetime) -> str:
    return f"{instant.astimezone(ZONE):%Y-%m-%d %H:%M}"


def _done(work: _Work) -> sa.Row[Any]:
    """What was recorded since the running plan clock began: a reopened ticket starts over."""
    return work.run("read_work", since=work.run("find_plan_clock").one().started_at).one()


def _meet_plan_when_complete(work: _Work) -> None:
    done = _done(work)
    if done.survey_at and done.plan_at:
        work.run("meet_clock", clock="plan")


def _pauses(work: _Work) -> list[sla.Pause]:
    """The pauses of the running plan clock, as told by the ticket's events."""
    clock = work.run("find_plan_clock").one()
    return [
        (row.paused_from, row.paused_until)
        if row.ended_at is None
        else _cut_short(work, (row.paused_from, row.paused_until), row.ended_at)
        for row in work.run("read_pauses", started_at=clock.started_at)
    ]


def _cut_short(work: _Work, pause: sla.Pause, ended_at: datetime) -> sla.Pause:
    """A pause ended early; after closing time its day is over and still rests."""
    local = ended_at.astimezone(ZONE)
    is_over = local.time() >= work.actor.config.sla.closes
    return sla.end_pause(pause, local + timedelta(days=1) if is_over else local)


def _move_plan_clock(work: _Work, pauses: Sequence[sla.Pause]) -> None:
    clock = work.run("find_plan_clock").one()
    calendar = read_calendar(work.actor.db, work.actor.config, work.actor.now)
    work.run(
        "move_plan_clock",
        round=clock.round,
        **plan_clock(calendar, work.actor.config, clock.started_at, pauses),
    )
