"""The next ticket: the most urgent one a person may work, held for them for some minutes; skipped, they say why.

When there is none left, the next one of the team's pools, by rank: nobody chooses, and nobody passes the quota.
Every function makes its own transaction on a connection with desk rights.
"""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from include.config import Config
from include.config.readers.desk import DeskRules
from include.database import lock
from include.database.queries import load
from include.desk.tickets.transaction import AtDesk, begin, identify
from include.domain.errors import BadInput, LoopError, Refused
from include.domain.periods.months import ZONE
from include.domain.ticket import ACTIONS

Q = load("desk/next")
#: Each time somebody else was faster by an instant: far more often than people can press at once.
_TRIES = 40


def take_next(
    db: sa.Connection, rules: DeskRules, config: Config, *, staff_id: int, now: datetime
) -> int | None:
    """The ticket the person works next: one held for them, else the next of a pool; None when there is none left.

    Refused when tickets are left in a pool, and the person has taken their quota of them.
    """
    held = hold_next(db, rules, staff_id=staff_id, now=now)
    return held or claim_from_pool(db, rules, config, staff_id=staff_id, now=now)


def claim_from_pool(
    db: sa.Connection, rules: DeskRules, config: Config, *, staff_id: int, now: datetime
) -> int | None:
    """Give the person the next ticket of their team's pools, by precedence, cycle and rank, for good.

    One they handed back does not come to them again. None when there is none, Refused beyond the quota.
    """
    rested_since = now - timedelta(minutes=rules.next_ticket.rest_minutes)
    with begin(db):
        me = identify(db, staff_id)
        if me.role not in ACTIONS["claim"].by:
            return None
        lock(
            db, "pool", staff_id
        )  # one at a time a person: two browsers cannot both take the last of the quota
        values = _quotas(config) | {"now": now, "today": now.astimezone(ZONE).date(), "actor": me.staff_code}
        values |= {"staff_id": staff_id, "team": me.team, "rested_since": rested_since}
        claimed: int | None = db.execute(Q["claim_from_pool"], values).scalar()
        if claimed is None:
            _refuse_beyond(db.execute(Q["find_used_quota"], values).one_or_none())
        return claimed


def _quotas(config: Config) -> dict[str, Any]:
    """The quota of each campaign; one that is no pool any more sets none for what still lies in it."""
    names = sorted(config.campaigns)
    return {"campaigns": names, "quotas": [config.campaigns[name].routing.quota for name in names]}


def _refuse_beyond(used: sa.Row[Any] | None) -> None:
    if used is not None:
        raise Refused(
            "Your quota of campaign '{campaign}' for this cycle is used up: {most}. "
            "What is left is for your colleagues.",
            code="quota_reached", most=used.quota, campaign=used.campaign,
        )  # fmt: skip


def hold_next(db: sa.Connection, rules: DeskRules, *, staff_id: int, now: datetime) -> int | None:
    """Hold the most urgent ticket for the person and give its number; None when there is none left."""
    kept = rules.next_ticket
    for _ in range(_TRIES):
        with begin(db):
            me = identify(db, staff_id)
            values = {
                "staff_id": staff_id, "team": me.team, "now": now, "today": now.astimezone(ZONE).date(),
                "rested_since": now - timedelta(minutes=kept.rest_minutes),
                "held_until": now + timedelta(minutes=kept.hold_minutes),
            }  # fmt: skip
            found = db.execute(Q["hold_next"], values).one_or_none()
        if found is None:
            return None
        if found.is_held:
            return int(found.ticket_id)
    raise LoopError("Too many people asked for the next ticket at once. Ask again.", code="many_ask")


def skip(desk: AtDesk, rules: DeskRules, *, ticket_id: int, note: str | None) -> None:
    """Pass by the ticket held; the person does not get it again today. BadInput when it takes a reason by now.

    Refused when the person does not hold it.
    """
    db, staff_id, now = desk.db, desk.staff_id, desk.now
    values = {"staff_id": staff_id, "ticket_id": ticket_id, "now": now, "today": now.astimezone(ZONE).date()}
    with begin(db):
        identify(db, staff_id)
        lock(db, "skips", staff_id)
        if must_say_why(db, rules, staff_id, now) and note is None:
            raise BadInput(
                "You have passed by several tickets today. Say in a few words why this one, too.",
                code="why_skip",
            )
        if db.execute(Q["end_hold"], values).one_or_none() is None:
            raise Refused(
                "Ticket {ticket} is not held for you. Ask for the next one.",
                code="not_held",
                ticket=ticket_id,
            )
        db.execute(Q["record_skip"], values | {"note": note})


def must_say_why(db: sa.Connection, rules: DeskRules, staff_id: int, now: datetime) -> bool:
    """Whether the next skip of the day needs a reason; within an open transaction of the person."""
    values = {"staff_id": staff_id, "today": now.astimezone(ZONE).date()}
    return int(db.execute(Q["count_skips"], values).scalar_one()) >= rules.next_ticket.free_skips
