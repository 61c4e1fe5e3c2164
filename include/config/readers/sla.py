"""sla.yaml: the clocks of a ticket, their overrides by campaign, tier and team, and the calendar layers."""

from collections.abc import Iterable
from datetime import time
from functools import cache
from itertools import product
from typing import Annotated, Literal

from pydantic import Field, model_validator

from include.config.readers.reading import Code, Entry, validated
from include.domain.errors import ConfigError

Count = Annotated[int, Field(ge=1)]
Layer = Annotated[str, Field(min_length=1)]
Tier = Literal["priority", "secondary", "monitoring"]

#: What an override may narrow itself to; of two that name equally many, the later of these words wins.
_NAMED = ("campaign", "tier", "team")


class Rules(Entry):
    """The clocks of one ticket: working hours, days to plan and first contact, pauses, unreachable."""

    opens: time
    closes: time
    early_warning: time
    plan_days: Count
    contact_days: Count
    max_pause_days: Count
    unreachable_attempts: Count
    unreachable_days: Count

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> "Rules":
        if not self.opens < self.early_warning < self.closes:
            raise ValueError("opens, early_warning and closes must follow one another within a day")
        return self


class Override(Entry):
    """What differs for the tickets of one campaign, tier or team, or of several of these at once."""

    campaign: str | None = None
    tier: Tier | None = None
    team: str | None = None
    opens: time | None = None
    closes: time | None = None
    early_warning: time | None = None
    plan_days: Count | None = None
    contact_days: Count | None = None
    max_pause_days: Count | None = None
    unreachable_attempts: Count | None = None
    unreachable_days: Count | None = None

    @property
    def names(self) -> tuple[str | None, str | None, str | None]:
        """Campaign, tier and team it holds for; None is any."""
        return self.campaign, self.tier, self.team

    @property
    def changes(self) -> dict[str, int | time]:
        """The rules it sets."""
        changes: dict[str, int | time] = self.model_dump(exclude=set(_NAMED), exclude_none=True)
        return changes

    @property
    def weight(self) -> tuple[int, list[bool]]:
        """How specific it is: the more it names the more, and team before tier before campaign."""
        named = [name is not None for name in self.names]
        return sum(named), named[::-1]

    def holds_for(self, asked: tuple[str | None, str | None, str | None]) -> bool:
        """Whether it holds for a ticket of that campaign, tier and team."""
        return all(own is None or own == each for own, each in zip(self.names, asked, strict=True))

    @model_validator(mode="after")
    def _names_and_changes_something(self) -> "Override":
        if not any(self.names) or not self.changes:
            raise ValueError(f"an override names {', '.join(_NAMED)} or several of them, and what differs")
        return self


class Sla(Rules):
    """The rules of every ticket, what differs for some, and the calendar layers."""

    layers: Annotated[tuple[Layer, ...], Field(min_length=1)]
    branch_layers: dict[Code, tuple[Layer, ...]] = Field(default_factory=dict)
    team_layers: dict[str, tuple[Layer, ...]] = Field(default_factory=dict)
    overrides: tuple[Override, ...] = ()

    @model_validator(mode="after")
    def _every_ticket_has_one_answer(self) -> "Sla":
        seen = [override.names for override in self.overrides]
        for names in seen:
            if seen.count(names) > 1:
                named = ", ".join(str(name) for name in names if name is not None)
                raise ValueError(f"two overrides hold for {named}; join them")
        for asked in product(*({None, *column} for column in zip(*seen, strict=True))):
            self.rules(*asked)
        return self

    def rules(self, campaign: str | None = None, tier: str | None = None, team: str | None = None) -> Rules:
        """What holds for a ticket: the general rules, overridden by ever more specific ones."""
        return _merged(self.general, self.overrides, (campaign, tier, team))

    @property
    def general(self) -> Rules:
        """The rules of a ticket nothing is overridden for."""
        return Rules(**{name: getattr(self, name) for name in Rules.model_fields})

    def layers_of(self, team: str | None = None, branches: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The calendar layers of a ticket, each overriding those before: all, its branches from the top, team."""
        own = [layer for branch in branches for layer in self.branch_layers.get(branch, ())]
        own += self.team_layers.get(team or "", ())
        return tuple(dict.fromkeys((*self.layers, *own)))

    @property
    def every_layer(self) -> tuple[str, ...]:
        """Every layer named anywhere, the national one first."""
        named = [*self.branch_layers.values(), *self.team_layers.values()]
        return tuple(dict.fromkeys((*self.layers, *(layer for layers in named for layer in layers))))


@cache
def _merged(
    general: Rules, overrides: tuple[Override, ...], asked: tuple[str | None, str | None, str | None]
) -> Rules:
    values = general.model_dump()
    for override in sorted(overrides, key=lambda each: each.weight):
        if override.holds_for(asked):
            values |= override.changes
    return Rules(**values)


def check_teams(sla: Sla, teams: set[str]) -> None:
    """ConfigError when an override or a layer is for a team that is not configured."""
    named = [*(override.team for override in sla.overrides), *sla.team_layers]
    _check("team", named, teams)


def check_campaigns(sla: Sla, campaigns: set[str]) -> None:
    """ConfigError when an override is for a campaign that has no file; what a cycle keeps names its own alone."""
    _check("campaign", [override.campaign for override in sla.overrides], campaigns)


def _check(kind: str, named: Iterable[str | None], known: set[str]) -> None:
    for name in named:
        if name is not None and name not in known:
            raise ConfigError(f"sla.yaml names the {kind} '{name}'; known are {', '.join(sorted(known))}.")


def parse(raw: object, file: str) -> Sla:
    """sla.yaml."""
    return validated(Sla, raw, file)
