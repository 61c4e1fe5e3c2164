"""The words for the board's columns and their values: from the catalogue, and what somebody configured."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from include.config import Config
from include.desk.board.sections import CAMPAIGN, CLOCK, OUTCOME, STRATEGY, WORD, Table
from include.desk.words import catalogue
from include.domain.contact.outcome import OUTCOMES

_NOBODY = "–"


def headings_in(language: str) -> Callable[[Table, str], str]:
    """`heading(table, column)`: the campaign's own word for a column, else the catalogue's."""
    known = catalogue(language)

    def heading(table: Table, column: str) -> str:
        own = table.headings.get(column)
        return known[f"board.columns.{column}"] if own is None else str(getattr(own, language))

    return heading


def teller(config: Config, language: str, campaigns: Iterable[str] = ()) -> Callable[[str, Any], str]:
    """`told(kind, value)`: the words for a value, of endings and clocks as these campaigns call them.

    The value itself where nobody wrote any.
    """
    known = catalogue(language)
    configured: dict[str, Mapping[str, Any]] = {
        f"{WORD}board.teams": config.teams.teams,
        STRATEGY: config.strategies.strategies,
        CAMPAIGN: config.campaigns,
        CLOCK: _of(config, campaigns, lambda name: config.campaigns[name].clocks),
        OUTCOME: {**OUTCOMES, **_of(config, campaigns, config.catalogue)},
    }
    named = {
        kind: {name: str(getattr(each, language)) for name, each in words.items()}
        for kind, words in configured.items()
    }

    def told(kind: str, value: Any) -> str:
        if kind in named and value in named[kind]:
            return named[kind][value]
        if kind.startswith(WORD):
            word = str(value).lower() if value is not None else "none"
            return known.get(f"{kind.removeprefix(WORD)}.{word}", _NOBODY if value is None else str(value))
        return _NOBODY if value is None else str(value)

    return told


def _of(
    config: Config, campaigns: Iterable[str], words: Callable[[str], Mapping[str, Any]]
) -> dict[str, Any]:
    """What campaigns word, together; of two that word the same name the first."""
    told: dict[str, Any] = {}
    for name in campaigns:
        if name in config.campaigns:
            told = {**words(name), **told}
    return told
