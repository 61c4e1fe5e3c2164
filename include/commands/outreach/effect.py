"""What an outreach list did: churn of the listed against those held out of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import TypedDict

from include.commands.outreach.lists import OutreachList
from include.database.queries import load
from include.domain.errors import NotReady
from include.models import labels
from include.stages.follow_up.effect import Arm, Effect, effect_of
from include.subscribers import later

Q = load("stages/outreach")


class _Measured(TypedDict, total=False):
    message: str
    churn_listed: float
    churn_held_out: float
    avoided: float
    avoided_low: float
    avoided_high: float


class Measured(_Measured):
    """People of both groups and their churn (shares, 0 to 1); `message` in its place when a group is empty."""

    stage: str
    listed: int
    held_out: int


def effect(outreach: OutreachList, now: datetime) -> Measured:
    """What the list did: churn of the listed and of those held out of it, by intention to treat.

    NotReady when nobody is listed, and until it is known who left.
    """
    db, lake, config = outreach.db, outreach.lake, outreach.config
    campaign, cycle = outreach.campaign, outreach.cycle
    with db.begin():
        found = db.execute(Q["find_cycle"], {"campaign": campaign, "cycle": cycle}).one_or_none()
        rows = db.execute(Q["read_arms"], {"campaign": campaign, "cycle": cycle})
        arms = {row.subscriber_id: row.decision for row in rows}
    if found is None or not arms:
        raise NotReady(f"Nobody is listed in cycle {cycle} of {campaign}. Run its outreach first.")
    horizon = config.campaign(campaign).horizon
    window = horizon.after(cycle, found.month)
    if not labels.knowledge(lake, labels.leaving(horizon), window, now).is_there(now):
        raise NotReady(
            f"Who left in {', '.join(window.months)} is not known yet. Ask again once churned is complete."
        )
    left = set(later.leavers(lake, window)["subscriber_id"])
    listed, held_out = (_arm(arms, left, name) for name in ("listed", "held_out"))
    return {
        "stage": "outreach",
        "listed": listed.subscribers,
        "held_out": held_out.subscribers,
        **_rates(listed, held_out),
    }


def _arm(arms: Mapping[str, str], left: set[str], name: str) -> Arm:
    members = [subscriber for subscriber, arm in arms.items() if arm == name]
    return Arm(len(members), sum(subscriber in left for subscriber in members))


def _rates(listed: Arm, held_out: Arm) -> _Measured:
    found: Effect | None = effect_of(listed, held_out)
    if found is None:
        return {"message": "One of the two groups is empty, so the effect cannot be told."}
    return {
        "churn_listed": round(listed.rate, 6),
        "churn_held_out": round(held_out.rate, 6),
        "avoided": round(found.avoided, 6),
        "avoided_low": round(found.low, 6),
        "avoided_high": round(found.high, 6),
    }
