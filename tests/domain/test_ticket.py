"""The life of a ticket: every state and action, allowed exactly where the table says."""

import itertools

import pytest

from include.domain.errors import Refused
from include.domain.ticket import ACTIONS, FINISHED, STATES, UNFINISHED, next_state, refuse_frozen

#: Written out once more, by hand: (state, action) → new state. Whatever is not here must be refused.
ALLOWED = {
    ("waiting", "release"): "assigned",
    ("waiting", "expire"): "expired",
    ("waiting", "cancel"): "cancelled",
    ("waiting", "recall"): "cancelled",
    ("waiting", "merge"): "cancelled",
    ("waiting", "absorb"): "waiting",
    ("waiting", "do_not_call"): "cancelled",
    ("assigned", "claim"): "assigned",
    ("assigned", "reassign"): "assigned",
    ("assigned", "hand_back"): "assigned",
    ("assigned", "contact"): "in_progress",
    ("assigned", "cancel"): "cancelled",
    ("assigned", "recall"): "cancelled",
    ("assigned", "merge"): "cancelled",
    ("assigned", "absorb"): "assigned",
    ("assigned", "do_not_call"): "cancelled",
    ("assigned", "open_task"): "assigned",
    ("assigned", "finish_task"): "assigned",
    ("in_progress", "claim"): "in_progress",
    ("in_progress", "reassign"): "in_progress",
    ("in_progress", "hand_back"): "in_progress",
    ("in_progress", "contact"): "in_progress",
    ("in_progress", "survey"): "in_progress",
    ("in_progress", "plan"): "in_progress",
    ("in_progress", "processing"): "in_progress",
    ("in_progress", "pause"): "paused",
    ("in_progress", "close"): "closed",
    ("in_progress", "cancel"): "cancelled",
    ("in_progress", "recall"): "cancelled",
    ("in_progress", "merge"): "cancelled",
    ("in_progress", "absorb"): "in_progress",
    ("in_progress", "do_not_call"): "cancelled",
    ("in_progress", "open_task"): "in_progress",
    ("in_progress", "finish_task"): "in_progress",
    ("in_progress", "check"): "in_progress",
    ("paused", "check"): "paused",
    ("paused", "claim"): "paused",
    ("paused", "reassign"): "paused",
    ("paused", "hand_back"): "paused",
    ("paused", "contact"): "in_progress",
    ("paused", "survey"): "paused",
    ("paused", "plan"): "paused",
    ("paused", "processing"): "paused",
    ("paused", "resume"): "in_progress",
    ("paused", "close"): "closed",
    ("paused", "cancel"): "cancelled",
    ("paused", "recall"): "cancelled",
    ("paused", "merge"): "cancelled",
    ("paused", "absorb"): "paused",
    ("paused", "do_not_call"): "cancelled",
    ("paused", "open_task"): "paused",
    ("paused", "finish_task"): "paused",
    ("assigned", "recompute"): "assigned",
    ("in_progress", "recompute"): "in_progress",
    ("paused", "recompute"): "paused",
    ("closed", "reopen"): "in_progress",
    ("closed", "processing"): "closed",
    ("closed", "open_task"): "closed",
    ("closed", "finish_task"): "closed",
    ("cancelled", "finish_task"): "cancelled",
    ("waiting", "freeze"): "waiting",
    ("assigned", "freeze"): "assigned",
    ("in_progress", "freeze"): "in_progress",
    ("waiting", "unfreeze"): "waiting",
    ("assigned", "unfreeze"): "assigned",
    ("in_progress", "unfreeze"): "in_progress",
}


@pytest.mark.parametrize(("state", "action"), list(itertools.product(STATES, ACTIONS)))
def test_a_step_goes_where_the_table_says_or_is_refused(state, action):
    by = min(ACTIONS[action].by)
    if (state, action) in ALLOWED:
        assert next_state(state, action, by) == ALLOWED[state, action]
    else:
        with pytest.raises(Refused, match=f"state '{state}' cannot be"):
            next_state(state, action, by)


@pytest.mark.parametrize(
    ("action", "by"),
    [
        ("reassign", "agent"),
        ("release", "lead"),
        ("reopen", "agent"),
        ("close", "manager"),
        ("recall", "agent"),
        ("merge", "manager"),
    ],
)
def test_nobody_does_what_is_not_theirs(action, by):
    with pytest.raises(Refused, match=f"not by {by}"):
        next_state("in_progress", action, by)


@pytest.mark.parametrize(
    "action", ["claim", "contact", "survey", "plan", "pause", "resume", "close", "release"]
)
def test_nothing_goes_on_with_a_frozen_ticket(action):
    refuse_frozen(action, None)
    with pytest.raises(Refused, match="has applied to port out"):
        refuse_frozen(action, "port_out_applied")


@pytest.mark.parametrize("action", ["unfreeze", "expire", "reassign", "cancel"])
def test_a_frozen_ticket_may_change_hands_or_end_without_a_word_to_the_subscriber(action):
    refuse_frozen(action, "port_out_applied")


def test_finished_and_unfinished_are_all_states():
    assert set(FINISHED) | set(UNFINISHED) == set(STATES)
    assert not set(FINISHED) & set(UNFINISHED)


def test_a_refusal_says_what_to_do():
    for state, action in itertools.product(STATES, ACTIONS):
        if (state, action) not in ALLOWED:
            with pytest.raises(Refused, match=r"it must be [a-z_ ]+\. [A-Z][^.]+\."):
                next_state(state, action, min(ACTIONS[action].by))
