"""Where a ticket stands on its campaign's contact ladder, in its present round of work."""

from include.desk.tickets.acting import Actor, Work, looking
from include.desk.tickets.rounds import round_began_at
from include.domain.contact import ladder
from include.domain.workdays import WorkCalendar


def step_of(work: Work) -> ladder.Step:
    """The next step of the contact ladder on a ticket in hand."""
    began_at = round_began_at(work)
    rows = work.run("read_attempts", since=began_at).all() if began_at else []
    attempts = [ladder.Attempt(row.attempted_at, row.channel, row.result, row.call_back_at) for row in rows]
    # reading the calendar costs more than all the rest, and before the first call no day has to be judged
    calendar = work.terms.calendar if attempts else WorkCalendar(())
    return ladder.next_step(attempts, calendar, _rules(work))


def _rules(work: Work) -> ladder.Rules:
    ticket = work.ticket
    floor = work.actor.config.sla.rules(ticket.campaign, ticket.tier, ticket.team)
    return work.campaign.ladder.rules(floor.unreachable_attempts, floor.unreachable_days)


def next_contact(actor: Actor) -> ladder.Step:
    """The next step, to show; Refused when the ticket is not the person's to see. The version does not matter."""
    with looking(actor) as work:
        return step_of(work)
