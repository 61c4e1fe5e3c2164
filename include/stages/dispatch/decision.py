"""Who is treated, held out, not reached or ineligible: eligibility, the draw of arms, the walk by rank."""

from collections.abc import Mapping, Sequence
from typing import cast

from include.config.readers.contact import Caps
from include.domain.dispatch import assignment
from include.domain.dispatch.assignment import Candidate, Decision
from include.stages.dispatch.routing import find_routes
from include.stages.dispatch.run import CandidateRow, Dispatching, Drawn, Q
from include.subscribers.eligibility import barred_in_database, barred_of

#: The reason of who is left to a campaign that goes first.
YIELDS = "yields"


def candidates(run: Dispatching) -> list[CandidateRow]:
    """Everybody admitted, best rank first, with what the database knows against each."""
    rules = run.rules
    values = run.key_of_revision | {
        "measure": rules.measure_name,
        "epoch": run.epoch,
        "as_of": run.as_of,
        "now": run.now,
        "precedence": rules.precedence,
        "beside_others": rules.beside_others,
        "cooling_off_days": rules.cooling_off_days,
    }
    better = {row.subscriber_id: row.campaign for row in run.db.execute(Q["find_better_placed"], values)}
    rows = run.db.execute(Q["find_candidates"], values).mappings()
    return [cast(CandidateRow, {**row, "yields_to": better.get(row["subscriber_id"])}) for row in rows]


def decide(
    run: Dispatching, rows: Sequence[CandidateRow], rooms: Mapping[str, int] | None, most: int | None
) -> list[Decision]:
    """A decision for each of `rows` that has none yet, in order; keeps routes and arms drawn in `run`."""
    subscribers = [row["subscriber_id"] for row in rows]
    run.routes.update(find_routes(run, rows))
    outside = barred_in_database(run) | barred_of(run, subscribers)
    caps = run.config.contact.caps
    open_ = [
        Candidate(
            row["subscriber_id"], row["customer_key"], row["rank"],
            outside.get(row["subscriber_id"]) or barred_by(row, caps),
            run.routes[row["subscriber_id"]].team,
        )
        for row in rows if not row["is_assigned"]
    ]  # fmt: skip
    own_arms = {row["subscriber_id"]: row["own_arm"] for row in rows if row["own_arm"]}
    run.arms.update(_arms(run, open_, own_arms))
    arms = {key: drawn.arm for key, drawn in run.arms.items()}
    unmixed = assignment.without_mixed_arms(open_, arms, own_arms)
    return assignment.walk(unmixed, arms, rooms, run.config.teams.overflow, most)


def barred_by(row: CandidateRow, caps: Caps) -> str | None:
    """The gravest reason the database has against a candidate; all of them are the same for both arms."""
    reasons = {
        "unfinished_ticket": row["unfinished_ticket_id"] is not None,
        "assigned_elsewhere": row["is_elsewhere"],
        YIELDS: row["yields_to"] is not None,
        "cooling_off": row["is_cooling_off"],
        "cap_month": row["taken_up_in_month"] >= caps.month,
        "cap_quarter": row["taken_up_in_quarter"] >= caps.quarter,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _arms(run: Dispatching, open_: Sequence[Candidate], own_arms: Mapping[str, str]) -> dict[str, Drawn]:
    """The arm of every customer who may be called, drawn after that was found out; without a draw all are treated.

    One that a number of the customer already has this epoch goes first. In the shadow nothing is kept.
    """
    callable_ = [candidate for candidate in open_ if not candidate.barred]
    standing = {each.customer_key: own_arms.get(each.subscriber_id) for each in reversed(callable_)}
    draw, name = run.measure, run.rules.measure_name
    if draw is None or name is None:
        return dict.fromkeys(standing, Drawn(assignment.TREATED, 0.0))
    keys = sorted(standing)
    arms = [standing[key] or assignment.arm_of(key, name, run.epoch, draw.salt, draw.share) for key in keys]
    values = {"measure": name, "epoch": run.epoch, "customer_keys": keys}
    if not run.rules.shadow:
        kept = {"arms": arms, "held_out_share": draw.share, "now": run.now}
        run.db.execute(Q["draw_arms"], values | kept)
    drawn = {key: Drawn(arm, draw.share) for key, arm in zip(keys, arms, strict=True)}
    stood = run.db.execute(Q["read_arms"], values)
    return drawn | {row.customer_key: Drawn(row.arm, row.held_out_share) for row in stood}
