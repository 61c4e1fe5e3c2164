"""Where a ticket stands on its campaign's contact ladder, in the round since its running plan clock began."""

from include.desk.acting import Actor, Work, looking
from include.domain import ladder
from include.domain.workdays import WorkCalendar


def step_of(work: Work) -> ladder.Step:
    """The next step of the contact ladder on a ticket in hand."""
    clock = work.run("find_plan_clock").one_or_none()
    rows = work.run("read_attempts", since=clock.started_at).all() if clock else []
    attempts = [ladder.Attempt(row.attempted_at, row.channel, row.result, row.call_back_at) for row in rows]
    # reading the calendar costs more than all the rest, and before the first call no day has to be judged
    calendar = work.terms.calendar if attempts else WorkCalendar(())
    return ladder.next_step(attempts, calendar, _rules(work))


def _rules(work: Work) -> ladder.Rules:
    config, ticket = work.actor.config, work.ticket
    floor = config.sla.rules(ticket.campaign, ticket.tier, ticket.team)
    return config.campaign(ticket.campaign).ladder.rules(floor.unreachable_attempts, floor.unreachable_days)


def next_contact(actor: Actor) -> ladder.Step:
    """The next step, to show; Refused when the ticket is not the person's to see. The version does not matter."""
    with looking(actor) as work:
        return step_of(work)
