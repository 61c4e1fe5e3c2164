"""The words for the values of the board's columns: from the catalogue, the configured names of teams and offers."""

from collections.abc import Callable
from typing import Any

from include.config import Config
from include.desk.sections import STRATEGY, WORD
from include.desk.words import catalogue

_NOBODY = "–"


def heading(column: str) -> str:
    """The catalogue's key for the heading of a column."""
    return f"board.columns.{column}"


def teller(config: Config, language: str) -> Callable[[str, Any], str]:
    """`told(kind, value)`: the words for a value; the value itself where nobody wrote any."""
    known = catalogue(language)
    named: dict[str, dict[str, str]] = {
        f"{WORD}board.teams": {name: getattr(each, language) for name, each in config.teams.teams.items()},
        STRATEGY: {name: getattr(each, language) for name, each in config.strategies.strategies.items()},
    }

    def told(kind: str, value: Any) -> str:
        if kind in named and value in named[kind]:
            return named[kind][value]
        if kind.startswith(WORD):
            word = str(value).lower() if value is not None else "none"
            return known.get(f"{kind.removeprefix(WORD)}.{word}", _NOBODY if value is None else str(value))
        return _NOBODY if value is None else str(value)

    return told
