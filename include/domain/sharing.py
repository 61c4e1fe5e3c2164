"""Who is given which ticket: the least loaded of those who fit by branch, region and skill."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction


@dataclass
class Caller:
    """Somebody at work: `room` more first contacts today, `unfinished` tickets in hand, `contacts` a day.

    A person without a branch works for all. `regions` are those of the branch.
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
    """A ticket to give out; `line` is its branch and all that branch reports to."""

    ticket_id: int
    line: tuple[str, ...] = ()
    region: str | None = None
    skill: str | None = None

    @property
    def kind(self) -> tuple[object, ...]:
        """Tickets of one kind fit the same people."""
        return (self.line, self.region, self.skill)


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


def share_out(tickets: Sequence[Waiting], callers: Sequence[Caller], others: Sequence[Caller] = ()) -> Shared:
    """Give tickets, best rank first, to the least loaded who fits and has room left; changes `callers`.

    Ties go to the lower staff id, so that it can be repeated. `others` are the team's people away today: a
    ticket that only they fit waits for them, one that nobody fits is `unfitting`.
    """
    shared = Shared()
    fitting: dict[tuple[object, ...], list[Caller]] = {}
    served: dict[tuple[object, ...], bool] = {}
    for ticket in tickets:
        kind = ticket.kind
        if kind not in fitting:
            fitting[kind] = [caller for caller in callers if fits(caller, ticket)]
            served[kind] = bool(fitting[kind]) or any(fits(caller, ticket) for caller in others)
        if not served[kind]:
            shared.unfitting.append(ticket.ticket_id)
        fitting[kind] = [caller for caller in fitting[kind] if caller.room > 0]
        if fitting[kind]:
            least = min(fitting[kind], key=lambda each: (each.load, each.staff_id))
            shared.pairs.append((ticket.ticket_id, least.staff_id))
            least.room -= 1
            least.unfinished += 1
    return shared
