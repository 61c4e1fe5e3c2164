"""A wrong batch taken back: its tickets cancelled, its places in the cycle free again, the arms as drawn."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import sqlalchemy as sa

from include.config import Config
from include.database import lock
from include.domain.dispatch.assignment import HELD_OUT
from include.domain.errors import BadInput, NotReady
from include.domain.periods.period import parse_key
from include.domain.signature import Signature
from include.domain.ticket import ACTIONS
from include.run.results import Counts
from include.stages.dispatch.run import Q


@dataclass(frozen=True)
class Selection:
    """Which part of a cycle: of a team, a region, a rule that fired; all that are given must hold."""

    team: str | None = None
    region: str | None = None
    rule: str | None = None


@dataclass(frozen=True)
class Batch:
    """The part of a dispatched cycle that was wrong."""

    campaign: str
    cycle: str
    selection: Selection = Selection()

    @property
    def key(self) -> dict[str, str]:
        """The cycle as statements name it."""
        return {"campaign": self.campaign, "cycle": self.cycle}


class Recalled(Counts):
    """What became of a batch, in tickets, clocks and held-out customers."""

    recalled: int
    clocks_void: int
    held_out_recalled: int
    kept_contacted: int
    kept_finished: int


def recall(*, db: sa.Connection, batch: Batch, signed: Signature, contacted_too: bool = False) -> Recalled:
    """Take a wrong batch back in one transaction; again, nothing is left to take back.

    Unfinished tickets of the selection are cancelled as recalled, their clocks void; those on which a person
    was contacted stay, unless `contacted_too`. The held-out of the selection are recalled with them, so that
    the arms stay comparable. A top-up may dispatch the recalled again, each into the arm once drawn. BadInput without
    a reason and a name, NotReady for a cycle that was not dispatched.
    """
    because, by = signed.because.strip(), signed.by.strip()
    if not because or not by:
        raise BadInput("A recall needs its reason in words and a name. Give --because and --by.")
    with db.begin():
        lock(db, "dispatch", batch.campaign, batch.cycle)
        found = db.execute(Q["find_cycle"], batch.key).one_or_none()
        if found is None or found.fixed_at is None:
            raise NotReady(
                f"Cycle {batch.cycle} of {batch.campaign} was not dispatched: there is nothing to recall."
            )
        db.execute(Q["lock_recalled"], {"ticket_ids": _tickets(_found(db, batch))})
        rows = _found(db, batch)  # as it is now that nobody can contact anybody any more
        taken = [row for row in rows if _is_taken_back(row, contacted_too)]
        counts = {**_taken_back(db, taken, signed), **_left(rows, contacted_too)}
        details = {**asdict(batch.selection), **counts, "because": because}
        values = {"now": signed.at, "actor": by, "subject": f"{batch.campaign} {batch.cycle}"}
        db.execute(Q["keep_recall"], values | {"details": json.dumps(details, ensure_ascii=False)})
    result = {"stage": "dispatch", "rows_in": len(rows), "rows_out": counts["recalled"], **counts}
    return cast(Recalled, result)


def require_known(db: sa.Connection, config: Config, batch: Batch) -> None:
    """BadInput or ConfigError, naming the known ones, for a campaign, cycle, team or rule that does not exist.

    A team or rule taken out of the configuration since is known still where the cycle has it.
    """
    selection = batch.selection
    parse_key(batch.cycle, config.cadence(batch.campaign))
    with db.begin():
        found = db.execute(
            Q["find_named"], batch.key | {"team": selection.team, "rule": selection.rule}
        ).one()
    if not found.is_known:
        newest = ", ".join(found.newest) or "none"
        raise NotReady(
            f"There is no cycle {batch.cycle} of {batch.campaign}: it was not dispatched, there is nothing to recall. "
            f"The newest are: {newest}."
        )
    if selection.team is not None and not found.has_team:
        config.teams.require(selection.team)
    rules = [rule.name for rule in config.rules.rules]
    if selection.rule is not None and not found.has_rule and selection.rule not in rules:
        raise BadInput(f"There is no rule '{selection.rule}' in rules.yaml. Known: {', '.join(rules)}.")


def _found(db: sa.Connection, batch: Batch) -> Sequence[sa.Row[Any]]:
    return db.execute(Q["find_recalled"], batch.key | asdict(batch.selection)).all()


def _tickets(rows: Sequence[sa.Row[Any]]) -> list[int]:
    return [row.ticket_id for row in rows if row.ticket_id is not None]


def _is_taken_back(row: sa.Row[Any], contacted_too: bool) -> bool:
    if row.arm == HELD_OUT:
        return True
    return row.state in ACTIONS["recall"].since and (contacted_too or not row.is_contacted)


def _taken_back(db: sa.Connection, taken: Sequence[sa.Row[Any]], signed: Signature) -> dict[str, int]:
    values = {
        "now": signed.at, "actor": signed.by.strip(), "because": signed.because.strip(),
        "states": sorted(ACTIONS["recall"].since),
    }  # fmt: skip
    done = db.execute(Q["recall_tickets"], values | {"ticket_ids": _tickets(taken)}).one()
    assignments = {"assignment_ids": [row.assignment_id for row in taken], "now": signed.at}
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
