"""The life of a work order: states and transitions as data, and who may make each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from include.domain.errors import Refused
from include.domain.text.words import Phrase

UNFINISHED = ("waiting", "assigned", "in_progress", "paused")
FINISHED = ("closed", "cancelled", "expired")
STATES = (*UNFINISHED, *FINISHED)

LOOP, AGENT, LEAD, MANAGER = "loop", "agent", "lead", "manager"
_LOOP = frozenset({LOOP})
_LEADS = frozenset({LEAD})
_PEOPLE = frozenset({AGENT, LEAD})
_RELEASED = ("assigned", "in_progress", "paused")
_WORKED = ("in_progress", "paused")


@dataclass(frozen=True)
class Action:
    """One thing that may happen to a ticket: from which states to which, by whom; `to=None` keeps the state.

    `done` ends the sentence "a ticket is …" or "cannot be …".
    """

    to: str | None
    since: frozenset[str]
    by: frozenset[str]
    done: str


def _action(to: str | None, since: tuple[str, ...], by: frozenset[str], done: str) -> Action:
    return Action(to, frozenset(since), by, done)


ACTIONS: Mapping[str, Action] = {
    "release": _action("assigned", ("waiting",), _LOOP, "released to the team"),
    "expire": _action("expired", ("waiting",), _LOOP, "expired unreleased"),
    "claim": _action(None, _RELEASED, _PEOPLE, "claimed"),
    "reassign": _action(None, _RELEASED, frozenset({LOOP, LEAD, MANAGER}), "reassigned"),
    "hand_back": _action(None, _RELEASED, _PEOPLE, "handed back to the team's queue"),
    "contact": _action("in_progress", _RELEASED, _PEOPLE, "contacted"),
    "survey": _action(None, _WORKED, _PEOPLE, "surveyed"),
    "check": _action(None, _WORKED, _PEOPLE, "ticked on its checklist"),
    "plan": _action(None, _WORKED, _PEOPLE | {MANAGER}, "given a retention plan"),
    # an order comes back from the billing system days after the talk, often on a closed ticket
    "processing": _action(
        None, (*_WORKED, "closed"), _PEOPLE | {MANAGER, LOOP}, "told what became of its plan"
    ),
    "pause": _action("paused", ("in_progress",), _PEOPLE, "paused until the promised call-back"),
    "resume": _action("in_progress", ("paused",), _PEOPLE | _LOOP, "resumed"),
    # a change of the calendar moves a deadline
    "recompute": _action(None, _RELEASED, _LOOP, "given another deadline"),
    "close": _action("closed", _WORKED, _PEOPLE, "closed"),
    "reopen": _action("in_progress", ("closed",), _LEADS, "reopened"),
    "cancel": _action("cancelled", UNFINISHED, frozenset({LOOP, LEAD}), "cancelled"),
    "recall": _action("cancelled", UNFINISHED, frozenset({LOOP, LEAD, MANAGER}), "recalled"),
    "merge": _action("cancelled", UNFINISHED, _LEADS, "merged into another ticket"),
    "absorb": _action(None, UNFINISHED, _LEADS, "given what another ticket holds"),
    "do_not_call": _action("cancelled", UNFINISHED, _PEOPLE, "ended because its customer refuses calls"),
    "open_task": _action(None, (*_RELEASED, "closed"), _PEOPLE, "linked to a task of another unit"),
    # what a unit owes outlives the ticket
    "finish_task": _action(
        None,
        (*_RELEASED, "closed", "cancelled"),
        _PEOPLE | _LOOP,
        "told that a task of it is done",
    ),
    # a paused ticket is resumed first: the promised call-back may not happen any more
    "freeze": _action(None, ("waiting", "assigned", "in_progress"), _LOOP, "frozen"),
    "unfreeze": _action(None, ("waiting", "assigned", "in_progress"), _LOOP, "unfrozen"),
}

#: What may still happen while a ticket is frozen: nothing that reaches the subscriber.
WHILE_FROZEN = frozenset(
    {"unfreeze", "expire", "reassign", "hand_back", "cancel", "recall", "merge", "absorb", "do_not_call"}
    | {"open_task", "finish_task"}
)
#: What an agent may do to a ticket nobody has without taking it.
_WITHOUT_TAKING = frozenset({"do_not_call"})
_FROZEN_FOR: Mapping[str, str] = {
    "port_out_applied": "the subscriber has applied to port out, and nobody may press or offer anything since",
}

#: What is only done where the customer may be contacted today. What already happened is recorded all the same.
ASKS_LIMITS = frozenset({"claim", "plan"})
_LIMITED_BY: Mapping[str, str] = {
    "refused": "the customer refuses contact",
    "red_list": "the customer is on the red list",
    "do_not_disturb": "the customer asked not to be disturbed",
    "contacted_elsewhere": "the customer is being contacted elsewhere",
}

_OVER = Phrase("advice.over", "It is over for good; look for a newer ticket of the customer.")
_ADVICE: Mapping[str, Phrase] = {
    "waiting": Phrase("advice.waiting", "It is released on a working morning; wait for that."),
    "assigned": Phrase("advice.assigned", "Record a contact first."),
    "in_progress": Phrase("advice.in_progress", "It is being worked: go on with it."),
    "paused": Phrase("advice.paused", "It rests until the promised call-back; resume it first."),
    "closed": Phrase("advice.closed", "Ask the lead to reopen it."),
    "cancelled": _OVER,
    "expired": _OVER,
}


def phrases() -> Iterator[Phrase]:
    """Every part of a refusal said here."""
    yield from (_done(action) for action in ACTIONS)
    yield from (_frozen_for(because) for because in _FROZEN_FOR)
    yield from (_limited_by(kind) for kind in _LIMITED_BY)
    yield from _ADVICE.values()


def _done(action: str) -> Phrase:
    return Phrase(f"done.{action}", ACTIONS[action].done)


def _frozen_for(because: str) -> Phrase:
    return Phrase(f"frozen.{because}", _FROZEN_FOR.get(because, because))


def _limited_by(kind: str) -> Phrase:
    return Phrase(f"limited.{kind}", _LIMITED_BY.get(kind, kind))


def next_state(state: str, action: str, by: str) -> str:
    """The state after `action` by a loop, agent, lead or manager; Refused, in a sentence, when it may not happen."""
    rule = ACTIONS[action]
    if by not in rule.by:
        raise Refused(
            "A ticket is {done} by {roles}, not by {role}. Ask one of them.",
            code="wrong_role", done=_done(action), roles=rule.by, role=by,
        )  # fmt: skip
    if state not in rule.since:
        raise Refused(
            "A ticket in state '{state}' cannot be {done}; it must be {states}. {advice}",
            code="wrong_state", state=state, done=_done(action), states=rule.since, advice=_ADVICE[state],
        )  # fmt: skip
    return rule.to or state


def is_taking(action: str, by: str) -> bool:
    """Whether doing this to a ticket nobody has takes it: claiming does, and nearly all an agent does."""
    return action == "claim" or (by == AGENT and action not in _WITHOUT_TAKING)


def refuse_frozen(action: str, because: str | None) -> None:
    """Refused, with why, when the ticket is frozen `because` of something and `action` would go on with it."""
    if because is None or action in WHILE_FROZEN:
        return
    raise Refused(
        "The ticket is frozen and cannot be {done}: {because}. "
        "It goes on by itself when the subscriber stays, and is cancelled when the subscriber leaves.",
        code="frozen", done=_done(action), because=_frozen_for(because),
    )  # fmt: skip


#: What is not done while outbound of the ticket is stopped. What already happened is recorded all the same.
ASKS_STOPS = frozenset({"claim"})


def refuse_stopped(is_stopped: bool) -> None:
    """Refused while somebody has stopped all outbound of the ticket's region, team or campaign, or of everything."""
    if is_stopped:
        raise Refused(
            "Outbound is stopped; the page says by whom and why. Call nobody until it is lifted; what was said "
            "already may be recorded.",
            code="outbound_stopped",
        )


def refuse_limited(action: str, kind: str | None) -> None:
    """Refused, with why, when a limit of contact of this kind stands and `action` would go on all the same."""
    if kind is None:
        return
    raise Refused(
        "A limit of contact stands today, the ticket cannot be {done}: {because}. "
        "Leave the customer in peace; what was said already may be recorded, and the ticket closed.",
        code="limited", done=_done(action), because=_limited_by(kind),
    )  # fmt: skip
