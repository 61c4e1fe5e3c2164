"""What is said in the talks of each campaign, and how they end.

What a subscriber says is drawn from the province's truth, as it would be in a real talk.
"""

from collections.abc import Container
from dataclasses import dataclass

from include.desk.tickets import checks, contacts, tasks
from include.desk.tickets.transaction import Actor
from include.domain.contact.outcome import CHECKLIST, PLAN, SURVEY
from include.simulator.population.reasons import REASONS
from include.simulator.staff.talks import REFUSED_CONTACT, Talks, seen

_TOLD_RIGHT = 0.85
_NO_REASON_SEEN = 0.70
_ACCEPTED = 0.45
_CONSIDERED = 0.25
_PROBLEM = 0.5
#: The unit a problem behind a need is charged to.
_UNITS = {"network": "network", "price": "tariff", "bundle_mismatch": "tariff"}
#: Satisfaction said at the end of a talk, from and to.
_SATISFIED = {"retained": (7, 10), "considering": (5, 8), "declined": (2, 6), "no_intention": (6, 10)}
_RECORDED = {SURVEY, PLAN}
_AGREED, _NOT_AGREED = (7, 10), (3, 9)


class LeavingTalks(Talks):
    """Talks of churn_warning: what drives the subscriber away, and what might hold them."""

    def converse(self, actor: Actor, subscriber_id: str) -> None:
        """The need, a problem behind it, a plan, and what comes of it."""
        need = self._need(subscriber_id)
        if need is None:
            self._end(actor, "no_intention")
            return
        actor = seen(actor, contacts.record_survey(actor, needs=[need]))
        actor = self._charge(actor, need)
        planned = self.plan(actor)
        if planned is None:
            self._end(actor, "no_intention")
            return
        drawn = self.dice.random()
        is_considering = drawn < _ACCEPTED + _CONSIDERED
        self._end(
            planned, "retained" if drawn < _ACCEPTED else "considering" if is_considering else "declined"
        )

    def _need(self, subscriber_id: str) -> str | None:
        """What the talk brings out: mostly the true reason, sometimes another, none where there is none."""
        own = self.reasons.get(subscriber_id)
        if own not in REASONS:
            return None if self.dice.random() < _NO_REASON_SEEN else str(self.dice.choice(REASONS))
        return own if self.dice.random() < _TOLD_RIGHT else str(self.dice.choice(REASONS))

    def _charge(self, actor: Actor, need: str) -> Actor:
        """Sometimes there is a problem behind the need, which another unit owes a cure."""
        if need not in _UNITS or self.dice.random() > _PROBLEM:
            return actor
        self.done["tasks"] += 1
        return seen(
            actor,
            tasks.open_task(actor, unit=_UNITS[need], words=f"{need}: 客户反映 / as told by the customer"),
        )

    def _end(self, actor: Actor, outcome: str) -> None:
        self.close(actor, outcome, _SATISFIED[outcome])


@dataclass(frozen=True)
class Agreed:
    """Who agrees when called, the ending their tickets then have, and the need they tell."""

    subscribers: Container[str]
    outcome: str
    need: str


@dataclass
class CampaignTalks(Talks):
    """Talks of any other campaign: one of its endings, by the truth where the province knows who agrees."""

    agreed: Agreed | None = None

    def converse(self, actor: Actor, subscriber_id: str) -> None:
        """Record what the ending needs; without a plan that fits it is one that needs none."""
        wanted = self._wanted(subscriber_id)
        needs = self.catalogue[wanted].needs
        if SURVEY in needs:
            actor = seen(actor, contacts.record_survey(actor, needs=[self._need(subscriber_id)]))
        if CHECKLIST in needs:
            actor = seen(actor, checks.record_checks(actor, items=list(self.rules.checklist)))
        planned = self.plan(actor) if PLAN in needs else actor
        if planned is None:
            self._end_without_plan(actor, needs - {PLAN})
            return
        is_agreed = self.agreed is not None and wanted == self.agreed.outcome
        self.close(planned, wanted, _AGREED if is_agreed else _NOT_AGREED)

    def _wanted(self, subscriber_id: str) -> str:
        """The ending of those who agree; for the others, or where nobody knows, one by chance."""
        if self.agreed is None:
            return str(self.dice.choice(self._spoken()))
        if subscriber_id in self.agreed.subscribers:
            return self.agreed.outcome
        return str(self.dice.choice([name for name in self._spoken() if name != self.agreed.outcome]))

    def _spoken(self) -> list[str]:
        return [
            name for name, ending in self.catalogue.items() if ending.is_reached and name != REFUSED_CONTACT
        ]

    def _need(self, subscriber_id: str) -> str:
        if self.agreed is not None:
            return self.agreed.need
        own, known = self.reasons.get(subscriber_id), self.rules.needs
        mattering = [reason for reason in REASONS if reason in known] or list(known)
        return own if own in mattering else str(self.dice.choice(mattering))

    def _end_without_plan(self, actor: Actor, recorded: frozenset[str]) -> None:
        endings = [name for name in self._spoken() if self.catalogue[name].needs <= recorded]
        if endings:
            self.close(actor, str(self.dice.choice(endings)), _NOT_AGREED)
        else:
            self.done["no_ending"] += 1
