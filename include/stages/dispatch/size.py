"""How large a dispatch would be, against capacity and the cycle before, and whether a person must agree."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from include.clocks.calendar import fill_calendar
from include.clocks.capacity import read_capacity, taken
from include.config import Config
from include.config.readers.campaign import Approval, Campaign
from include.domain.dispatch.assignment import TREATED, Candidate, Route, walk
from include.lake import Lake
from include.lake.campaigns import grades_of
from include.stages.dispatch.figures import champions_before, splits
from include.stages.dispatch.fingerprint import fingerprint_within
from include.stages.dispatch.routing import find_routes
from include.stages.dispatch.run import Q


def is_late(rules: Campaign, cycle: str, now: datetime) -> bool:
    """Whether the time to act on the cycle has ended: tickets sent now would be cold."""
    return now >= rules.dispatch_ends_at(cycle)


def plan_size(
    *, db: sa.Connection, lake: Lake, config: Config, campaign: str, cycle: str, month: str, now: datetime,
    revision: int = 0, dispatch_late: bool = False, top_up: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """How large a dispatch would be, against the cycle before, and whether to ask a person first, and why.

    `ask` is false when nothing can be dispatched: it is late, in the shadow, or the cycle is fixed and not topped up.
    """
    rules = config.campaign(campaign)
    key = {"campaign": campaign, "cycle": cycle}
    with db.begin():
        fill_calendar(db, config, now)
        is_fixed = db.execute(Q["find_cycle"], key).one().fixed_at is not None
        high = warned(db, key, revision)
        before = db.execute(Q["count_warned_before"], key).one_or_none()
        capacity = read_capacity(db, config, rules.capacity_days, now)
        rows = db.execute(Q["read_priority"], key | {"revision": revision}).all()
        routes = find_routes(db, lake, config, campaign, month, [dict(row._mapping) for row in rows])
        tickets = _at_most(config, rows, routes, capacity.left(taken(db, key, now)))
        plan = fingerprint_within(db, config, key, revision)
    scored = lake.manifest(grades_of(campaign, revision), cycle).rows
    times = _times(high, scored, before)
    is_wanted = (top_up or not is_fixed) and not rules.shadow
    may_dispatch = is_wanted and (dispatch_late or not is_late(rules, cycle, now))
    why = _unusual(tickets, times, rules.approval)
    asks = bool(may_dispatch and why)
    told = _told(db, lake, config, key, month, revision, before, rows) if asks else {}
    return {
        "stage": "dispatch",
        "high": high,
        "scored": scored,
        "tickets_at_most": tickets,
        "share_warned_times": times,
        "before": before.cycle if before else None,
        "tickets_unasked": rules.approval.tickets,
        "ask": asks,
        "why": why,
        "fingerprint": plan,
        "planned_at": now.isoformat(),
        **told,
    }


def warned(db: sa.Connection, key: Mapping[str, str], revision: int) -> int:
    """How many a revision warned of at high risk; all who are admitted where the campaign does not grade."""
    return int(db.execute(Q["count_warned"], {**key, "revision": revision}).scalar_one())


def _told(
    db: sa.Connection, lake: Lake, config: Config, key: Mapping[str, str], month: str, revision: int,
    before: Any, rows: Sequence[sa.Row[Any]],
) -> dict[str, Any]:  # fmt: skip
    """What the person who is asked looks at, and whether the last champion is there to score again."""
    with db.begin():
        last = champions_before(db, key, month)
        figures = splits(
            db=db, lake=lake, config=config, key=key, month=month, revision=revision,
            before=before.cycle if before else None, subscribers=[row.subscriber_id for row in rows],
        )  # fmt: skip
    may_rescore = revision == 0 and config.campaign(key["campaign"]).model is not None
    return {
        "figures": figures,
        "last_champion": sorted({each["version"] for each in last.values()}) if last and may_rescore else [],
        "may_rescore": may_rescore,
    }


def _at_most(
    config: Config, rows: Sequence[sa.Row[Any]], routes: Mapping[str, Route], left: Mapping[str, int] | None
) -> int:
    """Tickets if nobody were held out or barred."""
    candidates = [
        Candidate(row.subscriber_id, row.customer_key, row.rank, team=routes[row.subscriber_id].team)
        for row in rows
    ]
    arms = {each.customer_key: TREATED for each in candidates}
    decisions = walk(candidates, arms, left, config.teams.overflow)
    return sum(each.decision == TREATED for each in decisions)


def _times(high: int, scored: int, before: Any) -> float | None:
    if before is None or not before.high or not scored:
        return None
    return float(round((high / scored) / (before.high / before.scored), 3))


def _unusual(tickets: int, times: float | None, limits: Approval) -> str:
    told = []
    if tickets > limits.tickets:
        told.append(f"Up to {tickets:,} tickets; more than {limits.tickets:,} need approval.")
    if times is not None and times > limits.share_warned_times:
        told.append(
            f"The share warned is {times:g} times that of the cycle before; the limit is {limits.share_warned_times:g}."
        )
    return " ".join(told)
