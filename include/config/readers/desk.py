"""desk.yaml: daily limits for uses of phone numbers and refusals taken, and how the next ticket is given out."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from include.config.readers.operations import Count
from include.config.readers.plain import read_yaml
from include.config.readers.reading import Entry, read_text, validated
from include.settings import OWN_CONFIG

Use = Literal["reveal", "call", "search", "export", "refusal"]


class DailyLimits(Entry):
    """Uses a person may make a day."""

    reveal: Count
    call: Count
    search: Count
    export: Count
    #: of a file written before there was one
    refusal: Count = 10

    def of(self, use: Use) -> int:
        """The limit of one kind of use."""
        return int(getattr(self, use))


class NextTicket(Entry):
    """How long a ticket is held for the person it was given to, when it comes again, how often one may skip."""

    hold_minutes: Annotated[int, Field(ge=1, le=240)]
    rest_minutes: Annotated[int, Field(ge=0, le=1440)]
    free_skips: Annotated[int, Field(ge=0)]


class DeskRules(Entry):
    """desk.yaml."""

    limits_per_day: DailyLimits
    next_ticket: NextTicket


_OWN = OWN_CONFIG / "desk.yaml"


def load_desk(folder: Path) -> DeskRules:
    """desk.yaml of the configuration `folder`, else the project's own; ConfigError names entry and cause."""
    file = folder / "desk.yaml"
    return parse(read_yaml(read_text(file if file.exists() else _OWN), "desk.yaml"), "desk.yaml")


def parse(raw: object, file: str) -> DeskRules:
    """desk.yaml."""
    return validated(DeskRules, raw, file)
