"""Who is given which ticket: whom it is for, else the least loaded of those who fit by branch, region and skill.

Where several campaigns share a team, each has the least share of the day's room it is configured with.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice

#: The staff id of a ticket that goes to the team's queue.
NOBODY = 0


@dataclass
class Caller:
    """One of the team: `room` more first contacts today, `unfinished` tickets in hand, `contacts` today.

    Without contacts they are away. A person without a branch works for all. `regions` are those of the branch.
    """

    staff_id: int
    room: int
    contacts: int = 1
    unfinished: int = 0
    branch: str | None = None
    region: str | None = None
    skills: frozenset[str] = frozenset()

    @property
    def load(self) -> Fraction:
        """Days of work in hand."""
        return Fraction(self.unfinished, max(1, self.contacts))


@dataclass(frozen=True)
class Waiting:
    """A ticket to give out; `line` is its branch and all that branch reports to, `led_by` the staff id it is for."""

    ticket_id: int
    line: tuple[str, ...] = ()
    region: str | None = None
    skill: str | None = None
    campaign: str = ""
    led_by: int | None = None

    @property
    def kind(self) -> tuple[object, ...]:
        """Tickets of one kind fit the same people."""
        return (self.line, self.region, self.skill, self.led_by)


@dataclass
class Shared:
    """What came of it: (ticket, staff) pairs, and the tickets nobody of the team fits."""

    pairs: list[tuple[int, int]] = field(default_factory=list)
    unfitting: list[int] = field(default_factory=list)


def fits(caller: Caller, ticket: Waiting) -> bool:
    """Whether a person serves the ticket's place and has its skill.

    A person's branch serves its own tickets and those of the branches below it; where the branch does not say,
    the region does. A ticket without a place fits everybody.
    """
    if ticket.skill is not None and ticket.skill not in caller.skills:
        return False
    if caller.branch is None or not (ticket.line or ticket.region):
        return True
    if caller.branch in ticket.line:
        return True
    return caller.region is not None and caller.region == ticket.region


def share_out(
    tickets: Sequence[Waiting],
    callers: Sequence[Caller],
    others: Sequence[Caller] = (),
    most: int | None = None,
) -> Shared:
    """Give at most so many tickets, best rank first, to the least loaded with room left; changes `callers`.

    Whom a ticket is for takes it whatever fits, or it waits for their room; when they are away it is anybody's who
    fits. Ties go to the lower staff id, so that it can be repeated. `others` are the team's people without room
    today: a ticket that only they fit waits for them, one that nobody fits is `unfitting`.
    """
    shared = Shared()
    fitting: dict[tuple[object, ...], list[Caller]] = {}
    served: dict[tuple[object, ...], bool] = {}
    for ticket in tickets:
        if most is not None and len(shared.pairs) >= most:
            break
        kind = ticket.kind
        if kind not in fitting:
            fitting[kind], served[kind] = _who_may(ticket, callers, others)
        if not served[kind]:
            shared.unfitting.append(ticket.ticket_id)
        fitting[kind] = [caller for caller in fitting[kind] if caller.room > 0]
        if fitting[kind]:
            least = min(fitting[kind], key=lambda each: (each.load, each.staff_id))
            shared.pairs.append((ticket.ticket_id, least.staff_id))
            least.room -= 1
            least.unfinished += 1
    return shared


def _who_may(
    ticket: Waiting, callers: Sequence[Caller], others: Sequence[Caller]
) -> tuple[list[Caller], bool]:
    """Who may be given a ticket, and whether it has anybody to wait for."""
    leader = [each for each in (*callers, *others) if each.staff_id == ticket.led_by and each.contacts]
    fitting = leader or [caller for caller in callers if fits(caller, ticket)]
    return fitting, bool(fitting) or any(fits(caller, ticket) for caller in others)


def least_of(shares: Mapping[str, float], room: int) -> dict[str, int]:
    """How many tickets of a day's `room` each campaign has at least: a part of one counts as a whole."""
    # as it was written: 0.1 of 30 is 3
    return {campaign: math.ceil(Fraction(str(share)) * room) for campaign, share in shares.items()}


def share_among(
    tickets: Sequence[Waiting],
    least: Mapping[str, int],
    callers: Sequence[Caller],
    others: Sequence[Caller],
    room: int,
) -> list[tuple[int, int]]:
    """(ticket, staff) pairs for at most `room` tickets: first the `least` of each campaign, in their order.

    What a campaign does not use, and all the rest, goes to everybody in the order of `tickets`. Those that nobody
    fits go to the team's queue, after those somebody fits; changes `callers`.
    """
    given: list[tuple[int, int]] = []
    left = list(tickets)
    for campaign, most in least.items():
        own = [ticket for ticket in left if ticket.campaign == campaign]
        given += _given(own, callers, others, min(most, room - len(given)))
        taken = {ticket_id for ticket_id, _ in given}
        left = [ticket for ticket in left if ticket.ticket_id not in taken]
    return given + _given(left, callers, others, room - len(given))


def _given(
    tickets: Sequence[Waiting], callers: Sequence[Caller], others: Sequence[Caller], most: int
) -> list[tuple[int, int]]:
    if most <= 0:
        return []
    shared = share_out(tickets, callers, others, most)
    return [*shared.pairs, *((ticket_id, NOBODY) for ticket_id in shared.unfitting)][:most]


def in_turn(tickets: Sequence[Waiting], shares: Mapping[str, float], rooms: Iterable[int]) -> list[Waiting]:
    """The tickets of a team in the order in which days of such `rooms` come to them, whoever fits."""
    everybody = iter(tickets)
    own = {name: iter([each for each in tickets if each.campaign == name]) for name in shares}
    turn: dict[Waiting, None] = {}
    for room in rooms if shares else ():
        end = len(turn) + room
        for campaign, most in least_of(shares, room).items():
            _take(turn, own[campaign], min(most, end - len(turn)))
        _take(turn, everybody, end - len(turn))
    _take(turn, everybody, len(tickets) - len(turn))
    return list(turn)


def _take(turn: dict[Waiting, None], source: Iterator[Waiting], most: int) -> None:
    unseen = (ticket for ticket in source if ticket not in turn)
    turn.update(dict.fromkeys(list(islice(unseen, max(0, most)))))
