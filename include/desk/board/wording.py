"""The words for the board's columns and their values: from the catalogue, and what somebody configured."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from include.config import Config
from include.desk.board.tables import CAMPAIGN, CLOCK, OUTCOME, STRATEGY, TEAM, WORD, Table
from include.words import catalogue, words_in
from include.words.outcomes import OUTCOMES

_NOBODY = "–"


@dataclass(frozen=True)
class BoardWords:
    """The words of the board in one language.

    `screen(key, **values)` gives those of the screens, `heading(table, column)` a column's, `value(kind, value)` a
    cell's.
    """

    screen: Callable[..., str]
    heading: Callable[[Table, str], str]
    value: Callable[[str, Any], str]


def board_words(config: Config, language: str, campaigns: Iterable[str]) -> BoardWords:
    """The words for these campaigns' figures."""
    return BoardWords(words_in(language), headings_in(language), value_words(config, language, campaigns))


def headings_in(language: str) -> Callable[[Table, str], str]:
    """`heading(table, column)`: the campaign's own word for a column, else the catalogue's."""
    known = catalogue(language)

    def heading(table: Table, column: str) -> str:
        own = table.headings.get(column)
        return known[f"board.columns.{column}"] if own is None else str(getattr(own, language))

    return heading


def value_words(config: Config, language: str, campaigns: Iterable[str] = ()) -> Callable[[str, Any], str]:
    """`value(kind, value)`: the words for a value, of endings and clocks as these campaigns call them.

    The value itself where nobody wrote any.
    """
    known = catalogue(language)
    configured: dict[str, Mapping[str, Any]] = {
        TEAM: config.teams.teams,
        STRATEGY: config.strategies.strategies,
        CAMPAIGN: config.campaigns,
        CLOCK: _of(config, campaigns, lambda name: config.campaigns[name].clocks),
        OUTCOME: {**OUTCOMES, **_of(config, campaigns, config.catalogue)},
    }
    named = {
        kind: {name: str(getattr(each, language)) for name, each in words.items()}
        for kind, words in configured.items()
    }

    def in_words(kind: str, value: Any) -> str:
        if kind in named and value in named[kind]:
            return named[kind][value]
        if kind.startswith(WORD):
            word = str(value).lower() if value is not None else "none"
            return known.get(f"{kind.removeprefix(WORD)}.{word}", _NOBODY if value is None else str(value))
        return _NOBODY if value is None else str(value)

    return in_words


def _of(
    config: Config, campaigns: Iterable[str], words: Callable[[str], Mapping[str, Any]]
) -> dict[str, Any]:
    """What campaigns word, together; of two that word the same name the first."""
    worded: dict[str, Any] = {}
    for name in campaigns:
        if name in config.campaigns:
            worded = {**words(name), **worded}
    return worded
