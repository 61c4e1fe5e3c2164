"""What the desk shows and checks about offers: facts frozen at dispatch, needs told since, authority, budget left.

Every function reads within the open transaction of the person it is for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from include.config import Config
from include.config.readers.factors import Label
from include.config.readers.strategies import Hint, Strategies
from include.database.queries import load
from include.desk.tickets.transaction import hidden
from include.domain.contact.offer import (
    Against,
    Facts,
    Judged,
    fitting_offers,
    open_channels,
    role_for,
)
from include.domain.periods.months import ZONE
from include.domain.text.words import Words
from include.run.cycles import campaign_of
from include.subscribers.situation import facts_in, judged_by, reasons_in, truths_of
from include.words import LANGUAGES, both, group, words_in

Q = load("desk/plans")


@dataclass(frozen=True)
class Situation:
    """Where a ticket stands: the facts offers are judged by, and the reasons to leave, likeliest first."""

    facts: Facts
    reasons: tuple[str, ...]
    surveyed: tuple[str, ...]
    chosen: Mapping[str, Any]


@dataclass(frozen=True)
class Pot:
    """One budget pot a plan on the ticket draws on, and what is left of it for this ticket."""

    pot_id: int
    branch_code: str | None
    ends_on: date
    limit_yuan: Decimal
    left_yuan: Decimal


@dataclass(frozen=True)
class OfferShown:
    """One offer on the screen: what it is, whether it fits, everything for and against it, and what to say."""

    strategy: str
    strategy_label: Label
    offer: str
    label: Label
    cost_yuan: Decimal
    valid_until: date
    needs_role: str
    channels: tuple[Label, ...]
    fits: bool
    reasons_for: tuple[Label, ...]
    against: tuple[Label, ...]
    may_be_said: tuple[Label, ...]
    internal: tuple[Label, ...]


@dataclass(frozen=True)
class OffersShown:
    """All offers of a ticket, best first, with what was chosen at dispatch and the budget."""

    offers: tuple[OfferShown, ...]
    reasons: tuple[Label, ...]
    chosen_at_dispatch: Mapping[str, Any]
    authority_yuan: Decimal | None
    pots: tuple[Pot, ...]
    budget_label: Label


def offers_for(db: sa.Connection, config: Config, ticket_id: int, *, role: str, now: datetime) -> OffersShown:
    """Everything the desk shows about the offers of a ticket to a person of that role.

    Refused when the ticket is not theirs to see. Facts are those of dispatch, offers those configured now.
    """
    known = config.strategies
    standing = situation(db, config, ticket_id, now)
    pots = budget_of(db, ticket_id, now)
    judged = fitting_offers(standing.facts, standing.reasons, known.book, role, left_in(pots))
    today = now.astimezone(ZONE).date()
    return OffersShown(
        offers=tuple(_shown(each, standing, known, today) for each in judged),
        reasons=tuple(_label(known.reasons[name]) for name in standing.reasons),
        chosen_at_dispatch=standing.chosen,
        authority_yuan=known.book.limits.get(role),
        pots=tuple(pots),
        budget_label=_budget_label(pots),
    )


def situation(db: sa.Connection, config: Config, ticket_id: int, now: datetime) -> Situation:
    """The facts of a ticket's subscriber and the reasons to leave: those surveyed first, then those inferred."""
    row = db.execute(Q["read_facts"], {"ticket_id": ticket_id}).one_or_none()
    if row is None:
        raise hidden(ticket_id)
    known, evidence = config.strategies, row.evidence
    facts = judged_by(
        known,
        truths_of(known, facts_in(evidence)),
        [campaign_of(db, config, row.campaign, row.cycle).phase or known.phase_of(row.campaign)],
        _running(db, known, ticket_id, now),
    )
    # a need of the campaign's own is no reason that strategies answer to
    surveyed = tuple(need for need in row.needs or () if need in known.reasons)
    inferred = reasons_in(evidence, known)
    return Situation(
        facts, tuple(dict.fromkeys((*surveyed, *inferred))), surveyed, evidence.get("strategy") or {}
    )


def _running(db: sa.Connection, known: Strategies, ticket_id: int, now: datetime) -> list[str]:
    """The offers the subscriber was given and still has; one no longer configured does not matter."""
    rows = db.execute(Q["read_given_offers"], {"ticket_id": ticket_id})
    return [
        row.offer_name
        for row in rows
        if row.offer_name in known.offers
        and now < row.given_at + timedelta(days=known.offers[row.offer_name].runs_days)
    ]


def budget_of(db: sa.Connection, ticket_id: int, now: datetime) -> list[Pot]:
    """The pots a plan recorded on the ticket now would draw on; none means that there is no limit."""
    return read_pots(db, "read_budget", ticket_id, now)


def read_pots(db: sa.Connection, statement: str, ticket_id: int, now: datetime) -> list[Pot]:
    """The pots by one of the statements of sql/desk/plans.sql that give them."""
    rows = db.execute(Q[statement], {"ticket_id": ticket_id, "day": now.astimezone(ZONE).date()})
    return [Pot(*row) for row in rows]


def left_in(pots: Sequence[Pot]) -> Decimal | None:
    """What a plan may cost at most: every pot must hold it. None without any pot."""
    return min((pot.left_yuan for pot in pots), default=None)


def _budget_label(pots: Sequence[Pot]) -> Label:
    if not pots:
        return _label(both("offers.no_limit"))
    tightest = min(pots, key=lambda pot: pot.left_yuan)
    left, limit = f"{tightest.left_yuan:,.2f}", f"{tightest.limit_yuan:,.2f}"
    return _label(both("offers.budget_left", left=left, limit=limit, until=tightest.ends_on))


def _shown(judged: Judged, standing: Situation, known: Strategies, today: date) -> OfferShown:
    offer, entry = judged.offer, known.offers[judged.offer.name]
    hints = {use: tuple(_label(hint) for hint in entry.hints if hint.use == use) for use in _USES}
    channels = open_channels(offer, standing.facts, known.book)
    return OfferShown(
        strategy=offer.strategy,
        strategy_label=_label(known.strategies[offer.strategy]),
        offer=offer.name,
        label=_label(entry),
        cost_yuan=offer.cost_yuan,
        valid_until=today + timedelta(days=entry.valid_days),
        needs_role=role_for(offer.cost_yuan, known.book.limits),
        channels=tuple(_label(words) for name, words in group("offers.channels").items() if name in channels),
        fits=judged.fits,
        reasons_for=tuple(_named(name, known) for name in judged.is_for),
        against=tuple(label_against(each, known) for each in judged.against),
        may_be_said=hints["may_be_said"],
        internal=hints["internal"],
    )


_USES = ("may_be_said", "internal")


def label_against(against: Against, known: Strategies) -> Label:
    """One cause against an offer in both languages."""
    names = [_named(name, known) for name in against.names]
    named = {
        language: words_in(language)("lists.between").join(getattr(name, language) for name in names)
        for language in LANGUAGES
    }
    return Label(
        **{
            language: words_in(language)(f"offers.against.{against.cause}", names=named[language])
            for language in LANGUAGES
        }
    )


def _named(name: str, known: Strategies) -> Label:
    kind, _, bare = name.rpartition(" ")
    if kind == "exclusion":
        return _label(known.exclusions[bare])
    found: Label | None = known.segments.get(name) or known.reasons.get(name)
    if found is not None:
        return _label(found)
    words = group("offers.roles").get(name) or group("offers.channels").get(name)
    return _label(words) if words else Label(zh=name, en=name)


def _label(of: Label | Hint | Words) -> Label:
    return Label(zh=of.zh, en=of.en)
