"""Dispatch: from who is admitted to arms, assignments and tickets, in one transaction, once a cycle."""

import json
from collections.abc import Mapping, Sequence
from typing import cast

from include.clocks.calendar import fill_calendar
from include.clocks.capacity import has_agents, read_capacity, taken
from include.clocks.expiry import expire_waiting
from include.database import lock
from include.domain.dispatch.assignment import Decision
from include.domain.errors import NotReady, Refused
from include.domain.periods import months
from include.run import Run
from include.stages.dispatch.decision import candidates, decide
from include.stages.dispatch.figures import champions_before
from include.stages.dispatch.fingerprint import fingerprint, require_planned
from include.stages.dispatch.recall import Batch, Selection, recall, require_known
from include.stages.dispatch.run import CandidateRow, Choices, Dispatched, Dispatching, Q
from include.stages.dispatch.size import is_late, plan_size
from include.stages.dispatch.summary import summary_of
from include.stages.dispatch.writing import fix, write, write_shadow
from include.stages.release import release_within

__all__ = [
    "Batch", "Choices", "Selection", "champions_before", "dispatch", "fingerprint", "is_late", "plan_size", "recall",
    "require_known",
]  # fmt: skip


DEFAULTS = Choices()


def dispatch(run: Run, choices: Choices = DEFAULTS) -> Dispatched:
    """Dispatch a cycle once; again, only compare, or with `top_up` fill what capacity is left.

    Everything is written in one transaction under the lock of (campaign, cycle): killed at any point,
    nothing has happened; run twice, the second finds the cycle fixed. NotReady when the cycle was never opened;
    Refused when it, its grades or the plan that was approved are others than these.
    """
    months.require_past(run.as_of, run.now)
    with run.db.begin():
        fill_calendar(run.db, run.config, run.now)
        lock(run.db, "dispatch", run.campaign, run.cycle)
        found = run.db.execute(Q["find_cycle"], run.key).one_or_none()
        if found is None:
            raise NotReady(
                f"Cycle {run.cycle} of {run.campaign} was never opened. Run the loop from its first stage."
            )
        if found.fixed_at is not None and (run.rules.shadow or not choices.top_up):
            return _compared(run)
        if is_late(run.rules, run.cycle, run.now) and not choices.dispatch_late:
            return _nothing(
                f"{run.cycle} is over: its subscribers have long decided. Set dispatch_late to send anyway."
            )
        if found.fixed_at is None and found.as_of != run.as_of:
            raise Refused(
                f"Cycle {run.cycle} was reopened with as_of {found.as_of.isoformat()}. Run that one instead."
            )
        _require_own_grades(run)
        require_planned(run, choices.planned)
        return _dispatched(Dispatching.by(run), choices.most, is_top_up=found.fixed_at is not None)


def _dispatched(run: Dispatching, most: int | None, *, is_top_up: bool) -> Dispatched:
    """Decide for everybody and write it, or in the shadow only what would have been.

    One after the other, whatever the campaign: who comes later sees which customers and what capacity are taken.
    """
    lock(run.db, "dispatch")
    if not has_agents(run.db):
        lock(run.db, "release")  # it will be wanted, and must not be waited for with tickets in hand
    if not run.rules.shadow:
        expire_waiting(run.db, run.now)
    rows = candidates(run)
    if not rows and (lacks := run.grades.facts.get("message")):
        return _nothing(lacks)  # not fixed: what lacks may still be delivered
    capacity = read_capacity(run.db, run.config, run.rules.capacity_days, run.now)
    spoken_for = taken(run.db, run.key, run.now)
    decisions = decide(run, rows, capacity.left(spoken_for), most)
    by_subscriber = {row["subscriber_id"]: row for row in rows}
    summary = summary_of(run, decisions, by_subscriber, capacity)
    summary["top_up"], summary["capacity_taken"] = is_top_up, sum(spoken_for.values())
    if run.rules.shadow:
        return _in_the_shadow(run, decisions, by_subscriber, summary)
    if not is_top_up:
        run.db.execute(Q["forget_decisions"], run.key)
    write(run, decisions, by_subscriber, capacity)
    fix(run, summary)
    if not capacity.is_limited:
        summary["released"] = _released(run)
    return summary


def _in_the_shadow(
    run: Dispatching, decisions: Sequence[Decision], rows: Mapping[str, CandidateRow], summary: Dispatched
) -> Dispatched:
    message = f"In the shadow: nothing is dispatched. {summary['message']}"
    summary = {**summary, "shadow": True, "rows_out": 0, "message": message}
    write_shadow(run, decisions, rows, summary)
    return summary


def _require_own_grades(run: Run) -> None:
    """The grades that stand must be of this cycle, as_of and revision, or evidence and cycle would disagree."""
    facts = run.lake.manifest(run.grades_table, run.cycle).facts
    if foreign := run.foreign(facts):
        raise Refused(f"The grades {foreign}. Run prediction and grading for this as_of first.")


def _compared(run: Run) -> Dispatched:
    found = run.db.execute(Q["compare_revision"], run.key_of_revision).one()
    comparison = {"would_come": found.would_come, "would_go": found.would_go} if run.revision else {}
    if run.revision:
        values = {**run.key_of_revision, "comparison": json.dumps(comparison)}
        run.db.execute(Q["keep_comparison"], values)
    differ = sum(comparison.values())
    compared = {
        "stage": "dispatch",
        "rows_in": found.admitted,
        "rows_out": 0,
        "treated": 0,
        "already_fixed": True,
        "would_differ": differ,
        "message": f"Cycle {run.cycle} is already fixed, {differ} would differ; nothing new is dispatched.",
        **comparison,
    }
    if not has_agents(run.db):  # without a limit nothing may stay waiting, whoever was killed before
        compared["released"] = _released(run)
    return cast(Dispatched, compared)


def _released(run: Run) -> int:
    """Hand out all that waits, where no capacity limits it; how many."""
    return release_within(run.db, run.config, run.now, is_unlimited=True)["released"]


def _nothing(message: str) -> Dispatched:
    return {"stage": "dispatch", "rows_in": 0, "rows_out": 0, "treated": 0, "message": message}
