"""Who is called and who is held out: the draw of the arm, the walk by rank, the team a ticket goes to."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

TREATED, HELD_OUT = "treated", "held_out"


@dataclass(frozen=True)
class Candidate:
    """One of the admitted in the order of rank; `barred` says why nobody may call, in either arm.

    `team` is the one whose capacity decides whether the customer is reached, whichever arm was drawn.
    """

    subscriber_id: str
    customer_key: str
    rank: int
    barred: str | None = None
    team: str = ""


@dataclass(frozen=True)
class Decision:
    """What dispatch decided for a candidate; `linked` names the subscriber whose assignment stands for it.

    `worked_by` is the team whose room a treated one takes: the own one, or one that takes its overflow.
    """

    candidate: Candidate
    decision: str
    reason: str | None = None
    linked: str | None = None
    worked_by: str | None = None


@dataclass(frozen=True)
class Route:
    """The team of a warning, the same for both arms; and what its ticket says of who works it.

    `led_by` and `shared_by` are staff codes; `led_by` that of somebody who is given tickets, whose team it then is.
    """

    team: str
    is_pool: bool = False
    led_by: str | None = None
    shared_by: str | None = None


def arm_of(customer_key: str, measure: str, epoch: str, salt: str, share: float) -> str:
    """The arm drawn for a customer in a measure: a hash uniform on [0, 1) below `share` is held out.

    Depends on nothing but its arguments, so every re-run draws the same.
    """
    words = "\x1f".join((customer_key, measure, epoch, salt)).encode()
    drawn = int.from_bytes(hashlib.sha256(words).digest()[:8], "big") / 2**64
    return HELD_OUT if drawn < share else TREATED


def walk(
    candidates: Sequence[Candidate],
    arms: Mapping[str, str],
    rooms: Mapping[str, int] | None,
    overflow: Mapping[str, Sequence[str]] | None = None,
    most: int | None = None,
) -> list[Decision]:
    """Walk both arms by rank until the treated fill the `rooms` of the teams, or are the `most` (None: no limit).

    A team that is full passes nobody more, unless another takes its `overflow`; the others go on. The held-out
    passed on the way are the control. Whether somebody is reached depends on the rank and on the team alone,
    never on the own arm, so the arms stay comparable in every team. Of one customer the best ranked stands
    for all.
    """
    left = None if rooms is None else dict(rooms)
    seen: dict[str, str] = {}
    treated = 0
    decisions = []
    for candidate in candidates:
        is_over = most is not None and treated >= most
        worked_by = None if is_over else _with_room(candidate.team, left, overflow or {})
        decision = _decide(candidate, arms, seen, worked_by)
        if decision.decision == TREATED and worked_by is not None:
            treated += 1
            if left is not None:
                left[worked_by] -= 1
        decisions.append(decision)
    return decisions


def _with_room(
    team: str, left: Mapping[str, int] | None, overflow: Mapping[str, Sequence[str]]
) -> str | None:
    if left is None:
        return team
    return next((each for each in (team, *overflow.get(team, ())) if left.get(each, 0) > 0), None)


def without_mixed_arms(
    candidates: Sequence[Candidate], arms: Mapping[str, str], own_arms: Mapping[str, str]
) -> list[Candidate]:
    """Bar customers one of whose numbers was in the other arm of the epoch, before it came to them."""
    mixed = {
        each.customer_key
        for each in candidates
        if own_arms.get(each.subscriber_id, arms.get(each.customer_key)) != arms.get(each.customer_key)
    }
    return [
        replace(each, barred="mixed_arms") if each.customer_key in mixed and not each.barred else each
        for each in candidates
    ]


def _decide(
    candidate: Candidate, arms: Mapping[str, str], seen: dict[str, str], worked_by: str | None
) -> Decision:
    if candidate.barred:
        return Decision(candidate, "ineligible", candidate.barred)
    if candidate.customer_key in seen:
        return Decision(candidate, "ineligible", "same_customer", seen[candidate.customer_key])
    if worked_by is None:
        return Decision(candidate, "not_reached")
    seen[candidate.customer_key] = candidate.subscriber_id
    arm = arms[candidate.customer_key]
    return Decision(candidate, arm, worked_by=worked_by if arm == TREATED else None)


@dataclass(frozen=True)
class Routing:
    """The rule that sends a ticket to a team."""

    vip: str
    vip_value_yuan: Decimal
    new_subscriber: str
    new_subscriber_months: float
    others: str


def team_of(value_yuan: Decimal | None, tenure_months: float | None, routing: Routing) -> str:
    """VIP by value first, then new subscribers by tenure, then everybody else."""
    if value_yuan is not None and value_yuan >= routing.vip_value_yuan:
        return routing.vip
    if tenure_months is not None and tenure_months < routing.new_subscriber_months:
        return routing.new_subscriber
    return routing.others


def expected_days(
    teams: Iterable[str], rooms: Mapping[str, Sequence[int]], days: Sequence[date]
) -> list[date]:
    """The day each ticket, best rank first, is expected to be released, by the rooms of its team a day.

    `rooms` has one number per day of `days`. What does not fit within them waits for the last of `days`.
    """
    expected, filled = [], {team: [0, 0] for team in rooms}  # which day, how many of its places are taken
    for team in teams:
        room, place = rooms.get(team, ()), filled.get(team, [0, 0])
        while place[0] < len(room) and place[1] >= room[place[0]]:
            place[:] = [place[0] + 1, 0]
        place[1] += 1
        expected.append(days[min(place[0], len(days) - 1)] if room else days[-1])
    return expected
