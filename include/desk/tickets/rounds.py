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
    from include.desk.tickets.transaction import OpenedTicket

STOPS = load("clocks/stops")


def round_began_at(opened: "OpenedTicket") -> datetime | None:
    """Since when the ticket's present round of work lasts; None before its release."""
    began: datetime | None = opened.run("find_round").scalar_one()
    return began


def done_in_round(opened: "OpenedTicket") -> sa.Row[Any]:
    """When survey and plan were first recorded in the present round: reopened starts over."""
    return opened.run("read_work", since=round_began_at(opened)).one()


def meet(opened: "OpenedTicket", *stops: sla.Stop) -> None:
    """End the running clocks that wait for one of these."""
    opened.run("meet_clocks", stops=list(stops))


def meet_plan_when_complete(opened: "OpenedTicket") -> None:
    """Survey and plan together meet the clocks that wait for the plan."""
    done = done_in_round(opened)
    if done.survey_at and done.plan_at:
        meet(opened, "plan")


def pauses(opened: "OpenedTicket") -> list[sla.Pause]:
    """The pauses of the present round, as told by the ticket's events."""
    return [
        (row.paused_from, row.paused_until)
        if row.ended_at is None
        else _cut_short(opened, (row.paused_from, row.paused_until), row.ended_at)
        for row in opened.run("read_pauses", since=round_began_at(opened))
    ]


def end_pause(opened: "OpenedTicket") -> None:
    """Give the days a pause cut short did not use back to the clocks; its own event is not written yet."""
    *earlier, last = pauses(opened)
    move_clocks(opened, [*earlier, _cut_short(opened, last, opened.actor.now)])


def _cut_short(opened: "OpenedTicket", pause: sla.Pause, ended_at: datetime) -> sla.Pause:
    """A pause ended early; after closing time its day is over and still rests."""
    local = ended_at.astimezone(ZONE)
    is_over = local.time() >= opened.terms.rules.closes
    return sla.end_pause(pause, local + timedelta(days=1) if is_over else local)


def move_clocks(opened: "OpenedTicket", pauses: Sequence[sla.Pause]) -> None:
    """Count the running clocks anew with these pauses; a deadline that has passed stands."""
    rests = as_rests(pauses, _stopped_days(opened))
    for clock in opened.run("find_running_clocks").all():
        if clock.due_at >= opened.actor.now:
            counted = opened.clocks.again(clock.explanation, clock.started_at, rests)
            opened.run("move_clock", clock=clock.clock, round=clock.round, **counted)


def _stopped_days(opened: "OpenedTicket") -> list[date]:
    """The days on which the clocks rested because outbound was stopped: they are nobody's pauses."""
    rules = opened.terms.rules
    rows = opened.run(STOPS["read_rests"], started_at=round_began_at(opened))
    return [
        day for row in rows for day in rested_days(row.stopped_at, row.lifted_at, rules.opens, rules.closes)
    ]
