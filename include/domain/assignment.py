"""Who is called and who is held out: the draw of the arm, the walk by rank, the team a ticket goes to."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

TREATED, HELD_OUT = "treated", "held_out"


@dataclass(frozen=True)
class Candidate:
    """A high-priority warning in the order of its rank; `barred` says why nobody may call, in either arm."""

    subscriber_id: str
    customer_key: str
    rank: int
    barred: str | None = None


@dataclass(frozen=True)
class Decision:
    """What dispatch decided for a candidate; `linked` names the subscriber whose assignment stands for it."""

    candidate: Candidate
    decision: str
    reason: str | None = None
    linked: str | None = None


def epoch_of(month: str) -> str:
    """The half-year an arm holds for: "2026H2" for "2026-10"."""
    return f"{month[:4]}H{1 if int(month[5:7]) <= 6 else 2}"


def arm_of(customer_key: str, campaign: str, epoch: str, salt: str, share: float) -> str:
    """The arm drawn for a customer: a hash uniform on [0, 1) below `share` is held out.

    Depends on nothing but its arguments, so every re-run draws the same.
    """
    words = "\x1f".join((customer_key, campaign, epoch, salt)).encode()
    drawn = int.from_bytes(hashlib.sha256(words).digest()[:8], "big") / 2**64
    return HELD_OUT if drawn < share else TREATED


def walk(candidates: Sequence[Candidate], arms: Mapping[str, str], capacity: int | None) -> list[Decision]:
    """Walk both arms by rank until the treated fill `capacity` (None: no limit).

    The held-out passed on the way are the control; whoever comes after the last treated was not reached
    and is in neither arm. Of one customer the best ranked stands for all.
    """
    seen: dict[str, str] = {}
    treated = 0
    decisions = []
    for candidate in candidates:
        decision = _decide(candidate, arms, seen, capacity is not None and treated >= capacity)
        treated += decision.decision == TREATED
        decisions.append(decision)
    return decisions


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


def _decide(candidate: Candidate, arms: Mapping[str, str], seen: dict[str, str], is_full: bool) -> Decision:
    if candidate.barred:
        return Decision(candidate, "ineligible", candidate.barred)
    if candidate.customer_key in seen:
        return Decision(candidate, "ineligible", "same_customer", seen[candidate.customer_key])
    if is_full:
        return Decision(candidate, "not_reached")
    seen[candidate.customer_key] = candidate.subscriber_id
    return Decision(candidate, arms[candidate.customer_key])


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


def expected_days(teams: Iterable[str], per_day: Mapping[str, int], days: Sequence[date]) -> list[date]:
    """The day each ticket, best rank first, is expected to be released: `per_day` of its team a working day.

    A team without anybody to call waits for the last of `days`.
    """
    queued: dict[str, int] = {}
    expected = []
    for team in teams:
        position = queued.get(team, 0)
        queued[team] = position + 1
        capacity = per_day.get(team, 0)
        index = position // capacity if capacity else len(days) - 1
        expected.append(days[min(index, len(days) - 1)])
    return expected


@dataclass(frozen=True)
class Caller:
    """Somebody who can take `room` more first contacts today."""

    staff_id: int
    room: int


def share_out(tickets: Sequence[int], callers: Sequence[Caller]) -> list[tuple[int, int]]:
    """(ticket, staff) pairs: each ticket, best rank first, to whoever has the most room left.

    Gives out no more than there is room; ties go to the lower staff id, so that it can be repeated.
    """
    room = {caller.staff_id: caller.room for caller in callers if caller.room > 0}
    pairs = []
    for ticket in tickets:
        if not room:
            break
        staff_id = min(room, key=lambda each: (-room[each], each))
        pairs.append((ticket, staff_id))
        room[staff_id] -= 1
        if room[staff_id] == 0:
            del room[staff_id]
    return pairs
