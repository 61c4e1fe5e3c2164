"""What a campaign may say of whom it is for: the facts its expressions read, the feeds and outcomes of its source."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from include.config.expressions import compile_row
from include.config.expressions.grammar import REGIONAL_FEEDS, ROW
from include.config.readers.campaign import Campaign, Event
from include.config.readers.factors import EVENTS, PROFILE, Factors, check_number, check_truth
from include.domain.errors import ConfigError

if TYPE_CHECKING:  # the configuration reads campaigns by this module
    from include.config import Config

#: What population, admission and rank may read besides factors: the profile of the month, identity, the score.
FACTS: Mapping[str, pl.DataType] = {
    **PROFILE,
    "cluster": pl.String(),
    **dict.fromkeys(("is_active", "consents_to_marketing"), pl.Boolean()),
    **dict.fromkeys(("value_yuan", "probability"), pl.Float64()),
}
#: What an event or an outcome tells of somebody: how often it was, and how many days before as_of the last time.
FOUND: Mapping[str, pl.DataType] = dict.fromkeys(("times", "days_ago"), pl.Float64())
#: What a list may be split by: words of the profile, not numbers.
SPLITS = tuple(name for name, dtype in PROFILE.items() if dtype in (pl.String, pl.Boolean))
#: Feeds of which each row befell one subscriber.
PERSONAL_FEEDS = tuple(feed for feed in EVENTS if feed not in REGIONAL_FEEDS)


def check(campaign: Campaign, library: Factors, file: str) -> None:
    """Refuse expressions that cannot be judged, splits nobody has and an event no person has."""
    is_found = campaign.source.event or campaign.source.outcome
    facts = {**FACTS, **(FOUND if is_found else {})}
    check_truth(campaign.population, library, file, "population", facts)
    check_truth(campaign.admission.where, library, file, "admission.where", facts)
    check_truth(campaign.admission.write, library, file, "admission.write", facts)
    check_number(campaign.rank, library, file, "rank", facts)
    for name in campaign.splits:
        if name not in SPLITS:
            raise ConfigError(
                f"{file}, entry 'splits': there is no '{name}' to split by; known: {', '.join(SPLITS)}."
            )
    if campaign.source.event is not None:
        _check_event(campaign.source.event, library, file)


def check_outcomes(config: "Config") -> "Config":
    """`config` with the campaigns broken whose source names a campaign or an outcome that is not there."""
    wrong = {name: why for name, each in config.campaigns.items() if (why := _unknown(each, config))}
    faults = {
        name: next(f"{file}, entry 'source.outcome': {why}" for file in config.texts if f"/{name}." in file)
        for name, why in wrong.items()
    }
    sound = {name: each for name, each in config.campaigns.items() if name not in wrong}
    return replace(config, campaigns=sound, broken={**config.broken, **faults})


def _check_event(event: Event, library: Factors, file: str) -> None:
    entry = f"{file}, entry 'source.event"
    if event.feed not in PERSONAL_FEEDS:
        raise ConfigError(
            f"{entry}.feed': '{event.feed}' is no feed whose events befall one subscriber; "
            f"known: {', '.join(PERSONAL_FEEDS)}."
        )
    try:
        if event.condition is None:
            return
        columns = EVENTS[event.feed]
        if unknown := event.condition.needs(ROW) - columns.keys():
            raise ConfigError(f"{event.feed} has no column '{min(unknown)}'; it has {', '.join(columns)}.")
        nothing = pl.DataFrame(schema=dict(columns))
        found = nothing.select(compile_row(event.condition, words=library.words)).dtypes
    except ConfigError as error:
        raise ConfigError(f"{entry}.where': {error}") from error
    except pl.exceptions.PolarsError as error:
        cause = str(error).splitlines()[0]
        raise ConfigError(f"{entry}.where': '{event.where}' cannot be computed: {cause}") from error
    if found != [pl.Boolean]:
        raise ConfigError(f"{entry}.where': '{event.where}' gives no true or false; it must compare.")


def _unknown(campaign: Campaign, config: "Config") -> str:
    """What the source names and nobody knows; of a campaign that is broken itself the outcomes are not known."""
    named = campaign.source.outcome
    if named is None or named.campaign in config.broken:
        return ""
    if named.campaign not in config.campaigns:
        return f"there is no campaign '{named.campaign}'; known: {', '.join(sorted(config.campaigns))}."
    known = config.campaigns[named.campaign].catalogue
    if wrong := [each for each in named.outcomes if each not in known]:
        return f"'{named.campaign}' has no outcome '{wrong[0]}'; known: {', '.join(known)}."
    return ""
