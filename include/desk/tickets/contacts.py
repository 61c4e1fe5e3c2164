"""What is heard from the subscriber of a ticket: attempts to reach them, what they need, that they want no calls."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from include.config.readers.campaign.work import COMPLAINT
from include.desk.tickets.rounds import meet, meet_plan_when_complete
from include.desk.tickets.tasks import Q as TASKS
from include.desk.tickets.tasks import task_due
from include.desk.tickets.transaction import Actor, in_words, shanghai_time, working, working_on_customer
from include.domain.contact import outcome as outcomes
from include.domain.errors import BadInput

CHANNELS = ("call", "sms", "app", "visit")
RESULTS = ("reached", "no_answer", "refused", "call_back")
_LONGEST_PROMISE = timedelta(days=366)


def record_contact(
    actor: Actor, *, channel: str, result: str, call_back_at: datetime | None = None, note: str | None = None
) -> int:
    """Record an attempt, reached or not; the first one, and the first answered, meets clocks. The new version.

    `call_back_at` (aware, after now) belongs to the result 'call_back' and to no other.
    """
    _check_attempt(actor.now, channel, result, call_back_at)
    with working(actor, "contact") as opened:
        opened.run("record_attempt", channel=channel, result=result, call_back_at=call_back_at, note=note)
        meet(opened, "contact")
        if result != "no_answer":
            meet(opened, "reached")
        opened.details = {"channel": channel, "result": result}
        if call_back_at is not None:
            opened.details["call_back_at"] = call_back_at.isoformat()
    return opened.version


def _check_attempt(now: datetime, channel: str, result: str, call_back_at: datetime | None) -> None:
    if channel not in CHANNELS:
        raise BadInput(
            "'{typed}' is not a channel of an attempt. Choose one of {channels}.",
            code="unknown_channel", typed=channel, channels=CHANNELS,
        )  # fmt: skip
    if result not in RESULTS:
        raise BadInput(
            "'{typed}' is not a result of an attempt. Choose one of {results}.",
            code="unknown_result", typed=result, results=RESULTS,
        )  # fmt: skip
    if (result == "call_back") != (call_back_at is not None):
        raise BadInput(
            "The result is '{result}': give the instant promised with '{call_back}' and with nothing else.",
            code="call_back_alone", result=result, call_back="call_back",
        )  # fmt: skip
    if call_back_at is not None:
        _check_promise(now, call_back_at)


def _check_promise(now: datetime, call_back_at: datetime) -> None:
    if call_back_at.tzinfo is None:
        raise BadInput(
            "The call-back at {at} has no time zone. Write it with +08:00.",
            code="promise_without_zone", at=call_back_at.isoformat(),
        )  # fmt: skip
    if call_back_at <= now:
        raise BadInput(
            "The call-back at {at} does not lie ahead. Promise a later time.",
            code="promise_past", at=_promised(call_back_at),
        )  # fmt: skip
    if call_back_at > now + _LONGEST_PROMISE:
        raise BadInput(
            "The call-back at {at} is more than a year away. Promise an earlier time.",
            code="promise_far", at=_promised(call_back_at),
        )  # fmt: skip


def _promised(at: datetime) -> str:
    """An instant somebody wrote: at the ends of time no zone can be changed."""
    try:
        return shanghai_time(at)
    except OverflowError:
        return at.isoformat()


def record_survey(actor: Actor, *, needs: Sequence[str], note: str | None = None) -> int:
    """Record what the subscriber needs ('other' with words); it meets clocks, and with a plan those of the plan."""
    with working(actor, "survey") as opened:
        outcomes.check_needs(list(needs), note, opened.campaign.needs)
        opened.run("record_survey", needs=list(needs), note=note)
        meet(opened, "survey")
        meet_plan_when_complete(opened)
        opened.details = {"needs": list(needs)}
    return opened.version


def do_not_call(actor: Actor, *, words: str) -> int:
    """The customer wants no calls: a refusal for good, every ticket of theirs cancelled, a complaint opened.

    Reaches tickets of every campaign and team. Returns the ticket's new version.
    """
    said = in_words(words, "words")
    with working_on_customer(actor, "do_not_call") as opened:
        stopped = opened.run("stop_customer", words=said).scalar_one()
        opened.run("void_clocks")
        calendar = opened.clocks.calendar(opened.ticket.team, None)
        due = task_due(calendar, opened.campaign.units, COMPLAINT, actor.now)
        task_id = opened.run(
            TASKS["open_task"], task_ticket_id=actor.ticket_id, inbound_id=None, unit=COMPLAINT, words=said,
            due_at=due.at, is_provisional=due.is_provisional,
        ).scalar_one()  # fmt: skip
        opened.changes["closed_at"] = actor.now
        opened.details = {"words": said, "also_cancelled": stopped, "task": task_id}
    return opened.version
