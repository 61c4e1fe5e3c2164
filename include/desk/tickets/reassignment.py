"""What a lead does with many tickets at once: reassign a list, hand a leaver's tickets to those near.

Each function is one transaction on a connection with desk rights; row-level security hides other teams.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

import sqlalchemy as sa

from include.database import lock
from include.database.queries import load
from include.desk.tickets.transaction import begin, identify
from include.domain.dispatch.sharing import Caller, Waiting, share_out
from include.domain.errors import LoopError, Refused
from include.domain.periods.months import ZONE
from include.domain.ticket import ACTIONS

Q = load("desk/reassignment")
#: Tickets one request may give to somebody.
MOST = 60


@dataclass(frozen=True)
class Wish:
    """A ticket as last seen, and who shall have it."""

    ticket_id: int
    version: int
    to_staff_id: int


class KeptResult(TypedDict):
    """A result as a receipt keeps it: the refusal as `Refused.as_json` gives it."""

    ticket_id: int
    version: int | None
    why_not: Mapping[str, Any] | None


@dataclass(frozen=True)
class Result:
    """What became of a wish: the ticket's version now, and why not when it was refused."""

    ticket_id: int
    version: int | None
    why_not: Refused | None = None

    def as_json(self) -> KeptResult:
        """To be kept; `from_json` reads it again."""
        why_not = self.why_not.as_json() if self.why_not else None
        return {"ticket_id": self.ticket_id, "version": self.version, "why_not": why_not}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Result":
        """What became of a wish, as it was kept."""
        why_not = Refused.from_json(kept["why_not"]) if kept["why_not"] else None
        return cls(kept["ticket_id"], kept["version"], why_not)


@dataclass(frozen=True)
class CallBack:
    """A promise to call that an heir has to keep."""

    ticket_id: int
    subscriber_id: str
    call_back_at: datetime
    staff_id: int


@dataclass(frozen=True)
class HandOver:
    """What came of a hand-over and why it was: who got how many tickets, promises to keep, whom Airflow disables."""

    staff_id: int
    tickets: int
    heirs: Mapping[int, int]
    untrained: Sequence[int]
    call_backs: Sequence[CallBack]
    airflow_username: str | None
    because: str


def bulk_reassign(db: sa.Connection, *, staff_id: int, wishes: Sequence[Wish], now: datetime) -> list[Result]:
    """Reassign a list of tickets in one transaction; each is done, or told why not. No clock restarts."""
    with begin(db):
        me = identify(db, staff_id)
        _may_reassign(me.role)
        _once_each(wishes)
        return _reassigned(db, me, wishes, now, {"in_bulk": len(wishes)})


def hand_over(db: sa.Connection, *, staff_id: int, leaver_id: int, because: str, now: datetime) -> HandOver:
    """Spread a leaver's unfinished tickets over the colleagues by load and end the account, in one transaction.

    The colleagues are the leaver's branch within the team, or the whole team where the branch has nobody else; people
    away today get tickets only when everybody is. Refused when nobody is left to take them.
    """
    if not because.strip():
        raise Refused("A hand-over needs its reason in words. Write one sentence.")
    with db.begin():
        me = identify(db, staff_id)
        lock(db, "release")  # a release that is sharing out has done so
        leaver = _leaver(db, me, leaver_id)
        db.execute(Q["retire"], {"leaver_id": leaver_id})  # first, so that nobody gives them anything more
        held = db.execute(Q["lock_held"], {"leaver_id": leaver_id}).all()
        colleagues = _colleagues(db, leaver, now)
        if held and not colleagues:
            raise Refused(
                f"{leaver.name} holds {len(held)} tickets and is the last agent of team '{leaver.team}'."
                " Hire somebody for the team first, or move somebody into it."
            )
        pairs, untrained = _spread(held, colleagues)
        wishes = [Wish(row.ticket_id, row.version, pairs[row.ticket_id]) for row in held]
        results = _reassigned(
            db, me, wishes, now, {"hand_over": leaver.staff_code, "because": because.strip()}
        )
        _conserved(results, len(held))
        promised = _promised(db, [row.ticket_id for row in held], now)
        done = HandOver(
            leaver_id, len(held), Counter(pairs.values()), untrained, promised, leaver.airflow_username,
            because.strip(),
        )  # fmt: skip
        _record(db, me, leaver, done, now)
        return done


def _may_reassign(role: str) -> None:
    if role not in ACTIONS["reassign"].by:
        raise Refused(
            "Tickets are reassigned by a lead or manager, not by {role}. Ask one of them.",
            code="not_a_lead", role=role,
        )  # fmt: skip


def _once_each(wishes: Sequence[Wish]) -> None:
    twice = [ticket for ticket, times in Counter(wish.ticket_id for wish in wishes).items() if times > 1]
    if twice:
        raise Refused(
            "Ticket {ticket} is listed twice. List each ticket once.", code="listed_twice", ticket=twice[0]
        )


