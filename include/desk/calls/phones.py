"""Numbers of customers: shown, called and searched, each use recorded and limited by the day.

Every function makes its own transaction on a connection with desk rights.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from include.config.readers.desk import DeskRules, Use
from include.database.queries import load
from include.desk.calls.talks import known_subscriber
from include.desk.tickets.transaction import (
    Actor,
    begin,
    identify,
    is_stopped,
    limit_today,
    looking,
    refuse_chosen,
    refuse_held,
)
from include.domain.errors import BadInput, Refused, TooMany
from include.domain.text.canonical import canonical_id, canonical_phone
from include.domain.ticket import refuse_frozen, refuse_limited, refuse_stopped
from include.words import both

Q = load("desk/phones")
_RELEASED = ("assigned", "in_progress", "paused")
#: How long a number given can be looked at again: the page with it may be reloaded, and is soon without it.
_SHOWN = timedelta(minutes=5)


def use_number(actor: Actor, rules: DeskRules, kind: Use) -> int:
    """Record that a ticket's number is `reveal`ed or `call`ed; the use, for `number_of`. The version does not matter.

    Refused when the ticket is not theirs, lies in a pool, is not in work or frozen, a limit of contact stands at this
    moment, it has no number, or the day's limit is reached.
    """
    with looking(actor) as opened:
        if opened.ticket.state not in _RELEASED:
            raise Refused(
                "Ticket {ticket} is in state '{state}'. Only a ticket in work is called.",
                code="not_in_work", ticket=actor.ticket_id, state=opened.ticket.state,
            )  # fmt: skip
        refuse_held(actor, opened.ticket, opened.role)
        refuse_chosen(actor, opened.ticket, "contact", opened.role)
        frozen = opened.run(Q["find_frozen"]).scalar_one()
        refuse_frozen("contact", frozen)
        refuse_stopped(is_stopped(actor))
        refuse_limited("contact", limit_today(actor))
        at_most = rules.limits_per_day.of(kind)
        found = opened.run(Q["use_phone"], kind=kind, at_most=at_most).one_or_none()
        use_id = opened.run(Q["find_use"], kind=kind).scalar_one()
    if found is None:
        raise Refused(
            "Ticket {ticket} has no number. Look for it in the customer system.",
            code="no_number", ticket=actor.ticket_id,
        )  # fmt: skip
    if found.is_over:
        raise _over(kind, at_most)
    return int(use_id)


def number_of(db: sa.Connection, *, staff_id: int, use_id: int, now: datetime) -> sa.Row[Any] | None:
    """The number a person was given for a use not long ago, and its kind; None afterwards, and to anybody else."""
    with begin(db):
        identify(db, staff_id)
        values = {"use_id": use_id, "now": now, "shown": _SHOWN}
        return db.execute(Q["find_number_of_use"], values).one_or_none()


def record_use(db: sa.Connection, rules: DeskRules, *, staff_id: int, kind: Use, now: datetime) -> None:
    """Record a search or export of the person; Refused when the day's limit is reached."""
    at_most = rules.limits_per_day.of(kind)
    with begin(db):
        identify(db, staff_id)
        values = {"kind": kind, "now": now, "at_most": at_most}
        is_recorded = db.execute(Q["record_use"], values).scalar_one()
    if not is_recorded:
        raise _over(kind, at_most)


def search(db: sa.Connection, rules: DeskRules, *, staff_id: int, words: str, now: datetime) -> list[Any]:
    """The person's tickets by ticket number (#12), subscriber id, last 4 digits or whole number, newest first.

    BadInput for no words. Refused when it would be one search by number too many today.
    """
    wanted = canonical_id(words)
    if not wanted:
        raise BadInput(
            "Nothing to search for. Type a ticket, a subscriber, a number or its last 4 digits.",
            code="nothing_searched",
        )
    ticket = ticket_in(wanted)
    with begin(db):
        identify(db, staff_id)
        found, is_over = _by_number(db, rules, wanted, now)
        tickets = found if ticket is None else [*found, ticket]
        rows = find_tickets(db, tickets, known_subscriber(db, wanted))
    if is_over and not rows:
        raise _over("search", rules.limits_per_day.search)
    return rows


def find_tickets(db: sa.Connection, ticket_ids: Sequence[int], subscriber_id: str | None = None) -> list[Any]:
    """These tickets and those of a subscriber, as far as the identified person may see them, newest first."""
    values = {"ticket_ids": list(ticket_ids), "subscriber_id": subscriber_id}
    return list(db.execute(Q["find_tickets"], values).mappings())


def number_in(words: str) -> str | None:
    """The last 4 digits or the whole number somebody typed, as it is dialled; None for anything else."""
    plain = canonical_id(words)
    return plain if re.fullmatch(r"[0-9]{4}", plain) else canonical_phone(plain)


def ticket_in(words: str) -> int | None:
    """The ticket number typed, with or without #; None for what begins with a zero, as ends of numbers may."""
    found = re.fullmatch(r"#?([1-9][0-9]{0,16})", canonical_id(words))
    return int(found[1]) if found else None


def _by_number(db: sa.Connection, rules: DeskRules, words: str, now: datetime) -> tuple[list[int], bool]:
    digits = number_in(words)
    if digits is None:
        return [], False
    # abroad and of long landlines the last 11 digits tell enough
    values = {"digits": digits.lstrip("+")[-11:], "now": now, "at_most": rules.limits_per_day.search}
    rows = db.execute(Q["find_by_number"], values).all()
    return [row.ticket_id for row in rows if not row.is_over], any(row.is_over for row in rows)


def _over(kind: Use, at_most: int) -> TooMany:
    return TooMany(
        "{use}: {most} today, as many as a day allows. Go on tomorrow or ask your lead.",
        code="day_is_full", use=both(f"phone_uses.{kind}"), most=at_most,
    )  # fmt: skip
