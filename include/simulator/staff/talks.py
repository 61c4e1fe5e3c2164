"""One simulated agent and one ticket: the step the contact ladder asks for, the attempt, what is recorded of it.

What is said in the talk itself hangs on the campaign: include/simulator/staff/conversations.py.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta

import numpy as np
import sqlalchemy as sa

from include.config import Config
from include.config.readers.campaign import Campaign
from include.desk.tickets import contacts, life_cycle, plans
from include.desk.tickets.offers import offers_for
from include.desk.tickets.procedure import next_contact
from include.desk.tickets.transaction import Actor
from include.domain.contact.ladder import Step
from include.domain.contact.outcome import Outcome
from include.domain.errors import Refused
from include.domain.periods.months import ZONE

REFUSED_CONTACT = "refused_contact"

_REACHED, _REFUSED = 0.65, 0.05
_WANTS_NO_CALLS = 0.25
_CALL_BACK = 0.10
_PROCESSED = 0.92


@dataclass
class Talks(ABC):
    """What an agent needs to work tickets of one campaign: what subscribers know of themselves, dice, counts."""

    db: sa.Connection
    config: Config
    campaign: str
    reasons: Mapping[str, str]
    dice: np.random.Generator
    manager_id: int | None = None
    done: Counter[str] = field(default_factory=Counter)

    @abstractmethod
    def converse(self, actor: Actor, subscriber_id: str) -> None:
        """What is said once somebody is reached, and how the ticket ends."""

    @property
    def rules(self) -> Campaign:
        """What the campaign's tickets are worked by."""
        return self.config.campaign(self.campaign)

    @property
    def catalogue(self) -> Mapping[str, Outcome]:
        """The endings the campaign knows."""
        return self.rules.catalogue

    def step(self, actor: Actor) -> Step:
        """What the contact ladder asks for next."""
        return next_contact(actor)

    def work(self, actor: Actor, subscriber_id: str, step: Step) -> None:
        """Do what the step says; whoever cannot be reached in the end is given up as the procedure allows."""
        if step.kind == "sms":
            actor = seen(actor, contacts.record_contact(actor, channel="sms", result="no_answer"))
            self.done["messages"] += 1
            step = self.step(actor)
        if step.is_unreachable_allowed:
            self._give_up(actor)
        elif step.kind not in ("sms", "unreachable"):
            self._call(actor, subscriber_id)

    def process(self, actor: Actor, today: date) -> None:
        """The billing system answers on a plan that was accepted."""
        is_done = self.dice.random() < _PROCESSED
        plans.record_processing(
            actor,
            result="done" if is_done else "failed",
            order_number=f"{today:%Y%m%d}-{actor.ticket_id:07d}" if is_done else None,
            note=None if is_done else "系统校验未通过 / refused by the billing system",
        )
        self.done["processed" if is_done else "not_processed"] += 1

    def _call(self, actor: Actor, subscriber_id: str) -> None:
        self.done["attempts"] += 1
        drawn = self.dice.random()
        if drawn < _REFUSED:
            self._refused(actor)
        elif drawn < _REFUSED + _REACHED:
            self._talk(actor, subscriber_id)
        else:
            actor = seen(actor, contacts.record_contact(actor, channel="call", result="no_answer"))
            step = self.step(actor)
            if step.kind in ("sms", "unreachable"):
                self.work(actor, subscriber_id, step)

    def _give_up(self, actor: Actor) -> None:
        """The ending of those nobody could speak to, of which every campaign has one."""
        self.close(actor, next(name for name, ending in self.catalogue.items() if not ending.is_reached))

    def _refused(self, actor: Actor) -> None:
        actor = seen(actor, contacts.record_contact(actor, channel="call", result="refused"))
        if self.dice.random() < _WANTS_NO_CALLS or REFUSED_CONTACT not in self.catalogue:
            contacts.do_not_call(actor, words="不要再打电话 / do not call again")
            self.done["do_not_call"] += 1
        else:
            self.close(actor, REFUSED_CONTACT)

    def _talk(self, actor: Actor, subscriber_id: str) -> None:
        if self.dice.random() < _CALL_BACK:
            self._promise(actor)
            return
        actor = seen(actor, contacts.record_contact(actor, channel="call", result="reached"))
        self.converse(actor, subscriber_id)

    def _promise(self, actor: Actor) -> None:
        """Call back tomorrow morning; where the clock may not rest the promise stands all the same."""
        back = actor.now.astimezone(ZONE).date() + timedelta(days=1)
        at = datetime.combine(back, time(10), ZONE)
        promised = contacts.record_contact(actor, channel="call", result="call_back", call_back_at=at)
        self.done["call_backs"] += 1
        try:
            life_cycle.pause(seen(actor, promised), call_back_on=back)
        except Refused:
            self.done["call_backs_without_pause"] += 1

    def plan(self, actor: Actor) -> Actor | None:
        """The best offer within the agent's authority, else one of the manager's; None where nothing fits."""
        for role, staff_id in (("agent", actor.staff_id), ("manager", self.manager_id)):
            if staff_id is None:
                continue
            with self.db.begin():
                shown = offers_for(self.db, self.config, actor.ticket_id, role=role, now=actor.now)
            best = next((offer for offer in shown.offers if offer.fits), None)
            if best is not None:
                who = replace(actor, staff_id=staff_id)
                version = plans.record_plan(who, strategy=best.strategy, offer=best.offer)
                return seen(actor, version)
        self.done["nothing_to_offer"] += 1
        return None

    def close(self, actor: Actor, outcome: str, satisfied: tuple[int, int] | None = None) -> None:
        """End the ticket; `satisfied` is the satisfaction said at the end of a talk, from and to."""
        details = list(self.catalogue[outcome].details)
        life_cycle.close(
            actor,
            outcome=outcome,
            detail=str(self.dice.choice(details)) if details else None,
            satisfaction=int(self.dice.integers(*satisfied, endpoint=True)) if satisfied else None,
        )
        self.done[outcome] += 1


def seen(actor: Actor, version: int) -> Actor:
    """The actor once the ticket stands at `version`."""
    return replace(actor, version=version)
