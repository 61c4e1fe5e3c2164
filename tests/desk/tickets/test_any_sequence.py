"""No sequence of calls loses an event, breaks the version, or lets a ticket's state and its events disagree."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from include.desk.tickets import checks, contacts, life_cycle, plans, tasks
from include.desk.tickets.transaction import Actor
from include.domain.errors import LoopError
from include.domain.ticket import ACTIONS, FINISHED, next_state
from tests.fixtures.desk import MONDAY, Nested, World

PEOPLE = ("agent", "agent", "colleague", "lead", "lead", "manager", "stranger")
OUTCOMES = {
    "retained": "accepted_offer",
    "declined": "lost_trust",
    "no_intention": "satisfied",
    "unreachable": "switched_off",
    "renewed": None,
}

_EVENTS = """
select
    t.ticket_id, t.state, t.version, e.event_id, e.version as event_version, e.kind, e.from_state, e.to_state
from tickets as t
inner join ticket_events as e using (ticket_id)
where t.ticket_id = any(:ids)
order by t.ticket_id, e.version
"""


class Desk(RuleBasedStateMachine):
    """Three tickets, two of them one customer's, and everybody doing anything with what they last saw."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.outer = self.world.desk.begin()
        self.ids = [self.world.tickets["in_progress"], self.world.twin, self.world.tickets["assigned"]]
        self.now, self.orders = MONDAY, 0
        self.seen: dict[int, tuple[str, int]] = {}
        self.events: dict[int, list[Any]] = {}

    @initialize()
    def look(self) -> None:
        self._read()

    def teardown(self) -> None:
        self.outer.rollback()

    # ---- what happens

    @rule(hours=st.integers(1, 30))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(at=st.integers(0, 2), who=st.sampled_from(PEOPLE), result=st.sampled_from(contacts.RESULTS))
    def contact(self, at: int, who: str, result: str) -> None:
        back = self.now + timedelta(days=1) if result == "call_back" else None
        self._do(
            "contact", at, who, contacts.record_contact, channel="call", result=result, call_back_at=back
        )

    @rule(
        at=st.integers(0, 2), who=st.sampled_from(PEOPLE), action=st.sampled_from(["survey", "check", "plan"])
    )
    def record(self, at: int, who: str, action: str) -> None:
        if action == "survey":
            self._do("survey", at, who, contacts.record_survey, needs=["price"])
        elif action == "check":
            self._do("check", at, who, checks.record_checks, items=["terms_read", "identity_seen"])
        else:
            self._do("plan", at, who, plans.record_plan, strategy="plan_discount")

    @rule(at=st.integers(0, 2), who=st.sampled_from(PEOPLE), is_done=st.booleans())
    def process(self, at: int, who: str, is_done: bool) -> None:
        self.orders += 1
        order = f"N-{self.orders}" if is_done else None
        result = "done" if is_done else "failed"
        self._do("processing", at, who, plans.record_processing, result=result, order_number=order)

    @rule(at=st.integers(0, 2), who=st.sampled_from(PEOPLE), days=st.integers(0, 9))
    def pause(self, at: int, who: str, days: int) -> None:
        self._do("pause", at, who, life_cycle.pause, call_back_on=self.now.date() + timedelta(days=days))

    @rule(at=st.integers(0, 2), who=st.sampled_from(PEOPLE))
    def resume(self, at: int, who: str) -> None:
        self._do("resume", at, who, life_cycle.resume)

    @rule(at=st.integers(0, 2), who=st.sampled_from(PEOPLE), outcome=st.sampled_from(sorted(OUTCOMES)))
    def close(self, at: int, who: str, outcome: str) -> None:
        self._do("close", at, who, life_cycle.close, outcome=outcome, detail=OUTCOMES[outcome])

    @rule(
        at=st.integers(0, 2),
        who=st.sampled_from(PEOPLE),
        action=st.sampled_from(["claim", "hand_back", "reassign", "reopen", "reopen", "open_task"]),
    )
    def pass_on(self, at: int, who: str, action: str) -> None:
        calls = {
            "claim": (life_cycle.claim, {}),
            "hand_back": (life_cycle.hand_back, {"reason": "ill"}),
            "reassign": (life_cycle.reassign, {"to_staff_id": self.world.people.agent}),
            "reopen": (life_cycle.reopen, {"reason": "called back"}),
            "open_task": (tasks.open_task, {"unit": "network", "words": "no signal"}),
        }
        function, words = calls[action]
        self._do(action, at, who, function, **words)

    @rule(at=st.integers(0, 2), who=st.sampled_from(PEOPLE))
    @precondition(lambda self: sum(state in FINISHED for state, _ in self.seen.values()) < 2)
    def cancel(self, at: int, who: str) -> None:
        self._do("cancel", at, who, life_cycle.cancel, reason="gone")

    @rule(at=st.integers(0, 2), who=st.sampled_from(PEOPLE))
    @precondition(lambda self: len(self.events[self.ids[0]]) > 8)
    def do_not_call(self, at: int, who: str) -> None:
        self._do("do_not_call", at, who, contacts.do_not_call, words="never again")

    @rule(at=st.integers(0, 2), into=st.integers(0, 2), who=st.sampled_from(PEOPLE))
    @precondition(lambda self: len(self.events[self.ids[1]]) > 6)
    def merge(self, at: int, into: int, who: str) -> None:
        other = self.ids[into]
        self._do(
            "merge",
            at,
            who,
            life_cycle.merge,
            into=other,
            into_version=self.seen[other][1],
            reason="one customer",
        )

    @rule(at=st.integers(0, 2), behind=st.integers(1, 3))
    def act_on_an_old_screen(self, at: int, behind: int) -> None:
        actor = self._actor(at, "agent")
        stale = replace(actor, version=actor.version - behind)
        before = self._rows()
        with pytest.raises(LoopError):
            contacts.record_contact(stale, channel="call", result="reached")
        assert self._rows() == before

    # ---- what must hold

    @invariant()
    def every_event_stands_and_agrees_with_its_ticket(self) -> None:
        for rows in self._rows().values():
            state, version = rows[-1].to_state, len(rows)
            assert (rows[-1].state, rows[-1].version) == (state, version)
            assert [row.event_version for row in rows] == list(range(1, version + 1))
            for before, row in pairwise(rows):
                assert row.from_state == before.to_state
                known = ACTIONS[row.kind]
                assert row.from_state in known.since
                assert row.to_state == (known.to or row.from_state)

    def _do(self, action: str, at: int, who: str, function: Any, **words: Any) -> None:
        """Call it with what was last seen: done exactly one step as the table says, or nothing at all."""
        actor, before = self._actor(at, who), self._rows()
        state, version = self.seen[actor.ticket_id]
        role = {"colleague": "agent", "stranger": "agent"}.get(who, who)
        try:
            function(actor, **words)
        except LoopError:
            assert self._rows() == before
            return
        self._read()
        assert self.seen[actor.ticket_id] == (next_state(state, action, role), version + 1)

    def _actor(self, at: int, who: str) -> Actor:
        ticket_id = self.ids[at]
        staff_id = getattr(self.world.people, who)
        return Actor(
            Nested(self.world.desk), self.world.config, staff_id, ticket_id, self.seen[ticket_id][1], self.now
        )

    def _rows(self) -> dict[int, list[Any]]:
        desk = self.world.desk
        desk.execute(
            sa.text("select set_config('app.staff_id', :id, true)"), {"id": str(self.world.people.manager)}
        )
        found: dict[int, list[Any]] = {}
        for row in desk.execute(sa.text(_EVENTS), {"ids": self.ids}):
            found.setdefault(row.ticket_id, []).append(row)
        return found

    def _read(self) -> None:
        for ticket_id, rows in self._rows().items():
            earlier, stand = self.events.get(ticket_id, []), [row.event_id for row in rows]
            assert stand[: len(earlier)] == earlier
            self.seen[ticket_id], self.events[ticket_id] = (rows[-1].state, rows[-1].version), stand


def test_no_sequence_of_calls_breaks_a_ticket(world):
    machine = type("DeskOfThisModule", (Desk,), {"world": world})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=20,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
