"""Dispatch: from who is admitted to arms, assignments and tickets, in one transaction, once a cycle."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from include.clocks.calendar import fill_calendar
from include.clocks.capacity import has_agents, read_capacity, taken
from include.clocks.expiry import expire_waiting
from include.config import Config
from include.database import lock
from include.domain.dispatch.assignment import Decision
from include.domain.errors import NotReady, Refused
from include.domain.periods import months
from include.lake import Lake
from include.lake.campaigns import grades_of
from include.run import cycles
from include.stages.dispatch.decision import candidates, decide
from include.stages.dispatch.figures import champions_before
from include.stages.dispatch.fingerprint import fingerprint, require_planned
from include.stages.dispatch.recall import Selection, recall, require_known
from include.stages.dispatch.run import Q, Run
from include.stages.dispatch.size import is_late, plan_size
from include.stages.dispatch.summary import summary_of
from include.stages.dispatch.writing import fix, write, write_shadow
from include.stages.release import release_within

__all__ = [
    "Selection", "champions_before", "dispatch", "fingerprint", "is_late", "plan_size", "recall", "require_known",
]  # fmt: skip


def dispatch(
    *, db: sa.Connection, lake: Lake, config: Config, campaign: str, cycle: str, month: str, as_of: datetime,
    now: datetime, revision: int = 0, dispatch_late: bool = False, top_up: bool = False, most: int | None = None,
    planned: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Dispatch a cycle once; again, only compare, or with `top_up` fill what capacity is left.

    `most` is the number of tickets that was approved, if any number was; `planned` the fingerprint of the plan.

    Everything is written in one transaction under the lock of (campaign, cycle): killed at any point,
    nothing has happened; run twice, the second finds the cycle fixed.
    """
    months.require_past(as_of, now)
    key = {"campaign": campaign, "cycle": cycle}
    with db.begin():
        fill_calendar(db, config, now)
        lock(db, "dispatch", campaign, cycle)
        found = db.execute(Q["find_cycle"], key).one_or_none()
        if found is None:
            raise NotReady(
                f"Cycle {cycle} of {campaign} was never opened. Run the loop from its first stage."
            )
        rules = config.campaign(campaign)
        if found.fixed_at is not None and (rules.shadow or not top_up):
            return _compared(db, config, key, revision, now)
        if is_late(rules, cycle, now) and not dispatch_late:
            return _nothing(
                f"{cycle} is over: its subscribers have long decided. Set dispatch_late to send anyway."
            )
        if found.fixed_at is None and found.as_of != as_of:
            raise Refused(
                f"Cycle {cycle} was reopened with as_of {found.as_of.isoformat()}. Run that one instead."
            )
        _require_own_grades(lake, key, as_of, revision)
        require_planned(db, config, key, revision, planned)
        run = Run(db, lake, config, key, month, as_of, now, revision)
        return _dispatched(run, most, is_top_up=found.fixed_at is not None)


def _dispatched(run: Run, most: int | None, *, is_top_up: bool) -> dict[str, Any]:
    """Decide for everybody and write it, or in the shadow only what would have been.

    One after the other, whatever the campaign: who comes later sees which customers and what capacity are taken.
    """
    lock(run.db, "dispatch")
    if not has_agents(run.db):
        lock(run.db, "release")  # it will be wanted, and must not be waited for with tickets in hand
    if not run.campaign.shadow:
        expire_waiting(run.db, run.now)
    rows = candidates(run)
    if not rows and (lacks := run.grades.facts.get("message")):
        return _nothing(lacks)  # not fixed: what lacks may still be delivered
    capacity = read_capacity(run.db, run.config, run.campaign.capacity_days, run.now)
    spoken_for = taken(run.db, run.key, run.now)
    decisions = decide(run, rows, capacity.left(spoken_for), most)
    by_subscriber = {row["subscriber_id"]: row for row in rows}
    summary = summary_of(run, decisions, by_subscriber, capacity)
    summary |= {"top_up": is_top_up, "capacity_taken": sum(spoken_for.values())}
    if run.campaign.shadow:
        return _in_the_shadow(run, decisions, by_subscriber, summary)
    if not is_top_up:
        run.db.execute(Q["forget_decisions"], run.key)
    write(run, decisions, by_subscriber, capacity)
    fix(run, summary)
    if not capacity.is_limited:
        told = release_within(run.db, run.config, run.now, is_unlimited=True)
        summary["released"] = told["released"]
    return summary


def _in_the_shadow(
    run: Run, decisions: Sequence[Decision], rows: dict[str, dict[str, Any]], summary: dict[str, Any]
) -> dict[str, Any]:
    told = f"In the shadow: nothing is dispatched. {summary['message']}"
    summary |= {"shadow": True, "rows_out": 0, "message": told}
    write_shadow(run, decisions, rows, summary)
    return summary


def _require_own_grades(lake: Lake, key: dict[str, str], as_of: datetime, revision: int) -> None:
    """The grades that stand must be of this cycle, as_of and revision, or evidence and cycle would disagree."""
    facts = lake.manifest(grades_of(key["campaign"], revision), key["cycle"]).facts
    if foreign := cycles.foreign(facts, key, as_of, revision):
        raise Refused(f"The grades {foreign}. Run prediction and grading for this as_of first.")


def _compared(
    db: sa.Connection, config: Config, key: dict[str, str], revision: int, now: datetime
) -> dict[str, Any]:
    values = key | {"revision": revision}
    found = db.execute(Q["compare_revision"], values).one()
    comparison = {"would_come": found.would_come, "would_go": found.would_go} if revision else {}
    if revision:
        db.execute(Q["keep_comparison"], values | {"comparison": json.dumps(comparison)})
    differ = sum(comparison.values())
    told = {
        "stage": "dispatch",
        "rows_in": found.admitted,
        "rows_out": 0,
        "treated": 0,
        "already_fixed": True,
        "would_differ": differ,
        "message": f"Cycle {key['cycle']} is already fixed, {differ} would differ; nothing new is dispatched.",
        **comparison,
    }
    if not has_agents(db):  # without a limit nothing may stay waiting, whoever was killed before
        told["released"] = release_within(db, config, now, is_unlimited=True)["released"]
    return told


def _nothing(message: str) -> dict[str, Any]:
    return {"stage": "dispatch", "rows_in": 0, "rows_out": 0, "treated": 0, "message": message}
