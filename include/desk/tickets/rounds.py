"""The present round of work on a ticket: since when, what is done in it, which clocks that meets, what rests them."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from include.database.queries import load
from include.domain import sla
from include.domain.contact.stop import as_rests, rested_days
from include.domain.periods.months import ZONE

if TYPE_CHECKING:
    from include.desk.tickets.acting import Work

STOPS = load("clocks/stops")


def round_began_at(work: "Work") -> datetime | None:
    """Since when the ticket's present round of work lasts; None before its release."""
    began: datetime | None = work.run("find_round").scalar_one()
    return began


def done_in_round(work: "Work") -> sa.Row[Any]:
    """When survey and plan were first recorded in the present round: reopened starts over."""
    return work.run("read_work", since=round_began_at(work)).one()


def meet(work: "Work", *stops: sla.Stop) -> None:
    """End the running clocks that wait for one of these."""
    work.run("meet_clocks", stops=list(stops))


def meet_plan_when_complete(work: "Work") -> None:
    """Survey and plan together meet the clocks that wait for the plan."""
    done = done_in_round(work)
    if done.survey_at and done.plan_at:
        meet(work, "plan")


def pauses(work: "Work") -> list[sla.Pause]:
    """The pauses of the present round, as told by the ticket's events."""
    return [
        (row.paused_from, row.paused_until)
        if row.ended_at is None
        else _cut_short(work, (row.paused_from, row.paused_until), row.ended_at)
        for row in work.run("read_pauses", since=round_began_at(work))
    ]


def end_pause(work: "Work") -> None:
    """Give the days a pause cut short did not use back to the clocks; its own event is not written yet."""
    *earlier, last = pauses(work)
    move_clocks(work, [*earlier, _cut_short(work, last, work.actor.now)])


def _cut_short(work: "Work", pause: sla.Pause, ended_at: datetime) -> sla.Pause:
    """A pause ended early; after closing time its day is over and still rests."""
    local = ended_at.astimezone(ZONE)
    is_over = local.time() >= work.terms.rules.closes
    return sla.end_pause(pause, local + timedelta(days=1) if is_over else local)


def move_clocks(work: "Work", pauses: Sequence[sla.Pause]) -> None:
    """Count the running clocks anew with these pauses; a deadline that has passed stands."""
    rests = as_rests(pauses, _stopped_days(work))
    for clock in work.run("find_running_clocks").all():
        if clock.due_at >= work.actor.now:
            counted = work.clocks.again(clock.explanation, clock.started_at, rests)
            work.run("move_clock", clock=clock.clock, round=clock.round, **counted)


def _stopped_days(work: "Work") -> list[date]:
    """The days on which the clocks rested because outbound was stopped: they are nobody's pauses."""
    rules = work.terms.rules
    rows = work.run(STOPS["read_rests"], started_at=round_began_at(work))
    return [
        day for row in rows for day in rested_days(row.stopped_at, row.lifted_at, rules.opens, rules.closes)
    ]
