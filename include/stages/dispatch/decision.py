"""Who is treated, held out, not reached or ineligible: eligibility, the draw of arms, the walk by rank."""

from collections.abc import Mapping, Sequence
from typing import Any

from include.domain import assignment
from include.domain.assignment import Candidate, Decision
from include.stages.dispatch.routing import find_routes
from include.stages.dispatch.run import Q, Row, Run
from include.stages.eligibility import barred_in_database, barred_of


def candidates(run: Run) -> list[dict[str, Any]]:
    """The high-priority warnings, best rank first."""
    values = {
        "revision": run.revision,
        "measure": run.campaign.measure_name,
        "epoch": run.epoch,
        "as_of": run.as_of,
        "cooling_off_days": run.campaign.cooling_off_days,
    }
    return [dict(row) for row in run.db.execute(Q["find_candidates"], run.key | values).mappings()]


def decide(
    run: Run, rows: Sequence[Row], rooms: Mapping[str, int] | None, most: int | None
) -> list[Decision]:
    """A decision for each of `rows` that has none yet, in order; keeps routes and arms drawn in `run`."""
    subscribers = [row["subscriber_id"] for row in rows]
    run.routes = find_routes(run.db, run.lake, run.config, run.key["campaign"], run.month, rows)
    outside = barred_of(run.config, run.key["campaign"], run.lake, run.month, run.as_of, subscribers)
    outside = barred_in_database(run.db, run.key, run.revision, run.as_of) | outside
    open_ = [
        Candidate(
            row["subscriber_id"], row["customer_key"], row["rank"],
            outside.get(row["subscriber_id"]) or _barred_by_tickets(row),
            run.routes[row["subscriber_id"]].team,
        )
        for row in rows if not row["is_assigned"]
    ]  # fmt: skip
    own_arms = {row["subscriber_id"]: row["own_arm"] for row in rows if row["own_arm"]}
    _draw_arms(run, open_, own_arms)
    arms = {key: row.arm for key, row in run.arms.items()}
    unmixed = assignment.without_mixed_arms(open_, arms, own_arms)
    return assignment.walk(unmixed, arms, rooms, run.config.teams.overflow, most)


def _draw_arms(run: Run, open_: Sequence[Candidate], own_arms: Mapping[str, str]) -> None:
    """Draw an arm per customer; one that a number of the customer already has this epoch goes first."""
    callable_ = [candidate for candidate in open_ if not candidate.barred]
    standing = {each.customer_key: own_arms.get(each.subscriber_id) for each in reversed(callable_)}
    keys = sorted(standing)
    name, draw = run.campaign.measure_name, run.measure
    drawn = [standing[key] or assignment.arm_of(key, name, run.epoch, draw.salt, draw.share) for key in keys]
    values = {"measure": name, "epoch": run.epoch, "customer_keys": keys}
    run.db.execute(Q["draw_arms"], values | {"arms": drawn, "held_out_share": draw.share, "now": run.now})
    run.arms = {row.customer_key: row for row in run.db.execute(Q["read_arms"], values)}


def _barred_by_tickets(row: Row) -> str | None:
    if row["unfinished_ticket_id"] is not None:
        return "unfinished_ticket"
    return "cooling_off" if row["is_cooling_off"] else None
