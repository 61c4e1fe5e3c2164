"""Outreach: the secondary tier of a dispatched cycle becomes a list for SMS and app, once, with its own hold-out."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import polars as pl
import sqlalchemy as sa

from include.config import Config
from include.config.readers.strategies.reach import Outreach
from include.database import copy_rows, lock
from include.database.queries import load
from include.domain.contact.offer import Offer, open_channels
from include.domain.contact.outreach import LISTED, Listing, Prospect, first_open, send_from, walk
from include.domain.dispatch import assignment
from include.domain.errors import NotReady
from include.domain.periods import period
from include.domain.periods.months import ZONE
from include.models.reasons import evidence_for, grouped
from include.run import Run
from include.run.results import Counts
from include.stages.dispatch import is_late
from include.subscribers.eligibility import Consent, barred, consent_asked
from include.subscribers.facts import Chooser, facts_of
from include.subscribers.situation import reasons_in

Q = load("stages/outreach")

_COLUMNS = (
    "campaign", "cycle", "subscriber_id", "customer_key", "rank", "grade", "decision", "reason", "strategy",
    "offer", "channel", "probability_of_assignment", "send_from", "listed_at",
)  # fmt: skip

_GRAVITY = (
    "unfinished_ticket", "held_out", "assigned_elsewhere", "cooling_off", "cap_month", "cap_quarter",
)  # fmt: skip

#: What a prospect would be sent: strategy, offer, channel.
Message = tuple[str, str, str]


class Listed(Counts):
    """How the secondary tier was decided; nobody was where the message says so."""

    listed: int
    held_out: int
    not_reached: int
    suppressed: dict[str, int]
    channels: dict[str, int]


def outreach(run: Run, *, dispatch_late: bool = False) -> Listed:
    """Decide for everybody of the secondary tier of a dispatched cycle, once: listed, held out, or why not.

    Goes by the warnings people act on, whatever revision a re-run has. A second run changes nothing. NotReady when
    the cycle was never opened.
    """
    with run.db.begin():
        lock(run.db, "outreach", run.campaign, run.cycle)
        found = run.db.execute(Q["find_cycle"], run.key).one_or_none()
        if found is None:
            raise NotReady(
                f"Cycle {run.cycle} of {run.campaign} was never opened. Run the loop from its first stage."
            )
        if counted := run.db.execute(Q["count_items"], run.key).all():
            return _counts(counted, f"The list of cycle {run.cycle} stands already; nothing is added.")
        if found.fixed_at is None or run.rules.shadow:
            return _counts([], f"Cycle {run.cycle} was not dispatched, so nobody is written to.")
        if is_late(run.rules, run.cycle, run.now) and not dispatch_late:
            return _counts(
                [], f"{run.cycle} is over: a message would come late. Set dispatch_late to list anyway."
            )
        as_dispatched = replace(run, as_of=found.as_of)
        rows = _prospects(as_dispatched)
        copy_rows(run.db, "outreach_items", _COLUMNS, _items(as_dispatched, rows))
        return _counts(run.db.execute(Q["count_items"], run.key).all())


def _prospects(run: Run) -> list[dict[str, Any]]:
    """The secondary tier, best rank first, each with the gravest reason the database knows against it."""
    caps = run.config.contact.caps
    values = {
        **run.key, **_spans(run.config, run.cycle, run.now), "as_of": run.as_of, "now": run.now,
        "day": run.now.astimezone(ZONE).date(), "cooling_off_days": run.config.strategies.outreach.cooling_off_days,
        "cap_month": caps.month, "cap_quarter": caps.quarter,
    }  # fmt: skip
    alone, capped = (
        {row.subscriber_id: row.reason for row in run.db.execute(Q[name], values)}
        for name in ("find_left_alone", "find_capped")
    )
    return [
        {
            **row,
            "barred": _gravest(row["barred"], *(each.get(row["subscriber_id"]) for each in (alone, capped))),
        }
        for row in run.db.execute(Q["find_prospects"], values).mappings()
    ]


def _spans(config: Config, cycle: str, now: datetime) -> dict[str, list[str]]:
    """The spans each measure is in, by the cycle and by today: a daily campaign may be in the next one already."""
    days = (cycle, now.astimezone(ZONE).date().isoformat())
    spans = {
        (name, period.epoch_of(day, draw.epoch)) for name, draw in config.measures.items() for day in days
    }
    return {"measures": [name for name, _ in spans], "epochs": [epoch for _, epoch in spans]}


def _gravest(*reasons: str | None) -> str | None:
    """The first that stands: a limit of contact before all others, those in the order of _GRAVITY."""
    known = [reason for reason in reasons if reason is not None]
    return min(known, key=lambda reason: _GRAVITY.index(reason) if reason in _GRAVITY else -1, default=None)


def _items(run: Run, rows: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[object]]:
    rules = run.config.strategies.outreach
    messages = _messages(run, rows)
    against = barred(run.lake, run.month, run.as_of, [row["subscriber_id"] for row in rows], _consent(run))
    prospects = [
        Prospect(
            row["subscriber_id"],
            row["customer_key"],
            against.get(row["subscriber_id"]) or row["barred"] or _unsendable(messages[row["subscriber_id"]]),
        )
        for row in rows
    ]
    quiet = run.config.contact.quiet_hours
    first = send_from(run.now, quiet.begins, quiet.ends)
    arms = _arms(prospects, rules, run.campaign, period.epoch_of(run.cycle))
    for row, each in zip(rows, walk(prospects, arms, rules.at_most), strict=True):
        item = _item(row, each, messages[row["subscriber_id"]], rules.hold_out.share, first)
        yield (run.campaign, run.cycle, *item, run.now)


def _consent(run: Run) -> Consent:
    """The stricter of what the list and what calls of the campaign ask; a message always heeds a refusal."""
    asked = consent_asked(run.config, run.campaign, run.lake, run.month)
    return "given" if run.config.strategies.outreach.needs_consent or asked == "given" else "not_refused"


def _item(
    row: Mapping[str, Any], each: Listing, message: Message | str, share: float, first: datetime
) -> Sequence[object]:
    is_sent = each.decision == LISTED
    chance = {LISTED: 1 - share, assignment.HELD_OUT: share}.get(each.decision)
    sent = message if chance is not None and not isinstance(message, str) else (None, None, None)
    person = (row["subscriber_id"], row["customer_key"], row["rank"], row["grade"])
    return (*person, each.decision, each.reason, *sent, chance, first if is_sent else None)


def _arms(prospects: Sequence[Prospect], rules: Outreach, campaign: str, epoch: str) -> dict[str, str]:
    """The arm of every customer for this list: a draw of its own, apart from that of the tickets."""
    name, draw = f"{campaign}/outreach", rules.hold_out
    keys = {prospect.customer_key for prospect in prospects}
    return {key: assignment.arm_of(key, name, epoch, draw.salt, draw.share) for key in keys}


def phases_of(config: Config, campaign: str) -> tuple[str, ...]:
    """The phases whose offers a campaign's list may make: those of the list, or another of the campaign's own."""
    phases, own = config.strategies.outreach.phases, config.phase(campaign)
    return phases if own in phases else (own,)


@dataclass(frozen=True)
class Asking:
    """What a message for a subscriber may be about, and how it may come."""

    reasons: Sequence[str]
    phases: Sequence[str]
    channels: Sequence[str]


def _messages(run: Run, rows: Sequence[Mapping[str, Any]]) -> dict[str, Message | str]:
    """Per subscriber the message that fits best, or why there is none: no_channel or no_fitting_offer."""
    known, phases = run.config.strategies, phases_of(run.config, run.campaign)
    facts = facts_of(run.lake, run.config, run.month, [row["subscriber_id"] for row in rows])
    chooser = Chooser(run.config, facts)
    uses_app = _app_users(facts)
    reasons = _reasons(run, rows)
    found: dict[str, Message | str] = {}
    for row in rows:
        subscriber = row["subscriber_id"]
        channels = [each for each in known.outreach.channels if each != "app" or subscriber in uses_app]
        found[subscriber] = _message(
            chooser, run.config, subscriber, Asking(reasons[subscriber], phases, channels)
        )
    return found


def _reasons(run: Run, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Per subscriber the causes that signs and rule hits speak for; the model is asked for tickets alone."""
    config = run.config
    hits = {row["subscriber_id"]: row["rule_hits"] for row in rows}
    wanted = pl.LazyFrame({"subscriber_id": list(hits)}, schema={"subscriber_id": pl.String})
    factors = run.lake.scan("factors", run.month)
    there = [name for name in factors.collect_schema().names() if name in config.factors.names]
    people = factors.select("subscriber_id", *there).join(wanted, on="subscriber_id", how="semi")
    signs = evidence_for(people.collect(engine="streaming"), hits, config)
    return {
        subscriber: reasons_in(
            {"human_reasons": grouped([], config.factors, signs.get(subscriber))}, config.strategies
        )
        for subscriber in hits
    }


