"""A notice in words: the configured text with its facts filled in, phone numbers masked."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from include.config.readers.campaign.work import Worded
from include.config.readers.notices import Language, Notices, Text
from include.domain.periods.months import ZONE
from include.words import LANGUAGES, named_in, words_in

# a mobile number standing alone, with or without country code; ids of other lengths stay readable
_MOBILE = re.compile(r"(?<!\d)((?:(?:00)?86)?[- ]?1[3-9]\d)[- ]?\d{4}[- ]?(\d{4})(?!\d)", re.ASCII)


def digest(
    notices: Notices, channel: str, rows: Sequence[Mapping[str, Any]], languages: Sequence[Language]
) -> tuple[str, str]:
    """Subject and body of one digest of rows with `kind`, `ticket_id` and `details`, in these languages.

    `clocks` of a row are the words of its ticket's clocks by name; one without words shows as it came.
    """
    subject: Text = notices.subjects["staff" if channel == "staff" else "operations"]
    told = [{**row, "facts": facts(row["ticket_id"], row["details"], row.get("clocks", {}))} for row in rows]
    named = {"count": len(rows), "name": rows[0].get("name", "")}
    subjects = [getattr(subject, language).format(**named) for language in languages]
    bodies = [_lines(notices, told, language) for language in languages]
    return masked(" / ".join(subjects)), masked("\n\n".join("\n".join(lines) for lines in bodies))


def _lines(notices: Notices, told: Sequence[Mapping[str, Any]], language: Language) -> list[str]:
    shown = told[: notices.digest_lines]
    lines = [_line(getattr(notices.kinds[row["kind"]], language), row["facts"]) for row in shown]
    more = len(told) - len(shown)
    return lines + ([words_in(language)("notices.more", more=more)] if more else [])


def _line(text: str, known: Mapping[str, str]) -> str:
    return text.format_map(defaultdict(str, known)).strip()


def facts(ticket_id: int | None, details: Mapping[str, Any], clocks: Mapping[str, Worded]) -> dict[str, str]:
    """What a text may use: every detail as people read it, clocks and causes by name."""
    known = {name: _told(value) for name, value in details.items() if not isinstance(value, list | dict)}
    if "clock" in details:
        clock = details["clock"]
        known |= {f"clock_{language}": _named(clocks, clock, language) for language in LANGUAGES}
    if "clocks" in details:
        moves = details["clocks"]
        known |= {f"moves_{language}": _moves(moves, clocks, language) for language in LANGUAGES}
    if "reason" in details:
        because = details["reason"]
        known |= {
            f"because_{language}": named_in(language)("notices.because", because) for language in LANGUAGES
        }
    return known | {"ticket_id": "–" if ticket_id is None else str(ticket_id)}


def _named(clocks: Mapping[str, Worded], clock: str, language: str) -> str:
    return str(getattr(clocks.get(clock), language, clock))


def _moves(moves: Sequence[Mapping[str, Any]], clocks: Mapping[str, Worded], language: str) -> str:
    moved = (
        f"{_named(clocks, each['clock'], language)} {_told(each['old_due_at'])} → {_told(each['new_due_at'])}"
        for each in moves
        if each["old_due_at"] != each["new_due_at"]
    )
    return words_in(language)("lists.phrases").join(moved)


def _told(value: object) -> str:
    """A value as text; an instant in Shanghai to the minute."""
    text = str(value)
    if re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d", text):
        return f"{datetime.fromisoformat(text).astimezone(ZONE):%Y-%m-%d %H:%M}"
    return text


def masked(text: str) -> str:
    """The text with the middle of every mobile number hidden."""
    return _MOBILE.sub(r"\1****\2", text)
