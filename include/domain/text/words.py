"""Words that staff read: in both languages, or as a part of a refusal."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """What staff read, in Chinese and English."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """A part of a refusal: the English said where it is raised; its Chinese stands under `code` in include/words."""

    code: str
    en: str