def _message(chooser: Chooser, config: Config, subscriber: str, asking: Asking) -> Message | str:
    rules, book = config.strategies.outreach, config.strategies.book
    facts = chooser.facts(subscriber, asking.phases, asking.channels)
    closed = frozenset[str]().union(*(book.closed_channels[each] for each in facts.segments))
    if not set(asking.channels) - closed:
        return "no_channel"

    def is_cheap(offer: Offer) -> bool:
        return offer.cost_yuan <= rules.offer_at_most_yuan

    for judged in chooser.judged(subscriber, asking.reasons, asking.phases, asking.channels):
        if judged.fits and is_cheap(judged.offer):
            channel = first_open(asking.channels, open_channels(judged.offer, facts, book))
            if channel is not None:
                return judged.offer.strategy, judged.offer.name, channel
    return "no_fitting_offer"


def _unsendable(message: Message | str) -> str | None:
    return message if isinstance(message, str) else None


def _app_users(facts: pl.DataFrame) -> set[str]:
    if "app_logins" not in facts.columns:
        return set()
    return set(facts.filter(pl.col("app_logins") > 0)["subscriber_id"])


def _counts(counted: Sequence[sa.Row[Any]], message: str = "") -> Listed:
    decisions, reasons, channels = Counter[str](), Counter[str](), Counter[str]()
    for row in counted:
        decisions[row.decision] += row.subscribers
        if row.reason:
            reasons[row.reason] += row.subscribers
        if row.decision == LISTED:
            channels[row.channel] += row.subscribers
    counts: Listed = {
        "stage": "outreach",
        "rows_in": sum(decisions.values()),
        "rows_out": decisions[LISTED],
        "listed": decisions[LISTED],
        "held_out": decisions[assignment.HELD_OUT],
        "not_reached": decisions["not_reached"],
        "suppressed": dict(sorted(reasons.items())),
        "channels": dict(sorted(channels.items())),
    }
    if message:
        counts["message"] = message
    return counts
