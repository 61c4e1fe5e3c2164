"""The part of strategies.yaml about the outreach list: who, how many, by which channels, and when."""

from typing import Annotated, Literal

from pydantic import Field

from include.config.readers.contact import QuietHours
from include.config.readers.operations import Count, HoldOut, Yuan
from include.config.readers.reading import Entry, Flag


class Outreach(Entry):
    """The automatic list of the secondary tier."""

    phases: Annotated[tuple[str, ...], Field(min_length=1)]
    channels: Annotated[tuple[Literal["app", "sms"], ...], Field(min_length=1)]
    at_most: Count
    offer_at_most_yuan: Yuan
    hold_out: HoldOut
    cooling_off_days: Annotated[int, Field(ge=0)]
    needs_consent: Flag
    #: Where a folder of before says so; contact.yaml says it for calls and messages alike
    quiet_hours: QuietHours | None = None
