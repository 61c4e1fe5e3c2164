"""Who did something, when, and why: what every change by hand is signed with."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Signature:
    """A change is made `by` somebody `at` an instant with a time zone; `because` is the reason in words, if asked for.

    ValueError for an instant without a time zone.
    """

    by: str
    at: datetime
    because: str = ""

    def __post_init__(self) -> None:
        if self.at.utcoffset() is None:
            raise ValueError(f"{self.at} has no time zone, so it is no instant.")
