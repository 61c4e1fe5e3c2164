"""Numbers of customers: shown, called and searched, each use recorded and limited by the day.

Every function makes its own transaction on a connection with desk rights.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from include.config.desk import DeskRules, Use
from include.desk.acting import Actor, identify, limit_today, looking, refuse_held
from include.domain.errors import BadInput, Refused, TooMany
from include.domain.outreach import plain_number
from include.domain.ticket import refuse_frozen, refuse_limited
from include.domain.words import Words
from include.queries import load

Q = load("desk_phones")
_RELEASED = ("assigned", "in_progress", "paused")
_TOLD = {
    "reveal": Words("显示号码", "Numbers shown"),
    "call": Words("拨打号码", "Numbers called"),
    "search": Words("按号码查找", "Searches by number"),
    "export": Words("导出列表", "Lists exported"),
}


def use_number(actor: Actor, rules: DeskRules, kind: Use) -> str:
    """The number of a ticket to `reveal` or `call`; its use is recorded. The version does not matter.

    Refused when the ticket is not theirs, not in work or frozen, a limit of contact stands at this moment, it has no
    number, or the day's limit is reached.
    """
    with looking(actor) as work:
        if work.ticket.state not in _RELEASED:
            raise Refused(
                "Ticket {ticket} is in state '{state}'. Only a ticket in work is called.",
                code="not_in_work", ticket=actor.ticket_id, state=work.ticket.state,
            )  # fmt: skip
        refuse_held(actor, work.ticket, work.role)
        frozen = work.run(Q["find_frozen"]).scalar_one()
        refuse_frozen("contact", frozen)
        refuse_limited("contact", limit_today(actor))
        at_most = rules.limits_per_day.of(kind)
        found = work.run(Q["use_phone"], kind=kind, at_most=at_most).one_or_none()
    if found is None:
        raise Refused(
            "Ticket {ticket} has no number. Look for it in the customer system.",
            code="no_number", ticket=actor.ticket_id,
        )  # fmt: skip
    if found.is_over:
        raise _over(kind, at_most)
    return str(found.msisdn)


def record_use(db: sa.Connection, rules: DeskRules, *, staff_id: int, kind: Use, now: datetime) -> None:
    """Record a search or export of the person; Refused when the day's limit is reached."""
    at_most = rules.limits_per_day.of(kind)
    with db.begin():
        identify(db, staff_id)
        values = {"kind": kind, "now": now, "at_most": at_most}
        is_recorded = db.execute(Q["record_use"], values).scalar_one()
    if not is_recorded:
        raise _over(kind, at_most)


def search(db: sa.Connection, rules: DeskRules, *, staff_id: int, words: str, now: datetime) -> list[Any]:
    """The person's tickets by ticket number (#12), subscriber id, last 4 digits or whole number, newest first.

    BadInput for no words. Refused when it would be one search by number too many today.
    """
    wanted = words.strip()
    if not wanted:
        raise BadInput(
            "Nothing to search for. Type a ticket, a subscriber, a number or its last 4 digits.",
            code="nothing_searched",
        )
    with db.begin():
        identify(db, staff_id)
        found, is_over = _by_number(db, rules, wanted, now)
        values = {"ticket_ids": found + _ticket_in(wanted), "subscriber_id": wanted}
        rows = list(db.execute(Q["find_tickets"], values).mappings())
    if is_over and not rows:
        raise _over("search", rules.limits_per_day.search)
    return rows


def number_in(words: str) -> str | None:
    """The last 4 digits or the whole number somebody typed; None for anything else."""
    if len(words) == 4 and words.isascii() and words.isdecimal():
        return words
    digits = plain_number(words)
    return digits if set(words) <= set("0123456789+-() ") and 7 <= len(digits) <= 11 else None


def _ticket_in(words: str) -> list[int]:
    """The ticket number typed, with or without #; none for what begins with a zero, as ends of numbers may."""
    digits = words.removeprefix("#")
    is_number = digits.isascii() and digits.isdecimal() and len(digits) < 18 and digits[0] != "0"
    return [int(digits)] if is_number else []


def _by_number(db: sa.Connection, rules: DeskRules, words: str, now: datetime) -> tuple[list[int], bool]:
    digits = number_in(words)
    if digits is None:
        return [], False
    values = {"digits": digits, "now": now, "at_most": rules.limits_per_day.search}
    rows = db.execute(Q["find_by_number"], values).all()
    return [row.ticket_id for row in rows if not row.is_over], any(row.is_over for row in rows)


def _over(kind: Use, at_most: int) -> TooMany:
    return TooMany(
        "{use}: {most} today, as many as a day allows. Go on tomorrow or ask your lead.",
        code="day_is_full", use=_TOLD[kind], most=at_most,
    )  # fmt: skip
