"""What is heard from a subscriber: attempts to reach them and what they need. Each returns the ticket's new version."""

from collections.abc import Sequence
from datetime import date

from include.desk.acting import Actor, meet_plan_when_complete, working
from include.domain import outcome as outcomes
from include.domain.errors import BadInput


def record_contact(
    actor: Actor, *, channel: str, result: str, call_back_on: date | None = None, note: str | None = None
) -> int:
    """Record an attempt, reached or not; the first one meets the first-contact clock."""
    if (result == "call_back") != (call_back_on is not None):
        raise BadInput(
            f"Result '{result}' with call-back date {call_back_on}: give a date with 'call_back' alone."
        )
    with working(actor, "contact") as work:
        work.run("record_attempt", channel=channel, result=result, call_back_on=call_back_on, note=note)
        work.run("meet_clock", clock="first_contact")
        work.details = {"channel": channel, "result": result}
    return work.version


def record_survey(actor: Actor, *, needs: Sequence[str], note: str | None = None) -> int:
    """Record what the subscriber needs; with a plan it meets the plan clock."""
    outcomes.check_needs(list(needs))
    with working(actor, "survey") as work:
        work.run("record_survey", needs=list(needs), note=note)
        meet_plan_when_complete(work)
        work.details = {"needs": list(needs)}
    return work.version
