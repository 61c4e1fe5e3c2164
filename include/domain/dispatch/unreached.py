"""The cut explained: who stays out of reach this cycle, and what one more agent would be worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

_CENT = Decimal("0.01")


@dataclass(frozen=True)
class Missed:
    """Somebody who would have got a ticket but was not reached, best rank first in a sequence of them.

    `value_yuan` is the monthly bill at stake; `probability` of leaving is None where only rules served.
    """

    team: str
    value_yuan: Decimal | None
    probability: float | None


@dataclass(frozen=True)
class OneMore:
    """What one more agent of `team` is worth in a cycle: tickets, and the monthly bill expected to be kept.

    `yuan` is None when no probability is known for any of the tickets.
    """

    team: str
    tickets: int
    yuan: Decimal | None


def one_more_agent(
    missed: Sequence[Missed], contacts_of_one: Mapping[str, int], effect: float
) -> list[OneMore]:
    """For every team somebody was missed in: the next tickets by rank that one more agent would take.

    `contacts_of_one` is what one agent of the team can contact in the cycle. Yuan a month kept is the sum over
    these tickets of monthly bill × probability of leaving × `effect`, the share of leavers a contact keeps.
    """
    found = []
    for team in sorted({each.team for each in missed}):
        next_ones = [each for each in missed if each.team == team][: contacts_of_one.get(team, 0)]
        if next_ones:
            found.append(OneMore(team, len(next_ones), _kept(next_ones, effect)))
    return sorted(found, key=lambda each: (-(each.yuan or 0), -each.tickets, each.team))


def _kept(tickets: Sequence[Missed], effect: float) -> Decimal | None:
    known = [
        each.value_yuan * Decimal(str(each.probability))
        for each in tickets
        if each.value_yuan is not None and each.probability is not None
    ]
    return (sum(known, Decimal(0)) * Decimal(str(effect))).quantize(_CENT) if known else None
