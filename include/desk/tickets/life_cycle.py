"""What people do to a ticket itself: take, pass on, pause, close. Each returns the ticket's new version."""

import json
from datetime import date
from typing import get_args

import sqlalchemy as sa

from include.desk.tickets.checks import is_complete
from include.desk.tickets.procedure import step_of
from include.desk.tickets.rounds import done_in_round, meet, move_clocks, pauses
from include.desk.tickets.transaction import (
    Actor,
    OpenedTicket,
    in_words,
    limit_today,
    looking,
    shanghai_time,
    working,
    working_on_two,
)
from include.domain import sla
from include.domain.contact import outcome as outcomes
from include.domain.contact.ladder import Step
from include.domain.errors import BadInput, Refused
from include.domain.ticket import refuse_limited
from include.words.ladder import step_in_words

#: How the constraints begin that hold whoever calls to one unfinished ticket of a customer.
_ONE_CALLING = "tickets_one_calling_"


def claim(actor: Actor) -> int:
    """Take an unassigned ticket of the own team."""
    with working(actor, "claim") as opened:
        if opened.ticket.assignee_id not in (None, actor.staff_id):
            raise Refused(
                "Ticket {ticket} is already somebody's. Ask your lead to reassign it.",
                code="taken", ticket=actor.ticket_id,
            )  # fmt: skip
        opened.changes["assignee_id"] = actor.staff_id
    return opened.version


def reassign(actor: Actor, to_staff_id: int) -> int:
    """Give a ticket to somebody else of its team; no clock restarts."""
    with working(actor, "reassign") as opened:
        heir = opened.run("find_staff", staff_id=to_staff_id).one_or_none()
        if heir is None or heir.team != opened.ticket.team:
            raise Refused(
                "Staff {staff} is not active in team '{team}'. Choose somebody who is.",
                code="no_heir", staff=to_staff_id, team=opened.ticket.team,
            )  # fmt: skip
        opened.changes["assignee_id"] = to_staff_id
        opened.details = {"from": opened.ticket.assignee_id, "to": to_staff_id}
    return opened.version


def hand_back(actor: Actor, *, reason: str) -> int:
    """Return a ticket to the team's queue; state, clocks and promised call-backs stay."""
    words = in_words(reason, "reason")
    with working(actor, "hand_back") as opened:
        if opened.ticket.assignee_id is None:
            raise Refused(
                "Ticket {ticket} lies in the team's queue already. Claim it or leave it.",
                code="in_queue", ticket=actor.ticket_id,
            )  # fmt: skip
        opened.changes["assignee_id"] = None
        opened.details = {"from": opened.ticket.assignee_id, "reason": words}
    return opened.version


def pause(actor: Actor, *, call_back_on: date) -> int:
    """Rest the clocks from today to the promised call-back, exclusive; Refused when every deadline has passed."""
    with working(actor, "pause") as opened:
        running = opened.run("find_running_clocks").all()
        if running and running[-1].due_at < actor.now:
            raise Refused(
                "The ticket was due at {at}; a pause cannot undo that. Work the ticket.",
                code="past_due", at=shanghai_time(running[-1].due_at),
            )  # fmt: skip
        earlier = pauses(opened)
        start, until = sla.plan_pause(
            actor.now, call_back_on, opened.terms.calendar, earlier,
            with_lead=opened.role == "lead", limit=opened.terms.rules.max_pause_days,
        )  # fmt: skip
        move_clocks(opened, [*earlier, (start, until)])
        opened.changes["paused_until"] = until
        opened.details = {"from": start.isoformat(), "until": until.isoformat()}
    return opened.version


def resume(actor: Actor) -> int:
    """End a pause; a pause cut short gives its remaining days back to the clocks."""
    with working(actor, "resume") as opened:
        pass
    return opened.version


def close(actor: Actor, *, outcome: str, detail: str | None = None, satisfaction: int | None = None) -> int:
    """Close with a main outcome, its detail and how satisfied (0–10) the subscriber was.

    BadInput for a word not in the campaign's catalogue; Refused while what the ending needs is missing.
    """
    with working(actor, "close") as opened:
        catalogue = opened.campaign.catalogue
        needs = outcomes.outcome_named(outcome, catalogue).needs
        done, step = _recorded(opened, needs)
        following = {} if step is None else {"next_step": step_in_words(step)}
        chosen = outcomes.check_close(outcome, detail, catalogue=catalogue, done=done, **following)
        outcomes.check_satisfaction(satisfaction, chosen)
        meet(opened, *get_args(sla.Stop))
        ending = {"outcome": outcome, "outcome_detail": detail, "satisfaction": satisfaction}
        opened.changes |= {**ending, "is_willing": chosen.is_willing, "closed_at": actor.now}
        opened.details = {"outcome": outcome, "detail": detail, "satisfaction": satisfaction}
    return opened.version


