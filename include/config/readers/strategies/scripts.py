"""What no script may say or ask for: the words of strategies.yaml that refuse a hint or the name of an offer."""

import re
import unicodedata
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

from pydantic import ConfigDict, Field

from include.config.readers.factors import Text
from include.config.readers.plain import read_yaml
from include.config.readers.reading import Entry, read_text, validated
from include.domain.errors import ConfigError
from include.settings import OWN_CONFIG

if TYPE_CHECKING:
    from include.config.readers.strategies import Strategies

#: A word is looked for within one clause, so that the next one may speak of something else.
_CLAUSES = re.compile(r"[,.;:!?。、\n]+")
_BETWEEN_SIGNS = re.compile(r"(?<=[^\x00-\x7f])\s+(?=[^\x00-\x7f])")


class RefusedScript(Entry):
    """One kind of script that is refused, and why.

    words: one of them in a clause refuses it; after: only where one of these stands before it, with nothing but
    words of `between` in between; unless: not where one of these stands in the clause, as in a hint that forbids.
    """

    because: Text
    words: Annotated[tuple[Text, ...], Field(min_length=1)]
    after: tuple[Text, ...] = ()
    between: tuple[Text, ...] = ()
    unless: tuple[Text, ...] = ()

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        lead = rf"(?:{_any(self.after)})\s*(?:(?:{_any(self.between)})\s*)*" if self.after else ""
        return re.compile(f"{lead}(?:{_any(self.words)})")

    def found_in(self, text: str) -> str | None:
        """The words that refuse the text; None when it may be used."""
        for clause in _CLAUSES.split(unicodedata.normalize("NFKC", text).lower()):
            found = self._pattern.search(_BETWEEN_SIGNS.sub("", clause))
            if found and not re.search(_any(self.unless), clause):
                return found[0]
        return None


def _any(words: Iterable[str]) -> str:
    """A pattern of any of the words: a Latin one as a word of its own, a Chinese one anywhere; of none, nothing."""
    plain = [re.escape(word.lower()) for word in words]
    return "|".join(rf"\b{word}\b" if word.isascii() else word for word in plain) or r"(?!)"


class _Own(Entry):
    """The section of the project's own file."""

    model_config = ConfigDict(extra="ignore")

    refused_scripts: dict[str, RefusedScript]


def check_scripts(strategies: "Strategies", file: str = "strategies.yaml") -> None:
    """Refuse hints and names of offers that compare, or send to others, by the words of the file or else our own.

    Asked of the folder alone: a cycle keeps what it was opened with.
    """
    kinds = _own() if strategies.refused_scripts is None else strategies.refused_scripts
    for name, offer in strategies.offers.items():
        for text in (text for each in (offer, *offer.hints) for text in (each.zh, each.en)):
            for kind, words in kinds.items():
                if word := words.found_in(text):
                    raise ConfigError(
                        f"{file}, offer '{name}': '{word}' in '{text}' is refused as {kind} ({words.because}). "
                        "Write the script without it, or mend refused_scripts where the word is innocent."
                    )


def _own() -> dict[str, RefusedScript]:
    file = OWN_CONFIG / "strategies.yaml"
    return validated(_Own, read_yaml(read_text(file), file.name), file.name).refused_scripts
