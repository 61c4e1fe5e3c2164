"""Errors a person can cure: each sentence says what happened, with which value, and what to do."""

from collections.abc import Mapping, Set
from typing import Any, Self, TypedDict


class KeptError(TypedDict):
    """An error as JSON keeps it: its sentence or template, its code, and the values in it."""

    sentence: str
    code: str
    values: dict[str, Any]


class LoopError(Exception):
    """Base of everything the loop refuses or cannot do, told in one sentence without a traceback.

    Given a `code`, the sentence is a template filled with `values`: `str()` is the English sentence with the values
    as programs write them; the desk tells it in the reader's language, with every value in the reader's words.
    """

    def __init__(self, sentence: str, *, code: str = "", **values: object) -> None:
        plain = {name: _plain(value) for name, value in values.items()}
        super().__init__(sentence.format(**plain) if code else sentence)
        self.code, self.template, self.values = code, sentence, values

    def as_json(self) -> "KeptError":
        """To be kept where JSON is; `from_json` reads it again. The values are ones JSON knows."""
        return {"sentence": self.template, "code": self.code, "values": self.values}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """What was raised, as it was kept."""
        return cls(kept["sentence"], code=kept["code"], **kept["values"])


def _plain(value: object) -> str:
    """A value in the English sentence: sets are alternatives, sequences are lists, of what has words the English."""
    if isinstance(value, Set):
        return " or ".join(sorted(_plain(each) for each in value))
    if isinstance(value, list | tuple):
        has_words = any(hasattr(each, "en") for each in value)
        return ("; " if has_words else ", ").join(_plain(each) for each in value) or "none"
    return str(getattr(value, "en", value))


class BadInput(LoopError):
    """A value given by a person or a file cannot be used."""


class NotReady(LoopError):
    """Something that must come first has not come yet: a delivery, a stage, a database revision."""


class NotDelivered(NotReady):
    """What a campaign rests on was not delivered; its cycle says so and does nothing."""


class Damaged(NotReady):
    """A file of the lake is not what was written: `what` says so, the sentence says what to do as well."""

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(f"{what}. {cure}")
        self.what = what


class Refused(LoopError):
    """A rule of the business forbids the action (an illegal transition, a stale version, no right)."""


class TooMany(Refused):
    """As many uses as a day allows were made; tomorrow there are new ones."""


class ConfigError(LoopError):
    """A configuration file is wrong; the sentence names file, entry and cause."""
