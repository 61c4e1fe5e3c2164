"""What a campaign configures about retention work: contact ladder, endings with their details, other units."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from include.config.reading import Entry, Flag
from include.domain import ladder, outcome
from include.domain.words import Words

_Count = Annotated[int, Field(ge=1)]


class Ladder(Entry):
    """How often somebody is tried before "unreachable"; the service levels set the floor."""

    attempts: _Count = 3
    day_parts: Annotated[int, Field(ge=1, le=len(ladder.PARTS))] = 2
    sms: Flag = True

    def rules(self, attempts: int, days: int) -> ladder.Rules:
        """The ladder's rules with the floor of the service levels: so many attempts on so many working days."""
        return ladder.Rules(max(self.attempts, attempts), self.day_parts, days, self.sms)


class Worded(Entry):
    """What staff read, in both languages."""

    zh: str
    en: str


class Ending(Worded):
    """One main outcome and its details; with details, one must be named at closing."""

    needs: tuple[Literal["survey", "plan", "procedure", "checklist"], ...] = ()
    is_reached: Flag
    #: whether the customer was won, though not yet processed: counted in the rate willing
    is_willing: Flag = False
    details: dict[str, Worded] = Field(default_factory=dict)

    def outcome(self) -> outcome.Outcome:
        """As the domain knows it."""
        details = {name: Words(words.zh, words.en) for name, words in self.details.items()}
        return outcome.Outcome(
            self.zh, self.en, frozenset(self.needs), self.is_reached, details, self.is_willing
        )


def _checked(endings: dict[str, Ending]) -> dict[str, Ending]:
    """What the engine knows of an ending holds in every campaign; the others are the campaign's own."""
    for name, ending in endings.items():
        if name not in outcome.OUTCOMES:
            continue
        lacking = outcome.ALWAYS_NEEDED.get(name, frozenset()) - set(ending.needs)
        if lacking:
            raise ValueError(f"outcome '{name}' always needs {', '.join(sorted(lacking))}")
        if ending.is_reached != outcome.OUTCOMES[name].is_reached:
            raise ValueError(f"is_reached of '{name}' must stay {outcome.OUTCOMES[name].is_reached}")
    return endings


#: The catalogue of a campaign by name; empty where the engine's own serves.
Endings = Annotated[dict[str, Ending], AfterValidator(_checked)]


class Unit(Worded):
    """Another unit that owes a cure, within so many working days."""

    days: _Count


#: The unit every "do not call" is a complaint to.
COMPLAINT = "complaint"

UNITS = {
    "network": Unit(zh="网络部", en="Network", days=5),
    "tariff": Unit(zh="资费与计费", en="Tariffs and billing", days=3),
    COMPLAINT: Unit(zh="投诉处理", en="Complaints", days=2),
}


def _with_complaints(units: dict[str, Unit]) -> dict[str, Unit]:
    if COMPLAINT not in units:
        raise ValueError(f"unit '{COMPLAINT}' is missing: 'do not call' opens a task of it")
    return units


Units = Annotated[dict[str, Unit], AfterValidator(_with_complaints)]


class RetentionWork(Entry):
    """The part of a campaign that is about working its tickets."""

    ladder: Ladder = Ladder()
    outcomes: Endings = Field(default_factory=dict)
    units: Units = Field(default_factory=lambda: dict(UNITS))

    @property
    def catalogue(self) -> Mapping[str, outcome.Outcome]:
        """The endings a ticket of the campaign may have."""
        return {name: ending.outcome() for name, ending in self.outcomes.items()} or outcome.OUTCOMES
