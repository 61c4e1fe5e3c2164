"""The life of a work order: states and transitions as data, and who may make each."""

from collections.abc import Mapping
from dataclasses import dataclass

from include.domain.errors import Refused

UNFINISHED = ("waiting", "assigned", "in_progress", "paused")
FINISHED = ("closed", "cancelled", "expired")
STATES = (*UNFINISHED, *FINISHED)

LOOP, AGENT, LEAD = "loop", "agent", "lead"
_PEOPLE = frozenset({AGENT, LEAD})


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
    "release": _action("assigned", ("waiting",), frozenset({LOOP}), "released to the team"),
    "expire": _action("expired", ("waiting",), frozenset({LOOP}), "expired unreleased"),
    "claim": _action("assigned", ("assigned",), _PEOPLE, "claimed"),
    "reassign": _action(None, ("assigned", "in_progress", "paused"), frozenset({LEAD}), "reassigned"),
    "contact": _action("in_progress", ("assigned", "in_progress", "paused"), _PEOPLE, "contacted"),
    "survey": _action(None, ("in_progress", "paused"), _PEOPLE, "surveyed"),
    "plan": _action(None, ("in_progress", "paused"), _PEOPLE, "given a retention plan"),
    "pause": _action("paused", ("in_progress",), _PEOPLE, "paused until the promised call-back"),
    "resume": _action("in_progress", ("paused",), _PEOPLE | {LOOP}, "resumed"),
    "close": _action("closed", ("in_progress", "paused"), _PEOPLE, "closed"),
    "cancel": _action("cancelled", UNFINISHED, frozenset({LOOP, LEAD}), "cancelled"),
    # a paused ticket is resumed first: the promised call-back may not happen any more
    "freeze": _action(None, ("waiting", "assigned", "in_progress"), frozenset({LOOP}), "frozen"),
    "unfreeze": _action(None, ("waiting", "assigned", "in_progress"), frozenset({LOOP}), "unfrozen"),
    "reopen": _action("in_progress", ("closed",), frozenset({LEAD}), "reopened"),
}

#: What may still happen while a ticket is frozen: nothing that reaches the subscriber.
WHILE_FROZEN = frozenset({"unfreeze", "expire", "reassign", "cancel"})
_FROZEN_FOR: Mapping[str, str] = {
    "port_out_applied": "the subscriber has applied to port out, and nobody may press or offer anything since",
}


def next_state(state: str, action: str, by: str) -> str:
    """The state after `action` by a `loop`, `agent` or `lead`; Refused, in a sentence, when it may not happen."""
    rule = ACTIONS[action]
    if by not in rule.by:
        raise Refused(f"A ticket is {rule.told} by {_listed(rule.by)}, not by {by}. Ask one of them.")
    if state not in rule.since:
        raise Refused(f"A ticket in state '{state}' cannot be {rule.told}; it must be {_listed(rule.since)}.")
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
