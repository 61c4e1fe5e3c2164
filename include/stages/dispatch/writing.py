"""What a dispatch writes: staged decisions, assignments with their evidence, tickets, the fixed cycle."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from include.clocks.capacity import Capacity
from include.database import copy_rows
from include.domain.dispatch import assignment
from include.domain.dispatch.assignment import Candidate, Decision
from include.lake.campaigns import scores_of
from include.stages import prediction
from include.stages.dispatch.decision import YIELDS
from include.stages.dispatch.evidence import evidence_of, sha256_of
from include.stages.dispatch.routing import routes
from include.stages.dispatch.run import CandidateRow, Dispatched, Dispatching, Q, Row, champions_of

_STAGED = (
    "subscriber_id", "customer_key", "rank", "decision", "reason", "linked_ticket_id", "linked_subscriber_id",
    "yields_to", "probability_of_assignment", "evidence", "evidence_sha256", "team", "branch_code", "region_code",
    "grade", "tier", "value_yuan", "expected_on", "msisdn", "skill", "is_pool", "led_by", "shared_by", "routed_to",
)  # fmt: skip


def write(
    run: Dispatching, decisions: Sequence[Decision], rows: Mapping[str, CandidateRow], capacity: Capacity
) -> None:
    """Write arms, assignments, tickets and decisions by way of one staging table."""
    assigned = [each for each in decisions if each.decision in (assignment.TREATED, assignment.HELD_OUT)]
    extras = _evidence(run, [rows[each.candidate.subscriber_id] for each in assigned])
    for subscriber, facts in routes(run, assigned, capacity).items():
        extras[subscriber] |= facts
    _stage(run, decisions, rows, extras)
    rules = run.rules
    values = {
        "measure": rules.measure_name, "epoch": run.epoch, "now": run.now, "waiting_days": rules.waiting_days,
        "precedence": rules.precedence, "beside_others": rules.beside_others,
    }  # fmt: skip
    if rules.measure_name is not None:
        run.db.execute(Q["keep_subscriber_arms"], values)
    for statement in ("write_assignments", "write_tickets", "write_decisions"):
        run.db.execute(Q[statement], run.key | values)


def write_shadow(
    run: Dispatching, decisions: Sequence[Decision], rows: Mapping[str, CandidateRow], summary: Dispatched
) -> None:
    """Write what would have been decided, and no more: nobody is assigned, called or kept from other campaigns."""
    run.db.execute(Q["forget_decisions"], run.key)
    _stage(run, decisions, rows, {})
    run.db.execute(Q["write_decisions"], run.key | {"now": run.now})
    run.db.execute(Q["keep_shadow"], run.key | {"summary": json.dumps(summary)})


def _stage(
    run: Dispatching,
    decisions: Sequence[Decision],
    rows: Mapping[str, CandidateRow],
    extras: Mapping[str, Row],
) -> None:
    run.db.execute(Q["stage_decisions"])
    staged = (_staged(run, each, rows[each.candidate.subscriber_id], extras) for each in decisions)
    copy_rows(run.db, "dispatch_stage", _STAGED, staged)


def fix(run: Dispatching, summary: Dispatched) -> None:
    """Mark the cycle as fixed by its first dispatch, with what fixed it; keep the summary."""
    made_from = {"factors": run.lake.manifest("factors", run.month)}
    if run.rules.model is not None:
        made_from["scores"] = run.lake.manifest(scores_of(run.campaign), run.cycle)
    facts = {
        "as_of": run.as_of.isoformat(),
        "config_hash": run.config.hash,
        "inputs": {name: manifest.fingerprint for name, manifest in made_from.items()},
        "champions": champions_of(run),
    }
    values = {"now": run.now, "facts": json.dumps(facts), "summary": json.dumps(summary)}
    run.db.execute(Q["fix_cycle"], run.key | values)


def _chance(run: Dispatching, candidate: Candidate) -> float:
    """The probability with which the customer got the arm, by the share in force when it was drawn."""
    drawn = run.arms[candidate.customer_key]
    return float(drawn.held_out_share if drawn.arm == assignment.HELD_OUT else 1 - drawn.held_out_share)


def _evidence(run: Dispatching, rows: Sequence[CandidateRow]) -> dict[str, dict[str, Any]]:
    reasons = prediction.reasons(
        lake=run.lake, month=run.month, champions=champions_of(run),
        subscriber_ids=[row["subscriber_id"] for row in rows], top=None,
    )  # fmt: skip
    found = evidence_of(run, warnings=rows, reasons=reasons)
    return {
        subscriber: {"evidence": text, "evidence_sha256": sha256_of(text)}
        for subscriber, text in found.items()
    }


def _staged(run: Dispatching, each: Decision, row: CandidateRow, extras: Mapping[str, Row]) -> list[Any]:
    subscriber = each.candidate.subscriber_id
    values: dict[str, Any] = (
        dict(row)
        | dict(extras.get(subscriber, {}))
        | {
            "decision": each.decision,
            "reason": each.reason,
            "routed_to": each.candidate.team,
            "linked_ticket_id": row["unfinished_ticket_id"] if each.reason == "unfinished_ticket" else None,
            "linked_subscriber_id": each.linked,
            "yields_to": row["yields_to"] if each.reason == YIELDS else None,
            "probability_of_assignment": _chance(run, each.candidate) if subscriber in extras else None,
        }
    )
    return [values.get(name) for name in _STAGED]
