"""Stops: all outbound of a region, team, campaign or everything ceases at once; clocks rest until it goes on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypedDict

import sqlalchemy as sa

from include.clocks.ticket_clocks import Clocks, read_clocks
from include.config import Config
from include.database.queries import load
from include.domain import sla
from include.domain.contact.stop import CAMPAIGN, REGION, TEAM, Scope, as_rests, rested_days
from include.domain.deadline import Deadline
from include.domain.errors import BadInput, Refused
from include.domain.signature import Signature

Q = load("clocks/stops")


class Stopped(TypedDict):
    """A stop and what it is of."""

    stop: int
    scope: str
    what: str | None


def stop(db: sa.Connection, config: Config, scope: Scope, signed: Signature) -> Stopped:
    """Stop all outbound of a scope at once, audited; BadInput when it is unknown, Refused when it stands already."""
    because = signed.because.strip()
    if not because:
        raise BadInput("A stop needs its reason in words. Write one sentence.", code="stop_because")
    with db.begin():
        require_known(db, config, scope)
        values = asdict(scope) | {"because": because, "by": signed.by, "now": signed.at}
        stop_id = db.execute(Q["stop"], values).scalar_one_or_none()
        if stop_id is None:
            raise standing(scope)
        _audit(db, "stop_outbound", scope, {"because": because}, signed)
    return {"stop": stop_id, "scope": scope.scope, "what": scope.what}


def lift(db: sa.Connection, stop_id: int, signed: Signature) -> Stopped:
    """Lift a stop, audited; its clocks go on with the next tick of the watcher. Refused when it is lifted already."""
    with db.begin():
        found = db.execute(Q["lift"], {"stop_id": stop_id, "by": signed.by, "now": signed.at}).one_or_none()
        if found is None:
            raise lifted(stop_id)
        scope = Scope(found.scope, found.what)
        _audit(db, "lift_stop", scope, {"stop": stop_id}, signed)
    return {"stop": stop_id, "scope": scope.scope, "what": scope.what}


def read_stops(db: sa.Connection) -> Sequence[sa.RowMapping]:
    """The stops that stand, then the last ones lifted; inside an open transaction."""
    return db.execute(Q["read_stops"]).mappings().all()


def require_known(db: sa.Connection, config: Config, scope: Scope) -> None:
    """BadInput unless what is to be stopped exists: a slip would look like a stop and stop nothing."""
    named = {CAMPAIGN: {*config.campaigns, *config.broken}, TEAM: set(config.teams.teams)}
    if scope.scope in named and scope.what not in named[scope.scope]:
        raise BadInput(
            "There is no {scope} '{typed}'. Known: {names}.",
            code="stop_unknown", scope=scope.scope, typed=scope.what, names=sorted(named[scope.scope]),
        )  # fmt: skip
    if scope.scope == REGION and not db.execute(Q["is_region_known"], {"what": scope.what}).scalar_one():
        raise BadInput(
            "No ticket and no branch is of region '{typed}'. Look at its code.",
            code="stop_no_region", typed=scope.what,
        )  # fmt: skip


def standing(scope: Scope) -> Refused:
    """What is said when the very same is stopped already."""
    return Refused(
        "Outbound of {scope} {what} is stopped already.",
        code="stop_stands", scope=scope.scope, what=scope.what or "",
    )  # fmt: skip


def lifted(stop_id: int) -> Refused:
    """What is said when there is no such stop to lift."""
    return Refused(
        "Stop {stop} is lifted already, or not yours to lift. Look at the list again.",
        code="stop_lifted", stop=stop_id,
    )  # fmt: skip


def rest(db: sa.Connection, config: Config, now: datetime) -> int:
    """Move the deadlines that lifted stops held up by the days they stood; how many tickets. Inside a transaction."""
    held = db.execute(Q["find_to_rest"]).mappings().all()
    clocks = read_clocks(db, config, now) if held else None
    return sum(_rest(db, clocks, dict(each), now) for each in held if clocks is not None)


def _rest(db: sa.Connection, clocks: Clocks, stop: Mapping[str, Any], now: datetime) -> int:
    rows = db.execute(Q["find_held_clocks"], stop).all()
    moves = [move for row in rows if (move := _moved(clocks, row, stop))]
    values = {**stop, "moves": json.dumps(moves, ensure_ascii=False), "now": now}
    tickets = int(db.execute(Q["rest_clocks"], values).scalar_one()) if moves else 0
    db.execute(Q["mark_rested"], values)
    return tickets


def _moved(clocks: Clocks, row: sa.Row[Any], stop: Mapping[str, Any]) -> dict[str, Any] | None:
    """A kind of clock with the days of the stop rested, as one row; None where that changes nothing."""
    frozen = clocks.frozen(row.explanation)
    days = rested_days(stop["stopped_at"], stop["lifted_at"], clocks.config.opens, frozen.closes)
    paused = as_rests(sla.rests_of(Deadline.from_json(row.explanation)), days)
    counted = clocks.again(row.explanation, row.started_at, paused)
    explanation = json.loads(counted["explanation"])
    if explanation == row.explanation:
        return None
    key = {"clock": row.clock, "started_at": row.started_at.isoformat(), "old": row.explanation}
    return {**counted, "explanation": explanation, **key}


def _audit(
    db: sa.Connection, action: str, scope: Scope, details: Mapping[str, Any], signed: Signature
) -> None:
    values = {"action": action, "subject": scope.named, "by": signed.by, "now": signed.at}
    db.execute(Q["record_audit"], values | {"details": json.dumps(details, ensure_ascii=False)})
