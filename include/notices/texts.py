"""A notice in words: the configured text with its facts filled in, phone numbers masked."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from include.config.notices import Language, Notices, Text
from include.domain.months import ZONE

# a mobile number standing alone, with or without country code; ids of other lengths stay readable
_MOBILE = re.compile(r"(?<!\d)((?:(?:00)?86)?[- ]?1[3-9]\d)[- ]?\d{4}[- ]?(\d{4})(?!\d)")
_CLOCKS = {
    "zh": {"plan": "需求调查和挽留方案", "first_contact": "首次联系"},
    "en": {"plan": "the needs survey and plan", "first_contact": "the first contact"},
}
_MORE = {"zh": "……另有 {more} 条，请查看工单队列。", "en": "… and {more} more; see the queue."}


def digest(
    notices: Notices, channel: str, rows: Sequence[Mapping[str, Any]], languages: Sequence[Language]
) -> tuple[str, str]:
    """Subject and body of one digest of rows with `kind`, `ticket_id` and `details`, in these languages."""
    subject: Text = notices.subjects["staff" if channel == "staff" else "operations"]
    told = [{**row, "facts": facts(row["ticket_id"], row["details"])} for row in rows]
    named = {"count": len(rows), "name": rows[0].get("name", "")}
    subjects = [getattr(subject, language).format(**named) for language in languages]
    bodies = [_lines(notices, told, language) for language in languages]
    return masked(" / ".join(subjects)), masked("\n\n".join("\n".join(lines) for lines in bodies))


def _lines(notices: Notices, told: Sequence[Mapping[str, Any]], language: Language) -> list[str]:
    shown = told[: notices.digest_lines]
    lines = [_line(getattr(notices.kinds[row["kind"]], language), row["facts"]) for row in shown]
    more = len(told) - len(shown)
    return lines + ([_MORE[language].format(more=more)] if more else [])


def _line(text: str, known: Mapping[str, str]) -> str:
    return text.format_map(defaultdict(str, known)).strip()


def facts(ticket_id: int | None, details: Mapping[str, Any]) -> dict[str, str]:
    """What a text may use: every detail as people read it, and the clocks by name."""
    known = {name: _told(value) for name, value in details.items() if not isinstance(value, list | dict)}
    if "clock" in details:
        known |= {f"clock_{language}": _CLOCKS[language][details["clock"]] for language in _CLOCKS}
    if "clocks" in details:
        known |= {f"moves_{language}": _moves(details["clocks"], language) for language in _CLOCKS}
    return known | {"ticket_id": "–" if ticket_id is None else str(ticket_id)}


def _moves(clocks: Sequence[Mapping[str, Any]], language: str) -> str:
    names = _CLOCKS[language]
    moved = [each for each in clocks if each["old_due_at"] != each["new_due_at"]]
    return ("；" if language == "zh" else "; ").join(
        f"{names[each['clock']]} {_told(each['old_due_at'])} → {_told(each['new_due_at'])}" for each in moved
    )


def _told(value: object) -> str:
    """A value as text; an instant in Shanghai to the minute."""
    text = str(value)
    if re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d", text):
        return f"{datetime.fromisoformat(text).astimezone(ZONE):%Y-%m-%d %H:%M}"
    return text


def masked(text: str) -> str:
    """The text with the middle of every mobile number hidden."""
    return _MOBILE.sub(r"\1****\2", text)
