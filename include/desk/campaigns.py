"""Which campaigns there are: those configured, sound or broken, and those whose cycles the database still has."""

from collections.abc import Iterable

import sqlalchemy as sa

from include.config import Config
from include.database.queries import load
from include.domain.errors import BadInput

Q = load("desk/campaigns")

#: In place of a campaign's name: all of them together.
ALL = "all"


def campaign_named(config: Config, typed: str | None) -> str:
    """The campaign typed, else the one that goes before all others; BadInput for one there is not."""
    first = min(config.campaigns, key=lambda each: (config.campaigns[each].precedence, each), default="")
    name = typed or first
    if name not in config.campaigns:
        raise unknown_campaign(name, config.campaigns)
    return name


def known_campaigns(db: sa.Connection, config: Config) -> dict[str, bool]:
    """Every campaign by name, and whether it is but a shadow: nobody was ever called for it."""
    opened = {row.campaign: row.is_shadow for row in db.execute(Q["list_campaigns"])}
    configured = {name: each.shadow for name, each in config.campaigns.items()}
    return dict(sorted((dict.fromkeys(config.broken, False) | configured | opened).items()))


def unknown_campaign(typed: str, known: Iterable[str]) -> BadInput:
    """That there is no such campaign, and which there are."""
    return BadInput(
        "'{typed}' is not a campaign. Choose one of {campaigns}.",
        code="unknown_campaign", typed=typed, campaigns=sorted(known),
    )  # fmt: skip
