"""contact.yaml: the manners of contact that hold for every campaign: consent, caps, quiet hours."""

from datetime import time
from typing import Annotated, Literal

from pydantic import Field

from include.config.readers.operations import Count
from include.config.readers.reading import Entry, validated


class QuietHours(Entry):
    """The hours of every day, Asia/Shanghai, in which nobody is called or written to; they may span midnight."""

    begins: Annotated[time, Field(alias="from")]
    ends: Annotated[time, Field(alias="until")]


class Caps(Entry):
    """How often a customer may be taken up by all campaigns together; either arm counts, so that arms stay alike."""

    month: Count
    quarter: Count


class Contact(Entry):
    """consent_not_delivered: what `marketing` does where the operator delivers no consents at all."""

    consent_not_delivered: Literal["allow", "refuse"]
    caps: Caps
    quiet_hours: QuietHours


def parse(raw: object, file: str) -> Contact:
    """contact.yaml."""
    return validated(Contact, raw, file)
