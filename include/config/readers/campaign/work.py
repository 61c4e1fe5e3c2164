"""What a campaign configures about the work: contact ladder, survey, checklist, endings, other units."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from include.config.readers.reading import Entry, Flag
from include.domain.contact import ladder, outcome
from include.domain.text.words import Words
from include.words import named
from include.words.outcomes import NEEDS, OUTCOMES

_Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,62}$")]


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
        if name not in outcome.ENDINGS:
            continue
        lacking = outcome.ALWAYS_NEEDED.get(name, frozenset()) - set(ending.needs)
        if lacking:
            raise ValueError(f"outcome '{name}' always needs {', '.join(sorted(lacking))}")
        if ending.is_reached != outcome.ENDINGS[name].is_reached:
            raise ValueError(f"is_reached of '{name}' must stay {outcome.ENDINGS[name].is_reached}")
    if endings and all(ending.is_reached for ending in endings.values()):
        raise ValueError(
            "no outcome is for somebody who was not reached; give one is_reached: false, such as unreachable"
        )
    return endings


#: The catalogue of a campaign by name; empty where the engine's own serves.
Endings = Annotated[dict[str, Ending], AfterValidator(_checked)]


class Survey(Entry):
    """What a needs survey may find: by name, worded where the engine has no words of its own or others are wanted."""

    needs: Annotated[dict[Name, Worded | None], Field(min_length=1)]

    @model_validator(mode="after")
    def _has_words(self) -> "Survey":
        for name, words in self.needs.items():
            if words is None and name not in NEEDS:
                raise ValueError(
                    f"need '{name}' has no words; give it zh and en, or name one of {', '.join(NEEDS)}"
                )
        return self


class Unit(Worded):
    """Another unit that owes a cure, within so many working days."""

    days: _Count


#: The unit every "do not call" is a complaint to.
COMPLAINT = "complaint"

UNITS = {
    "network": Unit(**named("units.network"), days=5),
    "tariff": Unit(**named("units.tariff"), days=3),
    COMPLAINT: Unit(**named("units.complaint"), days=2),
}


def _with_complaints(units: dict[str, Unit]) -> dict[str, Unit]:
    if COMPLAINT not in units:
        raise ValueError(f"unit '{COMPLAINT}' is missing: 'do not call' opens a task of it")
    return units


Units = Annotated[dict[str, Unit], AfterValidator(_with_complaints)]


class RetentionWork(Entry):
    """The part of a campaign that is about working its tickets."""

    ladder: Ladder = Ladder()
    survey: Survey | None = None
    checklist: dict[Name, Worded] = Field(default_factory=dict)
    outcomes: Endings = Field(default_factory=dict)
    units: Units = Field(default_factory=lambda: dict(UNITS))

    @model_validator(mode="after")
    def _needs_no_checklist_it_lacks(self) -> "RetentionWork":
        for name, ending in self.outcomes.items():
            if outcome.CHECKLIST in ending.needs and not self.checklist:
                raise ValueError(f"outcome '{name}' needs a checklist, and the campaign has none")
        return self

    @property
    def needs(self) -> Mapping[str, Words]:
        """What a needs survey may find, with its words."""
        if self.survey is None:
            return NEEDS
        own = self.survey.needs.items()
        return {name: Words(words.zh, words.en) if words is not None else NEEDS[name] for name, words in own}

    @property
    def catalogue(self) -> Mapping[str, outcome.Outcome]:
        """The endings a ticket of the campaign may have."""
        return {name: ending.outcome() for name, ending in self.outcomes.items()} or OUTCOMES
