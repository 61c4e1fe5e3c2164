"""Talks a subscriber without a released ticket began, and the refusals told in them.

Every function makes its own transaction on a connection with desk rights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from include.clocks.ticket_clocks import read_clocks
from include.config import Config
from include.config.readers.campaign.work import COMPLAINT
from include.config.readers.desk import DeskRules
from include.database.queries import load
from include.desk.tickets.tasks import Q as TASKS
from include.desk.tickets.tasks import task_due
from include.desk.tickets.transaction import AtDesk, begin, identify, in_words
from include.domain.contact import outcome as outcomes
from include.domain.errors import BadInput, Refused
from include.domain.text.canonical import canonical_id

Q = load("desk/talks")


@dataclass(frozen=True)
class Talk:
    """Who called in, by which channel, what they said and what was done."""

    campaign: str
    subscriber_id: str
    channel: str
    said: str
    done: str
    needs: Sequence[str] = ()
    is_refusal: bool = False
    #: the person has seen that nobody known has this id, and wants it kept all the same
    is_unknown_confirmed: bool = False


@dataclass(frozen=True)
class Kept:
    """The number of the talk that was kept; or the ticket on which it belongs, whose refusal alone was kept."""

    inbound_id: int | None
    ticket_id: int | None = None
    team: str | None = None

    def number(self) -> int:
        """The talk's number; Refused, naming the ticket, when the talk belongs on one."""
        if self.inbound_id is None:
            raise Refused(
                "The subscriber has ticket {ticket} in team '{team}'. Record the talk there, or pass the call on "
                "to that team. A refusal of calls counts already.",
                code="talk_has_ticket", ticket=self.ticket_id, team=self.team,
            )  # fmt: skip
        return self.inbound_id


def known_subscriber(db: sa.Connection, typed: str) -> str | None:
    """The id somebody typed as it is known, whatever its case where that is unique; None when nobody has it.

    Refused when several known ids differ from it by their case alone.
    """
    found = db.execute(Q["find_subscriber"], {"typed": typed}).one()
    if found.subscriber_id is None and found.alike:
        raise Refused(
            "{count} known ids are '{typed}' but for small and capital letters. Type the one you mean exactly.",
            code="ids_alike", count=found.alike, typed=typed,
        )  # fmt: skip
    known: str | None = found.subscriber_id
    return known


def keep_talk(desk: AtDesk, config: Config, rules: DeskRules, talk: Talk) -> Kept:
    """Keep a talk with the newest assignment of either arm, without telling which; a refusal in it bars at once.

    A held-out customer who calls is served, not called, and counted apart. Refused when nobody known has the id
    and that was not confirmed, when several have it but for its case, and, naming the ticket, when the talk
    belongs on one; but a refusal is kept then, and what was kept says so.
    """
    if talk.needs:
        outcomes.check_needs(list(talk.needs), talk.said, config.campaign(talk.campaign).needs)
    values: dict[str, Any] = {
        "campaign": talk.campaign, "channel": talk.channel, "needs": list(talk.needs), "now": desk.now,
        "said": in_words(talk.said, "said"), "done": in_words(talk.done, "done"), "is_refusal": talk.is_refusal,
        "at_most": rules.limits_per_day.refusal,
    }  # fmt: skip
    with begin(desk.db):
        identify(desk.db, desk.staff_id)
        values["subscriber_id"] = _whose(desk.db, talk)
        kept = Kept(*desk.db.execute(Q["record_inbound"], values).one())
        if not talk.is_refusal:
            kept.number()
            return kept
        values |= {"inbound_id": kept.inbound_id, "ticket_id": kept.ticket_id}
        desk.db.execute(Q["hear_refusal"], values)
        if kept.inbound_id is not None:
            _open_complaint(desk, config, values)
    return kept


def _open_complaint(desk: AtDesk, config: Config, talk: Mapping[str, Any]) -> None:
    """Charge the refusal told in a talk, by the values it was kept under, to the unit for complaints."""
    calendar = read_clocks(desk.db, config, desk.now).calendar(None, None)
    due = task_due(calendar, config.campaign(talk["campaign"]).units, COMPLAINT, desk.now)
    opened = {"task_ticket_id": None, "unit": COMPLAINT, "staff_id": desk.staff_id, "words": talk["said"]}
    desk.db.execute(
        TASKS["open_task"], {**talk, **opened, "due_at": due.at, "is_provisional": due.is_provisional}
    )


def _whose(db: sa.Connection, talk: Talk) -> str:
    typed = canonical_id(talk.subscriber_id)
    if not typed:
        raise BadInput(
            "'{typed}' holds nothing of an id. Type it in.", code="id_empty", typed=talk.subscriber_id
        )
    known = known_subscriber(db, typed)
    if known is None and not talk.is_unknown_confirmed:
        raise Refused(
            "The desk knows nobody with the id '{typed}': nobody warned of, called or limited. Look at it again; is it "
            "right, say so, and the talk is kept under it; a refusal then holds for whom the profiles know by it.",
            code="unknown_subscriber", typed=typed,
        )  # fmt: skip
    return known or typed


def waiting_refusals(db: sa.Connection, staff_id: int) -> Sequence[sa.RowMapping]:
    """What waits for the identified lead or manager to confirm or withdraw."""
    return db.execute(Q["read_waiting_refusals"], {"staff_id": staff_id}).mappings().all()


@dataclass(frozen=True)
class Decision:
    """What a lead says of a refusal that waits: it is so, or it was a mistake."""

    refusal_id: int
    is_confirmed: bool


def decide_refusal(db: sa.Connection, decision: Decision, *, staff_id: int, now: datetime) -> list[int]:
    """Confirm a refusal, which ends its tickets, or withdraw it, and nobody is barred by it; the tickets.

    Refused when it is decided already, or not the person's to decide.
    """
    values = {**asdict(decision), "now": now}
    with begin(db):
        identify(db, staff_id)
        tickets: list[int] | None = db.execute(Q["decide_refusal"], values).scalar_one()
    if tickets is None:
        raise Refused(
            "Refusal {refusal} is decided already, or not yours to decide. Look at the list again.",
            code="refusal_decided", refusal=decision.refusal_id,
        )  # fmt: skip
    return tickets
