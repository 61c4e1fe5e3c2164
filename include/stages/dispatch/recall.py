"""A wrong batch taken back: its tickets cancelled, its places in the cycle free again, the arms as drawn."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from include.config import Config
from include.database import lock
from include.domain.dispatch.assignment import HELD_OUT
from include.domain.errors import BadInput, NotReady
from include.domain.periods.period import parse_key
from include.domain.ticket import ACTIONS
from include.stages.dispatch.run import Q


@dataclass(frozen=True)
class Selection:
    """Which part of a cycle: of a team, a region, a rule that fired; all that are given must hold."""

    team: str | None = None
    region: str | None = None
    rule: str | None = None


def recall(
    *, db: sa.Connection, campaign: str, cycle: str, selection: Selection, because: str, by: str, now: datetime,
    contacted_too: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Take a wrong batch back in one transaction; again, nothing is left to take back.

    Unfinished tickets of the selection are cancelled as recalled, their clocks void; those on which a person
    was contacted stay, unless `contacted_too`. The held-out of the selection are recalled with them, so that
    the arms stay comparable. A top-up may dispatch the recalled again, each into the arm once drawn.
    """
    key = {"campaign": campaign, "cycle": cycle}
    if not because.strip() or not by.strip():
        raise BadInput("A recall needs its reason in words and a name. Give --because and --by.")
    with db.begin():
        lock(db, "dispatch", campaign, cycle)
        found = db.execute(Q["find_cycle"], key).one_or_none()
        if found is None or found.fixed_at is None:
            raise NotReady(f"Cycle {cycle} of {campaign} was not dispatched: there is nothing to recall.")
        db.execute(Q["lock_recalled"], {"ticket_ids": _tickets(_found(db, key, selection))})
        rows = _found(db, key, selection)  # as it is now that nobody can contact anybody any more
        taken = [row for row in rows if _is_taken_back(row, contacted_too)]
        told = _taken_back(db, taken, because.strip(), by.strip(), now)
        told |= _left(rows, contacted_too)
        subject, details = f"{campaign} {cycle}", {**asdict(selection), **told, "because": because.strip()}
        values = {"now": now, "actor": by.strip(), "subject": subject}
        db.execute(Q["keep_recall"], values | {"details": json.dumps(details, ensure_ascii=False)})
    return {"stage": "dispatch", "rows_in": len(rows), "rows_out": told["recalled"], **told}


def require_known(db: sa.Connection, config: Config, campaign: str, cycle: str, selection: Selection) -> None:
    """BadInput or ConfigError, naming the known ones, for a campaign, cycle, team or rule that does not exist.

    A team or rule taken out of the configuration since is known still where the cycle has it.
    """
    parse_key(cycle, config.cadence(campaign))
    key = {"campaign": campaign, "cycle": cycle}
    with db.begin():
        found = db.execute(Q["find_named"], key | {"team": selection.team, "rule": selection.rule}).one()
    if not found.is_known:
        newest = ", ".join(found.newest) or "none"
        raise NotReady(
            f"There is no cycle {cycle} of {campaign}: it was not dispatched, there is nothing to recall. "
            f"The newest are: {newest}."
        )
    if selection.team is not None and not found.has_team:
        config.teams.require(selection.team)
    rules = [rule.name for rule in config.rules.rules]
    if selection.rule is not None and not found.has_rule and selection.rule not in rules:
        raise BadInput(f"There is no rule '{selection.rule}' in rules.yaml. Known: {', '.join(rules)}.")


def _found(db: sa.Connection, key: dict[str, str], selection: Selection) -> Sequence[sa.Row[Any]]:
    return db.execute(Q["find_recalled"], key | asdict(selection)).all()


def _tickets(rows: Sequence[sa.Row[Any]]) -> list[int]:
    return [row.ticket_id for row in rows if row.ticket_id is not None]


def _is_taken_back(row: sa.Row[Any], contacted_too: bool) -> bool:
    if row.arm == HELD_OUT:
        return True
    return row.state in ACTIONS["recall"].since and (contacted_too or not row.is_contacted)


def _taken_back(
    db: sa.Connection, taken: Sequence[sa.Row[Any]], because: str, by: str, now: datetime
) -> dict[str, int]:
    values = {"now": now, "actor": by, "because": because, "states": sorted(ACTIONS["recall"].since)}
    done = db.execute(Q["recall_tickets"], values | {"ticket_ids": _tickets(taken)}).one()
    assignments = {"assignment_ids": [row.assignment_id for row in taken], "now": now}
    db.execute(Q["recall_assignments"], assignments)
    return {
        "recalled": done.tickets,
        "clocks_void": done.clocks,
        "held_out_recalled": sum(row.arm == HELD_OUT for row in taken),
    }


def _left(rows: Sequence[sa.Row[Any]], contacted_too: bool) -> dict[str, int]:
    treated = [row for row in rows if row.arm != HELD_OUT]
    stays = [row for row in treated if not _is_taken_back(row, contacted_too)]
    finished = sum(row.state not in ACTIONS["recall"].since for row in stays)
    return {"kept_contacted": len(stays) - finished, "kept_finished": finished}