def _reassigned(
    db: sa.Connection, me: sa.Row[Any], wishes: Sequence[Wish], now: datetime, details: Mapping[str, Any]
) -> list[Result]:
    ticket_ids = [wish.ticket_id for wish in wishes]
    db.execute(Q["lock_listed"], {"ticket_ids": ticket_ids})
    values = {
        "ticket_ids": ticket_ids,
        "versions": [wish.version for wish in wishes],
        "heir_ids": [wish.to_staff_id for wish in wishes],
        "states": sorted(ACTIONS["reassign"].since),
        "staff_id": me.staff_id,
        "actor": me.staff_code,
        "now": now,
        "details": json.dumps(dict(details), ensure_ascii=False),
    }
    try:
        rows = db.execute(Q["reassign_listed"], values)
    except sa.exc.IntegrityError as error:
        if "works here no longer" not in str(error.orig):  # trigger tickets_assignee_is_active
            raise
        raise Refused(
            "Somebody who was to get tickets has just left; nothing was reassigned. Choose anew, then repeat.",
            code="heir_left",
        ) from error
    return [Result(row.ticket_id, row.version, _why_not(row)) for row in rows]


def _why_not(row: sa.Row[Any]) -> Refused | None:
    match row.fault:
        case None:
            return None
        case "stale":
            return Refused(
                "Ticket {ticket} was changed meanwhile. Look at it again, then repeat.",
                code="listed_stale", ticket=row.ticket_id,
            )  # fmt: skip
        case "state":
            return Refused(
                "Ticket {ticket} is in state '{state}', where nobody is assigned. Leave it out.",
                code="listed_over", ticket=row.ticket_id, state=row.state,
            )  # fmt: skip
        case "heir":
            return Refused(
                "Ticket {ticket} cannot go to staff {staff}, who is not active in its team. Choose somebody who is.",
                code="listed_heir", ticket=row.ticket_id, staff=row.heir_id,
            )  # fmt: skip
        case "same":
            return Refused(
                "Ticket {ticket} is theirs already. Leave it out.", code="listed_same", ticket=row.ticket_id
            )
    return Refused(
        "Ticket {ticket} does not exist or is not of your team. Look at your team's list again.",
        code="listed_hidden", ticket=row.ticket_id,
    )  # fmt: skip


def _leaver(db: sa.Connection, me: sa.Row[Any], leaver_id: int) -> sa.Row[Any]:
    leaver = db.execute(Q["find_person"], {"staff_id": leaver_id}).one_or_none()
    if leaver is None:
        raise Refused(f"Staff {leaver_id} does not exist. Look at the team's list again.")
    if not leaver.is_active:
        raise Refused(f"{leaver.name} has been handed over already. Look at the team's list again.")
    is_lead_of = me.role == "lead" and me.team == leaver.team
    if me.staff_id == leaver_id or not (me.role == "manager" or is_lead_of):
        raise Refused(
            f"Only a manager or the lead of team '{leaver.team}' may hand over {leaver.name}. Ask one of them."
        )
    return leaver


def _colleagues(db: sa.Connection, leaver: sa.Row[Any], now: datetime) -> list[sa.Row[Any]]:
    values = {
        "leaver_id": leaver.staff_id,
        "team": leaver.team,
        "branch_code": leaver.branch_code,
        "day": now.astimezone(ZONE).date(),
    }
    team = list(db.execute(Q["find_squad"], values))
    near = [row for row in team if row.is_near] or team
    return [row for row in near if row.is_here] or near


def _spread(
    held: Sequence[sa.Row[Any]], colleagues: Sequence[sa.Row[Any]]
) -> tuple[dict[int, int], list[int]]:
    """Heir by ticket, by skill and load; and the tickets for which nobody left has the skill."""
    callers = [
        Caller(row.staff_id, len(held), row.contacts_per_day, row.unfinished, skills=frozenset(row.skills))
        for row in colleagues
    ]
    fitting = share_out([Waiting(row.ticket_id, skill=row.skill) for row in held], callers)
    others = share_out([Waiting(ticket_id) for ticket_id in fitting.unfitting], callers)
    return dict([*fitting.pairs, *others.pairs]), fitting.unfitting


def _conserved(results: Sequence[Result], wanted: int) -> None:
    """Nothing is lost on the way: all or nothing, the transaction ends here otherwise."""
    refused = [result.why_not for result in results if result.why_not]
    if refused or len(results) != wanted:
        raise LoopError(
            f"Of {wanted} tickets {wanted - len(refused)} could be handed over: {refused[:1]}. Try again."
        )


def _promised(db: sa.Connection, ticket_ids: list[int], now: datetime) -> list[CallBack]:
    values = {"ticket_ids": ticket_ids, "now": now}
    return [
        CallBack(row.ticket_id, row.subscriber_id, row.call_back_at, row.assignee_id)
        for row in db.execute(Q["list_promised"], values)
    ]


def _record(db: sa.Connection, me: sa.Row[Any], leaver: sa.Row[Any], done: HandOver, now: datetime) -> None:
    details = {"tickets": done.tickets, "heirs": dict(done.heirs), "because": done.because}
    values = {"now": now, "actor": me.staff_code, "subject": f"staff {leaver.staff_code}"}
    db.execute(Q["keep_hand_over"], values | {"details": json.dumps(details, ensure_ascii=False)})
