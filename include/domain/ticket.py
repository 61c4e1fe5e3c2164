"""The life of a work order: states and transitions as data, and who may make each."""

from collections.abc import Mapping
from dataclasses import dataclass

from include.domain.errors import Refused

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
    """One thing that may happen to a ticket: from which states to which, by whom; `to=None` keeps the state."""

    to: str | None
    since: frozenset[str]
    by: frozenset[str]
    told: str


def _action(to: str | None, since: tuple[str, ...], by: frozenset[str], told: str) -> Action:
    return Action(to, frozenset(since), by, told)


ACTIONS: Mapping[str, Action] = {
    "release": _action("assigned", ("waiting",), _LOOP, "released to the team"),
    "expire": _action("expired", ("waiting",), _LOOP, "expired unreleased"),
    "claim": _action(None, _RELEASED, _PEOPLE, "claimed"),
    "reassign": _action(None, _RELEASED, frozenset({LOOP, LEAD, MANAGER}), "reassigned"),
    "hand_back": _action(None, _RELEASED, _PEOPLE, "handed back to the team's queue"),
    "contact": _action("in_progress", _RELEASED, _PEOPLE, "contacted"),
    "survey": _action(None, _WORKED, _PEOPLE, "surveyed"),
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
        None, (*_RELEASED, "closed", "cancelled"), _PEOPLE | _LOOP, "told that a task of it is done"
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
_FROZEN_FOR: Mapping[str, str] = {
    "port_out_applied": "the subscriber has applied to port out, and nobody may press or offer anything since",
}

_ADVICE: Mapping[str, str] = {
    "waiting": "It is released on a working morning; wait for that.",
    "assigned": "Record a contact first.",
    "in_progress": "It is being worked: go on with it.",
    "paused": "It rests until the promised call-back; resume it first.",
    "closed": "Ask the lead to reopen it.",
    "cancelled": "It is over for good; look for a newer ticket of the customer.",
    "expired": "It is over for good; look for a newer ticket of the customer.",
}


def next_state(state: str, action: str, by: str) -> str:
    """The state after `action` by a loop, agent, lead or manager; Refused, in a sentence, when it may not happen."""
    rule = ACTIONS[action]
    if by not in rule.by:
        raise Refused(f"A ticket is {rule.told} by {_listed(rule.by)}, not by {by}. Ask one of them.")
    if state not in rule.since:
        raise Refused(
            f"A ticket in state '{state}' cannot be {rule.told}; it must be {_listed(rule.since)}. "
            f"{_ADVICE[state]}"
        )
    return rule.to or state


def refuse_frozen(action: str, because: str | None) -> None:
    """Refused, with why, when the ticket is frozen `because` of something and `action` would go on with it."""
    if because is None or action in WHILE_FROZEN:
        return
    raise Refused(
        f"The ticket is frozen and cannot be {ACTIONS[action].told}: {_FROZEN_FOR.get(because, because)}. "
        "It goes on by itself when the subscriber stays, and is cancelled when the subscriber leaves."
    )


def _listed(words: frozenset[str]) -> str:
    return " or ".join(sorted(words))
