"""Where a ticket stands on its campaign's contact ladder, in its present round of work."""

from include.desk.tickets.rounds import round_began_at
from include.desk.tickets.transaction import Actor, OpenedTicket, looking
from include.domain.contact import ladder
from include.domain.workdays import WorkCalendar


def step_of(opened: OpenedTicket) -> ladder.Step:
    """The next step of the contact ladder on a ticket in hand."""
    began_at = round_began_at(opened)
    rows = opened.run("read_attempts", since=began_at).all() if began_at else []
    attempts = [ladder.Attempt(row.attempted_at, row.channel, row.result, row.call_back_at) for row in rows]
    # reading the calendar costs more than all the rest, and before the first call no day has to be judged
    calendar = opened.terms.calendar if attempts else WorkCalendar(())
    return ladder.next_step(attempts, calendar, _rules(opened))


def _rules(opened: OpenedTicket) -> ladder.Rules:
    ticket = opened.ticket
    floor = opened.actor.config.sla.rules(ticket.campaign, ticket.tier, ticket.team)
    return opened.campaign.ladder.rules(floor.unreachable_attempts, floor.unreachable_days)


def next_contact(actor: Actor) -> ladder.Step:
    """The next step, to show; Refused when the ticket is not the person's to see. The version does not matter."""
    with looking(actor) as opened:
        return step_of(opened)
