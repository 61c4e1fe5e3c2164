"""What people do to a ticket itself: take, pass on, pause, close. Each returns the ticket's new version."""

from datetime import date

from include.desk.acting import Actor, done_in_round, move_plan_clock, pauses, told, working
from include.domain import outcome as outcomes
from include.domain import sla
from include.domain.errors import Refused
from include.stages.sla import plan_clock, read_calendar


def claim(actor: Actor) -> int:
    """Take an unassigned ticket of the own team."""
    with working(actor, "claim") as work:
        if work.ticket.assignee_id not in (None, actor.staff_id):
            raise Refused(f"Ticket {actor.ticket_id} is already somebody's. Ask your lead to reassign it.")
        work.changes["assignee_id"] = actor.staff_id
    return work.version


def reassign(actor: Actor, to_staff_id: int) -> int:
    """Give a ticket to somebody else of its team; no clock restarts."""
    with working(actor, "reassign") as work:
        heir = work.run("find_staff", staff_id=to_staff_id).one_or_none()
        if heir is None or heir.team != work.ticket.team:
            raise Refused(
                f"Staff {to_staff_id} is not active in team '{work.ticket.team}'. Choose somebody who is."
            )
        work.changes["assignee_id"] = to_staff_id
        work.details = {"from": work.ticket.assignee_id, "to": to_staff_id}
    return work.version


def pause(actor: Actor, *, call_back_on: date) -> int:
    """Rest the plan clock from today to the promised call-back, exclusive."""
    with working(actor, "pause") as work:
        calendar = read_calendar(actor.db, actor.config, actor.now)
        clock = work.run("find_plan_clock").one()
        if clock.met_at is None and clock.due_at < actor.now:
            raise Refused(
                f"The plan was due at {told(clock.due_at)}; a pause cannot undo that. Work the ticket."
            )
        earlier = pauses(work)
        start, until = sla.plan_pause(
            actor.now, call_back_on, calendar, earlier,
            with_lead=work.role == "lead", limit=actor.config.sla.max_pause_days,
        )  # fmt: skip
        move_plan_clock(work, [*earlier, (start, until)])
        work.changes["paused_until"] = until
        work.details = {"from": start.isoformat(), "until": until.isoformat()}
    return work.version


def resume(actor: Actor) -> int:
    """End a pause; a pause cut short gives its remaining days back to the clock."""
    with working(actor, "resume") as work:
        pass
    return work.version


def close(actor: Actor, *, outcome: str) -> int:
    """Close with an outcome; Refused while survey, plan or attempts it needs are missing."""
    with working(actor, "close") as work:
        done = done_in_round(work)
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
    with working(actor, "cancel") as work:
        work.run("void_clocks")
        work.changes["closed_at"] = actor.now
        work.details = {"reason": reason}
    return work.version


def reopen(actor: Actor, *, reason: str) -> int:
    """Open a closed ticket again with a new plan clock; the verdict of the old one stays."""
    with working(actor, "reopen") as work:
        other = work.run("find_unfinished_ticket").scalar()
        if other is not None:
            raise Refused(f"The customer already has ticket {other} in work. Go on with that one.")
        calendar = read_calendar(actor.db, actor.config, actor.now)
        old = work.run("find_plan_clock").one()
        work.run("start_plan_clock", round=old.round + 1, **plan_clock(calendar, actor.config, actor.now))
        work.changes |= {"outcome": None, "closed_at": None}
        work.details = {"reason": reason}
    return work.version
