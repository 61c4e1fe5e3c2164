"""The retention teams: which tickets go to which, who takes whose overflow, what one more agent is assumed to do."""

from typing import Annotated

from pydantic import Field, model_validator

from include.config.readers.operations import Yuan
from include.config.readers.reading import Entry, validated
from include.domain.errors import BadInput


class Team(Entry):
    """One retention team; `skill` is what everybody given its tickets must be trained for."""

    zh: str
    en: str
    skill: str | None = None


class Teams(Entry):
    """The teams, the rule that sends a ticket to one of them, and who takes whose overflow."""

    teams: dict[str, Team]
    vip: str
    vip_value_yuan: Yuan
    new_subscriber: str
    new_subscriber_months: Annotated[float, Field(gt=0)]
    others: str
    overflow: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    assumed_effect: Annotated[float, Field(gt=0, lt=1)] = 0.2

    def require(self, team: str) -> None:
        """BadInput, listing the known teams, unless `team` is one of them."""
        if team not in self.teams:
            raise BadInput(f"There is no team '{team}' in teams.yaml. Known: {', '.join(self.teams)}.")

    @model_validator(mode="after")
    def _routes_lead_to_teams(self) -> "Teams":
        for route in (self.vip, self.new_subscriber, self.others):
            if route not in self.teams:
                raise ValueError(f"team '{route}' is routed to but not defined; known: {sorted(self.teams)}")
        return self

    @model_validator(mode="after")
    def _overflow_leads_elsewhere(self) -> "Teams":
        for team, takers in self.overflow.items():
            for named in (team, *takers):
                if named not in self.teams:
                    raise ValueError(f"overflow names team '{named}', which is not defined")
            if team in takers:
                raise ValueError(f"overflow of '{team}' leads to itself")
        return self


def parse(raw: object, file: str) -> Teams:
    """teams.yaml."""
    return validated(Teams, raw, file)
