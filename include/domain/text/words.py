"""Words that staff read, in both languages."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """What staff read, in Chinese and English."""

    zh: str
    en: str
