"""notices.yaml: what is told to whom, how urgently, in which words, by which way."""

import string
from collections.abc import Mapping
from datetime import time
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from include.config.readers.plain import read_yaml
from include.config.readers.reading import Entry, read_text, validated

Language = Literal["zh", "en"]
Tell = Literal["page", "morning_mail", "none"]
Audience = Literal["staff", "operations"]
Count = Annotated[int, Field(ge=1)]

#: The facts every notice of a kind bears; a text may use these and no others.
FACTS: Mapping[str, frozenset[str]] = {
    "clock_warned": frozenset({"ticket_id", "clock_zh", "clock_en", "due_at"}),
    "clock_breached": frozenset({"ticket_id", "clock_zh", "clock_en", "due_at"}),
    "deadline_moved": frozenset({"ticket_id", "moves_zh", "moves_en"}),
    "ticket_cancelled": frozenset({"ticket_id", "because_zh", "because_en"}),
    "refusal_heard": frozenset({"ticket_id", "person"}),
    "ended_by_refusal": frozenset({"ticket_id", "person"}),
    "refusal_waits": frozenset({"ticket_id", "person"}),
    "ticket_frozen": frozenset({"ticket_id", "because_zh", "because_en"}),
    "ticket_unfrozen": frozenset({"ticket_id"}),
    "task_overdue": frozenset({"ticket_id", "unit", "due_at"}),
    "budget_nearly_spent": frozenset(
        {"campaign", "starts_on", "ends_on", "branch_code", "limit_yuan", "reserved_yuan", "committed_yuan"}
    ),
    "stage_failed": frozenset({"where", "why", "link"}),
    "feed_waiting": frozenset({"month", "until", "why", "link"}),
    "heartbeat_missing": frozenset({"watcher", "expected_at", "ticked_at"}),
    "drift": frozenset({"what", "why", "link"}),
    "message_dead": frozenset({"message_id", "attempts", "why"}),
}


class Text(Entry):
    """One text in both languages."""

    zh: str
    en: str


class Kind(Text):
    """One kind of notice: how urgently it is told, and its words."""

    tell: Tell


class Channel(Entry):
    """The way messages go: a file, or an Airflow Connection of a mail server or a webhook."""

    via: Literal["file", "smtp", "webhook"]
    connection: str | None = None
    style: Literal["dingtalk", "wecom", "feishu", "plain"] = "plain"
    languages: Annotated[tuple[Language, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_its_connection(self) -> "Channel":
        if (self.via == "file") != (self.connection is None):
            raise ValueError(f"via {self.via}: smtp and webhook name a connection, file does not")
        return self


class Heartbeat(Entry):
    """When a watcher ticks every day, and how long a tick may be missing."""

    since: time = Field(alias="from")
    until: time
    every_minutes: Count
    allow_minutes: Count


class Notices(Entry):
    """Channels, digests, retries, heartbeats and kinds."""

    channels: dict[Audience, Channel]
    digest_minutes: Annotated[int, Field(ge=0)]
    digest_lines: Count
    first_retry_minutes: Count
    attempts: Count
    heartbeats: dict[str, Heartbeat]
    subjects: dict[Audience, Text]
    kinds: dict[str, Kind]

    @model_validator(mode="after")
    def _tells_every_kind_with_its_facts(self) -> "Notices":
        if set(self.kinds) != set(FACTS):
            raise ValueError(f"kinds must be {', '.join(FACTS)}")
        for name in ("channels", "subjects"):
            if set(getattr(self, name)) != {"staff", "operations"}:
                raise ValueError(f"{name} must name staff and operations")
        for name, kind in self.kinds.items():
            for text in (kind.zh, kind.en):
                unknown = {field for _, field, _, _ in string.Formatter().parse(text) if field} - FACTS[name]
                if unknown:
                    raise ValueError(f"kinds.{name} has no {{{min(unknown)}}}; it has {sorted(FACTS[name])}")
        return self

    def kinds_by(self, how: Tell) -> list[str]:
        """The kinds told that way."""
        return [name for name, kind in self.kinds.items() if kind.tell == how]


def load_notices(folder: Path) -> Notices:
    """notices.yaml of the configuration `folder`; ConfigError names entry and cause."""
    return parse(read_yaml(read_text(folder / "notices.yaml"), "notices.yaml"), "notices.yaml")


def parse(raw: object, file: str) -> Notices:
    """notices.yaml."""
    return validated(Notices, raw, file)
