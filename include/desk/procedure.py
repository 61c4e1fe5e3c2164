"""Where a ticket stands on its campaign's contact ladder, in the round since its running plan clock began."""

from include.desk.acting import Actor, Work, looking
from include.domain import ladder


def step_of(work: Work) -> ladder.Step:
    """The next step of the contact ladder on a ticket in hand."""
    clock = work.run("find_plan_clock").one_or_none()
    rows = work.run("read_attempts", since=clock.started_at).all() if clock else []
    attempts = [ladder.Attempt(row.attempted_at, row.channel, row.result, row.call_back_at) for row in rows]
    campaign, rules = work.actor.config.campaign(work.ticket.campaign), work.terms.rules
    return ladder.next_step(
        attempts,
        work.terms.calendar,
        campaign.ladder.rules(rules.unreachable_attempts, rules.unreachable_days),
    )


def next_contact(actor: Actor) -> ladder.Step:
    """The next step, to show; Refused when the ticket is not the person's to see. The version does not matter."""
    with looking(actor) as work:
        return step_of(work)
