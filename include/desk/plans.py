"""What a subscriber is offered. Each function returns the ticket's new version."""

from datetime import timedelta

from include.desk.acting import Actor, meet_plan_when_complete, working
from include.domain.errors import BadInput
from include.domain.months import ZONE


def record_plan(actor: Actor, *, strategy: str, note: str | None = None) -> int:
    """Record the offer of a configured strategy; with a survey it meets the plan clock."""
    known = actor.config.strategies.strategies
    if strategy not in known:
        raise BadInput(f"'{strategy}' is not a strategy. Choose one of {', '.join(known)}.")
    chosen = known[strategy]
    with working(actor, "plan") as work:
        valid_until = actor.now.astimezone(ZONE).date() + timedelta(days=chosen.valid_days)
        work.run(
            "record_plan", strategy=strategy, offer=chosen.offer_zh, offer_reason=chosen.reason,
            cost_yuan=chosen.cost_yuan, valid_until=valid_until, note=note,
        )  # fmt: skip
        meet_plan_when_complete(work)
        work.details = {"strategy": strategy}
    return work.version
