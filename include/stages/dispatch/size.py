"""How large a dispatch would be, against capacity and the cycle before, and whether a person must agree."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Required, TypedDict

import sqlalchemy as sa

from include.clocks.calendar import fill_calendar
from include.clocks.capacity import read_capacity, taken
from include.config import Config
from include.config.readers.campaign import Approval, Campaign
from include.domain.dispatch.assignment import TREATED, Candidate, Route, walk
from include.run import Run
from include.stages.dispatch.figures import Splits, champions_before, splits
from include.stages.dispatch.fingerprint import fingerprint_within
from include.stages.dispatch.routing import find_routes
from include.stages.dispatch.run import Choices, Q


def is_late(rules: Campaign, cycle: str, now: datetime) -> bool:
    """Whether the time to act on the cycle has ended: tickets sent now would be cold."""
    return now >= rules.dispatch_ends_at(cycle)


class Asked(TypedDict, total=False):
    """What the person who is asked looks at, and whether the last champion is there to score again."""

    figures: Splits
    last_champion: list[str]
    may_rescore: bool


class Size(Asked):
    """How large a dispatch would be; `ask`: whether a person must agree first, and `why`."""

    stage: Required[str]
    high: Required[int]
    scored: Required[int]
    tickets_at_most: Required[int]
    share_warned_times: Required[float | None]
    before: Required[str | None]
    tickets_unasked: Required[int]
    ask: Required[bool]
    why: Required[str]
    fingerprint: Required[str]
    planned_at: Required[str]


def plan_size(run: Run, choices: Choices) -> Size:
    """How large a dispatch would be, against the cycle before, and whether to ask a person first, and why.

    `ask` is false when nothing can be dispatched: it is late, in the shadow, or the cycle is fixed and not topped up.
    """
    db, rules = run.db, run.rules
    with db.begin():
        fill_calendar(db, run.config, run.now)
        is_fixed = db.execute(Q["find_cycle"], run.key).one().fixed_at is not None
        high = warned(run)
        before = db.execute(Q["count_warned_before"], run.key).one_or_none()
        capacity = read_capacity(db, run.config, rules.capacity_days, run.now)
        rows = db.execute(Q["read_priority"], run.key_of_revision).all()
        routes = find_routes(run, [dict(row._mapping) for row in rows])
        tickets = _at_most(run.config, rows, routes, capacity.left(taken(db, run.key, run.now)))
        plan = fingerprint_within(run)
    scored = run.lake.manifest(run.grades_table, run.cycle).rows
    times = _times(high, scored, before)
    is_wanted = (choices.top_up or not is_fixed) and not rules.shadow
    may_dispatch = is_wanted and (choices.dispatch_late or not is_late(rules, run.cycle, run.now))
    why = _unusual(tickets, times, rules.approval)
    asks = bool(may_dispatch and why)
    asked: Asked = _asked(run, before, rows) if asks else {}
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
        "planned_at": run.now.isoformat(),
        **asked,
    }


def warned(run: Run) -> int:
    """How many a revision warned of at high risk; all who are admitted where the campaign does not grade."""
    return int(run.db.execute(Q["count_warned"], run.key_of_revision).scalar_one())


def _asked(run: Run, before: Any, rows: Sequence[sa.Row[Any]]) -> Asked:
    with run.db.begin():
        last = champions_before(run.db, run.key, run.month)
        subscribers = [row.subscriber_id for row in rows]
        figures = splits(run, before=before.cycle if before else None, subscribers=subscribers)
    may_rescore = run.revision == 0 and run.rules.model is not None
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
    reasons = []
    if tickets > limits.tickets:
        reasons.append(f"Up to {tickets:,} tickets; more than {limits.tickets:,} need approval.")
    if times is not None and times > limits.share_warned_times:
        reasons.append(
            f"The share warned is {times:g} times that of the cycle before; the limit is {limits.share_warned_times:g}."
        )
    return " ".join(reasons)
