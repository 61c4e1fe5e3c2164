"""What may be offered to whom: fit, authority and budget of an offer, and why not, as pure rules."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

AGENT, LEAD, MANAGER = "agent", "lead", "manager"
ROLES = (AGENT, LEAD, MANAGER)

#: Why an offer does not fit.
Cause = Literal["segment", "ineligible", "unknown", "excluded", "has_it", "channel", "authority", "budget"]


@dataclass(frozen=True)
class Offer:
    """One offer of one strategy, in the order of the configuration.

    `condition` names the truth it needs (None: none); each of `exclusions` that is true rules it out.
    """

    name: str
    strategy: str
    reason: str
    order: int
    phases: frozenset[str]
    segments: frozenset[str]
    channels: frozenset[str]
    cost_yuan: Decimal
    condition: str | None = None
    exclusions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Book:
    """All offers, what each role may spend on one plan, and the channels a segment cannot be reached by."""

    offers: tuple[Offer, ...]
    limits: Mapping[str, Decimal]
    closed_channels: Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Facts:
    """What is known of a subscriber: truths by name (None: unknown), segments, offers running, open phases.

    `channels` are those the offer may be made through; None means any.
    """

    phases: frozenset[str]
    truths: Mapping[str, bool | None]
    segments: frozenset[str]
    running: frozenset[str] = frozenset()
    channels: frozenset[str] | None = None


@dataclass(frozen=True)
class Against:
    """One cause why an offer does not fit, and the names behind it."""

    cause: Cause
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judged:
    """An offer with everything that speaks against it; it fits when nothing does.

    `is_for` tells what speaks for it: the reason it answers and the segments it was made for.
    """

    offer: Offer
    against: tuple[Against, ...]
    is_for: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether it may be offered."""
        return not self.against


def role_for(cost_yuan: Decimal, limits: Mapping[str, Decimal]) -> str:
    """The lowest role that may spend `cost_yuan` on a plan; the manager may spend anything."""
    return next((role for role in (AGENT, LEAD) if cost_yuan <= limits[role]), MANAGER)


def fitting_offers(
    facts: Facts, reasons: Sequence[str], book: Book, role: str, budget_left: Decimal | None
) -> list[Judged]:
    """The offers of the open phases, best first: fitting ones, then the others with what is against them.

    Among the fitting the first of `reasons` goes first, offers made for a segment before those for everybody,
    then the order of the configuration. `budget_left` None means that there is no limit.
    """
    judged = [
        Judged(
            offer,
            tuple(_against(offer, facts, book, role, budget_left)),
            _is_for(offer, facts, reasons),
        )
        for offer in book.offers
        if facts.phases & offer.phases
    ]
    return sorted(judged, key=lambda each: _place(each, reasons))


def _place(judged: Judged, reasons: Sequence[str]) -> tuple[bool, int, bool, int]:
    offer = judged.offer
    answers = reasons.index(offer.reason) if offer.reason in reasons else len(reasons)
    return not judged.fits, answers, not offer.segments, offer.order


def _is_for(offer: Offer, facts: Facts, reasons: Sequence[str]) -> tuple[str, ...]:
    answered = (offer.reason,) if offer.reason in reasons else ()
    return (*answered, *sorted(offer.segments & facts.segments))


def _against(
    offer: Offer, facts: Facts, book: Book, role: str, budget_left: Decimal | None
) -> Iterable[Against]:
    if offer.segments and not offer.segments & facts.segments:
        yield Against("segment", tuple(sorted(offer.segments)))
    if offer.condition is not None and not facts.truths.get(offer.condition):
        yield Against("unknown" if facts.truths.get(offer.condition) is None else "ineligible")
    if ruled_out := tuple(name for name in offer.exclusions if facts.truths.get(name)):
        yield Against("excluded", ruled_out)
    if offer.name in facts.running:
        yield Against("has_it")
    if not open_channels(offer, facts, book):
        yield Against("channel", tuple(sorted(closed_channels(facts, book))))
    yield from _money_against(offer, book, role, budget_left)


def _money_against(offer: Offer, book: Book, role: str, budget_left: Decimal | None) -> Iterable[Against]:
    needed = role_for(offer.cost_yuan, book.limits)
    if ROLES.index(needed) > ROLES.index(role):
        yield Against("authority", (needed,))
    if budget_left is not None and offer.cost_yuan > budget_left:
        yield Against("budget", (f"{budget_left:.2f}",))


def closed_channels(facts: Facts, book: Book) -> frozenset[str]:
    """The channels one of the subscriber's segments cannot be reached by."""
    return frozenset().union(*(book.closed_channels.get(each, frozenset()) for each in facts.segments))


def open_channels(offer: Offer, facts: Facts, book: Book) -> frozenset[str]:
    """The channels an offer can be made through to this subscriber."""
    wanted = offer.channels if facts.channels is None else offer.channels & facts.channels
    return wanted - closed_channels(facts, book)


@dataclass(frozen=True)
class Choice:
    """The offer chosen for a subscriber, the best one of another strategy, and the reason answered."""

    reason: str | None
    best: Judged | None
    runner_up: Judged | None


def choose(judged: Sequence[Judged], reasons: Sequence[str]) -> Choice:
    """The best fitting offer and the runner-up from another strategy; either may be missing."""
    fitting = [each for each in judged if each.fits]
    best = fitting[0] if fitting else None
    others = (each for each in fitting if best is None or each.offer.strategy != best.offer.strategy)
    answered = best.offer.reason if best and best.offer.reason in reasons else None
    return Choice(answered, best, next(others, None))
