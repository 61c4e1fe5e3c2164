"""Every state × action × role on a real database: done exactly where the table allows, every other ticket untouched."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from include.desk.tickets import checks, contacts, life_cycle, plans, tasks
from include.desk.tickets.transaction import Actor, working
from include.domain.errors import Refused
from include.domain.ticket import ACTIONS, FINISHED, LOOP, STATES, WHILE_FROZEN
from tests.fixtures.desk import MONDAY, Nested, World

TOMORROW = MONDAY.date() + timedelta(days=1)
ROLES = ("agent", "lead", "manager")


def bare(action: str) -> Callable[[World, Actor], object]:
    """An action without a function of its own at the desk: the kernel alone judges it."""

    def act(_world: World, actor: Actor) -> object:
        with working(actor, action) as done:
            if done.to_state in FINISHED:
                done.changes["closed_at"] = actor.now
        return done.version

    return act


def merged(world: World, actor: Actor) -> object:
    version = world.actor(actor.db, actor.staff_id, world.partner).version
    return life_cycle.merge(
        actor, into=world.partner, into_version=version, reason="one customer", has_changed_customer=True
    )


def task_of(world: World, actor: Actor) -> int:
    return next(
        (world.tasks[s] for s, t in world.tickets.items() if t == actor.ticket_id and s in world.tasks), 0
    )


DO: dict[str, Callable[[World, Actor], object]] = {
    "claim": lambda _w, a: life_cycle.claim(a),
    "reassign": lambda w, a: life_cycle.reassign(a, w.people.colleague),
    "hand_back": lambda _w, a: life_cycle.hand_back(a, reason="ill"),
    "contact": lambda _w, a: contacts.record_contact(a, channel="call", result="no_answer"),
    "survey": lambda _w, a: contacts.record_survey(a, needs=["price"]),
    "check": lambda _w, a: checks.record_checks(a, items=["terms_read"]),
    "plan": lambda _w, a: plans.record_plan(a, strategy="plan_discount"),
    "processing": lambda _w, a: plans.record_processing(a, result="done", order_number="N-1"),
    "pause": lambda _w, a: life_cycle.pause(a, call_back_on=TOMORROW),
    "resume": lambda _w, a: life_cycle.resume(a),
    "close": lambda _w, a: life_cycle.close(a, outcome="retained", detail="accepted_offer", satisfaction=9),
    "reopen": lambda _w, a: life_cycle.reopen(a, reason="called back"),
    "cancel": lambda _w, a: life_cycle.cancel(a, reason="gone"),
    "merge": merged,
    "do_not_call": lambda _w, a: contacts.do_not_call(a, words="never again"),
    "open_task": lambda _w, a: tasks.open_task(a, unit="tariff", words="billed twice"),
    "finish_task": lambda w, a: tasks.finish_task(a, task_id=task_of(w, a), result="mast repaired"),
}


def unclaimed(db: Nested, world: World, actor: Actor) -> Actor:
    """The ticket back in the queue, where it can be claimed."""
    lead = replace(actor, staff_id=world.people.lead)
    return replace(actor, version=life_cycle.hand_back(lead, reason="to be claimed"))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("state", "action"), list(itertools.product(STATES, ACTIONS)))
def test_a_step_is_made_or_refused_and_no_other_ticket_is_touched(world, state, action, role):
    rule, ticket_id = ACTIONS[action], world.tickets[state]
    is_allowed = state in rule.since and role in rule.by
    with world.undone() as db:
        actor = world.actor(db, getattr(world.people, role), ticket_id)
        if action == "claim" and is_allowed:
            actor = unclaimed(db, world, actor)
        before = world.prints(db)
        act = DO.get(action) or bare(action)
        if is_allowed:
            act(world, actor)
        else:
            with pytest.raises(Refused, match=r"\. [A-Z]"):
                act(world, actor)
        after = world.prints(db)
        touched = {each for each in after if after[each] != before[each]}
        if not is_allowed:
            assert touched == set()
            return
        assert touched == {ticket_id} | ({world.partner} if action == "merge" else set()) | (
            {world.twin} if action == "do_not_call" and state == "in_progress" else set()
        )
        row = world.one(
            db,
            "select t.state, t.version, e.kind, e.from_state, e.to_state, e.staff_id,"
            " (select count(*) from ticket_events as c where c.ticket_id = t.ticket_id) as events"
            " from tickets as t join ticket_events as e using (ticket_id, version) where ticket_id = :id",
            id=ticket_id,
        )
        assert (row.state, row.version, row.events) == (
            rule.to or state,
            actor.version + 1,
            actor.version + 1,
        )
        assert (row.kind, row.from_state, row.to_state) == (action, state, rule.to or state)
        assert row.staff_id == actor.staff_id


#: What reaches the subscriber, or goes on with what would.
HELD_BACK = {
    "release", "claim", "contact", "survey", "check", "plan", "processing", "pause", "resume", "recompute", "close",
    "reopen", "freeze",
}  # fmt: skip
_FREEZE = "update tickets set frozen_at = :at, frozen_because = :because where ticket_id = :id"


@contextmanager
def frozen(world: World, ticket_id: int) -> Iterator[None]:
    """The ticket as the limits of the morning leave it when its subscriber applies to port out."""
    frost = {"at": MONDAY, "because": "port_out_applied", "id": ticket_id}
    with world.admin.begin():
        world.admin.execute(sa.text(_FREEZE), frost)
    try:
        yield
    finally:
        with world.admin.begin():
            world.admin.execute(sa.text(_FREEZE), frost | {"at": None, "because": None})


def test_what_a_frozen_ticket_may_not_do_is_everything_that_reaches_the_subscriber():
    assert set(ACTIONS) - WHILE_FROZEN == HELD_BACK


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("state", "action"), list(itertools.product(("waiting", "assigned", "in_progress"), ACTIONS))
)
def test_a_frozen_ticket_is_passed_on_or_ended_but_nothing_reaches_its_subscriber(world, state, action, role):
    rule, ticket_id = ACTIONS[action], world.tickets[state]
    is_allowed = state in rule.since and role in rule.by and action not in HELD_BACK
    act = DO.get(action) or bare(action)
    with frozen(world, ticket_id), world.undone() as db:
        actor = world.actor(db, getattr(world.people, role), ticket_id)
        before = world.prints(db)
        if is_allowed:
            act(world, actor)
            assert world.prints(db)[ticket_id] != before[ticket_id]
            return
        # a manager sees every ticket; who may not see a waiting one is refused for that
        told = "frozen" if action in HELD_BACK and role == "manager" else r"\. [A-Z]"
        with pytest.raises(Refused, match=told):
            act(world, actor)
        assert world.prints(db) == before


@pytest.mark.parametrize("action", [name for name, rule in ACTIONS.items() if rule.by == {LOOP}])
def test_what_only_the_loop_does_has_no_function_at_the_desk(action):
    assert action not in DO


def test_every_action_of_people_but_the_batches_has_its_function():
    kernel_only = {"recall", "absorb"}
    assert set(DO) | kernel_only == {name for name, rule in ACTIONS.items() if rule.by != {LOOP}}
