"""What is refused, in the reader's language: the sentence of its code, each value told by its name in it.

English sentences stand where they are raised; the Chinese ones, by code, in include/words/refusals.zh.yaml.
"""

from collections.abc import Callable, Mapping, Set
from datetime import date
from decimal import Decimal
from typing import Any

from include.config import Config
from include.domain.errors import LoopError
from include.domain.text.words import Phrase
from include.words import named_in, phrases, refusals, words_in
from include.words.outcomes import NEEDS, OUTCOMES

#: A value as programs write it: numbers and text, or a list of them.
Json = bool | int | str | None | list["Json"]

#: The same in both languages: numbers, days, instants in Shanghai time, amounts, and what somebody typed or is called.
AS_IT_IS = frozenset(
    {
        "ticket", "into", "staff", "task", "version", "seen", "number", "least", "most", "count", "days", "at",
        "until", "today", "cost_yuan", "limit_yuan", "left_yuan", "order", "person", "typed", "cycles", "resource",
        "why", "refusal", "stop", "what", "names",
    }
)  # fmt: skip
#: In both languages where they come from: words of the domain or the configuration, or another refusal.
IN_BOTH = frozenset({"done", "because", "advice", "record", "ending", "next_step", "against", "use", "where"})
#: By the words of the screens.
BY_CATALOGUE: Mapping[str, str] = {
    "state": "states", "states": "states", "role": "roles", "roles": "roles", "action": "actions",
    "actor": "actors", "channels": "channels", "result": "results", "results": "results", "call_back": "results",
    "processed": "processed", "field": "fields", "views": "views", "sections": "board.sections",
    "scope": "stops.scopes",
}  # fmt: skip


def _endings(config: Config) -> Mapping[str, Any]:
    own = (each.catalogue for each in config.campaigns.values())
    return {name: ending for catalogue in (OUTCOMES, *own) for name, ending in catalogue.items()}


def _details(config: Config) -> Mapping[str, Any]:
    endings = (outcome for each in config.campaigns.values() for outcome in each.catalogue.values())
    return {name: words for ending in endings for name, words in ending.details.items()}


def _needs(config: Config) -> Mapping[str, Any]:
    own = (each.needs for each in config.campaigns.values())
    return {name: words for needs in (NEEDS, *own) for name, words in needs.items()}


def _items(config: Config) -> Mapping[str, Any]:
    return {name: words for each in config.campaigns.values() for name, words in each.checklist.items()}


def _units(config: Config) -> Mapping[str, Any]:
    return {name: unit for campaign in config.campaigns.values() for name, unit in campaign.units.items()}


#: By the names somebody configured.
BY_CONFIGURATION: Mapping[str, Callable[[Config], Mapping[str, Any]]] = {
    "team": lambda config: config.teams.teams,
    "campaign": lambda config: config.campaigns,
    "campaigns": lambda config: config.campaigns,
    "strategy": lambda config: config.strategies.strategies,
    "strategies": lambda config: config.strategies.strategies,
    "offer": lambda config: config.strategies.offers,
    "offers": lambda config: config.strategies.offers,
    "phases": lambda config: config.strategies.phases,
    "own_phases": lambda config: config.strategies.phases,
    "outcome": _endings,
    "outcomes": _endings,
    "needs": _needs,
    "items": _items,
    "details": _details,
    "unit": _units,
    "units": _units,
}


def tell(error: Exception, language: str, config: Config) -> str:
    """The sentence of a refusal; what was raised without a code is told as it is, in English."""
    code = getattr(error, "code", "")
    if not isinstance(error, LoopError) or not code:
        return str(error)
    template = error.template if language == "en" else refusals()[code]
    values = {name: _in_words(name, value, language, config) for name, value in error.values.items()}
    return template.format(**values)


def _in_words(name: str, value: Any, language: str, config: Config) -> str:
    t = words_in(language)
    if isinstance(value, Set):
        return t("lists.or").join(_in_words(name, each, language, config) for each in sorted(value))
    if isinstance(value, list | tuple):
        between = "lists.phrases" if name in IN_BOTH else "lists.between"
        parts = [_in_words(name, each, language, config) for each in value]
        return t(between).join(parts) or t("lists.none")
    if name in IN_BOTH:
        return _part(value, language, config)
    if name in BY_CATALOGUE:
        return named_in(language)(BY_CATALOGUE[name], value)
    named = BY_CONFIGURATION[name](config).get(value) if name in BY_CONFIGURATION else None
    return str(getattr(named, language, value))


def _part(value: Any, language: str, config: Config) -> str:
    """What comes with its words: another refusal, a part of one, or what has them in both languages."""
    if isinstance(value, LoopError):
        return tell(value, language, config)
    if isinstance(value, Phrase) and language != "en":
        return phrases().get(value.code, value.en)
    return str(getattr(value, language))


def as_values(error: Exception) -> dict[str, Json]:
    """What a refusal is about, for programs: each value of its sentence by name, as programs write it."""
    return {name: _machine(value) for name, value in getattr(error, "values", {}).items()}


def _machine(value: Any) -> Json:
    if isinstance(value, Set):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [_machine(each) for each in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    return (
        value.isoformat()
        if isinstance(value, date)
        else str(value)
        if isinstance(value, Decimal)
        else _words(value)
    )


def _words(value: Any) -> str:
    return str(getattr(value, "en", value))