def cancel(actor: Actor, *, reason: str) -> int:
    """Withdraw a ticket (gone, wrong number, …); its clocks are void."""
    with working(actor, "cancel") as opened:
        _end(opened)
        opened.details = {"reason": reason}
    return opened.version


def reopen(actor: Actor, *, reason: str) -> int:
    """Open a closed ticket again with new clocks for what is to be done anew; the verdicts of the old ones stay."""
    try:
        with working(actor, "reopen") as opened:
            _refuse_second(opened)
            _refuse_limited(opened)
            _start_again(opened)
            opened.changes |= dict.fromkeys(
                ("outcome", "outcome_detail", "is_willing", "satisfaction", "closed_at")
            )
            opened.details = {"reason": reason}
    except sa.exc.IntegrityError as error:
        if _ONE_CALLING not in str(error.orig):
            raise
        with looking(actor) as opened:  # another was dispatched or opened between the check and the record
            _refuse_second(opened)
        raise
    return opened.version


def _refuse_second(opened: OpenedTicket) -> None:
    """Refused where the customer has a ticket, in any campaign and team, beside which this one may not be worked."""
    other = opened.run("find_unfinished_ticket").one_or_none()
    if other is not None:
        raise Refused(
            "The customer has ticket {ticket} of campaign {campaign} in work. Go on with that one.",
            code="other_in_work", ticket=other.ticket_id, campaign=other.campaign,
        )  # fmt: skip


#: What is recorded anew, or done once more, on a ticket that was reopened.
_ANEW = frozenset({"survey", "plan", "closed"})


def _start_again(opened: OpenedTicket) -> None:
    """A new round of the clocks whose work starts over; whom somebody tried or reached was tried and reached."""
    waits = _ANEW if is_complete(opened) else _ANEW | {"checklist"}
    clocks = {name: clock for name, clock in opened.campaign.clocks.items() if clock.stops in waits}
    started = opened.terms.started(clocks, opened.actor.now)
    opened.run("start_clocks", clocks=json.dumps(started, ensure_ascii=False))


def _refuse_limited(opened: OpenedTicket) -> None:
    """Refused when a limit of contact stands; of a refusal told at the desk it is said when."""
    kind = limit_today(opened.actor)
    refused_at = opened.run("find_refusal", **_customer(opened)).scalar() if kind == "refused" else None
    if refused_at is not None:
        raise Refused(
            "The customer refused all calls at {at}. Leave them in peace.",
            code="refused_calls", at=shanghai_time(refused_at),
        )  # fmt: skip
    refuse_limited("reopen", kind)


def merge(
    actor: Actor, *, into: int, into_version: int, reason: str, has_changed_customer: bool = False
) -> tuple[int, int]:
    """Fold the actor's ticket into another one of the same customer: cancelled with a link, its contacts stay read.

    `has_changed_customer` says that two tickets which share neither customer nor number are one customer's
    since the customer's id changed. Returns the new versions of both, the surviving one last.
    """
    if into == actor.ticket_id:
        raise BadInput(
            "Ticket {ticket} cannot be merged into itself. Name the customer's other ticket.",
            code="merged_into_itself", ticket=into,
        )  # fmt: skip
    words = in_words(reason, "reason")
    with working_on_two(actor, "merge", (into, into_version), "absorb") as (gone, kept):
        if not (has_changed_customer or _customer(gone).items() & _customer(kept).items()):
            raise Refused(
                "Tickets {ticket} and {into} share neither customer nor number. "
                "Say that the customer's id has changed if they are one customer's.",
                code="two_customers", ticket=actor.ticket_id, into=into,
            )  # fmt: skip
        _end(gone)
        gone.changes["merged_into"] = into
        gone.details = {"into": into, "reason": words}
        promised = gone.run("find_promise").scalar()
        kept.details = {"from": actor.ticket_id, "reason": words} | (
            {"call_back_at": promised.isoformat()} if promised else {}
        )
    return gone.version, kept.version


def _recorded(opened: OpenedTicket, needs: frozenset[str]) -> tuple[set[str], Step | None]:
    """What of `needs` the running round has, and what the contact ladder asks for next."""
    done, step = done_in_round(opened), step_of(opened) if outcomes.PROCEDURE in needs else None
    recorded = {
        outcomes.SURVEY: done.survey_at is not None,
        outcomes.PLAN: done.plan_at is not None,
        outcomes.CHECKLIST: is_complete(opened),
        outcomes.PROCEDURE: step is not None and step.is_unreachable_allowed,
    }
    return {name for name, is_there in recorded.items() if is_there}, step


def _end(opened: OpenedTicket) -> None:
    opened.run("void_clocks")
    opened.changes["closed_at"] = opened.actor.now


def _customer(opened: OpenedTicket) -> dict[str, str]:
    return {"customer_key": opened.ticket.customer_key, "subscriber_id": opened.ticket.subscriber_id}
