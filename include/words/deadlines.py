"""Why a deadline is what it is, in words: one sentence for each calendar day, and what is not known yet."""

from datetime import date
from typing import Literal, get_args

from include.domain.deadline import DayNote, Deadline
from include.domain.errors import BadInput
from include.words import words_in

Language = Literal["zh", "en"]

# strftime would follow the machine's locale
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
#: Where a holiday's name stands in "Chinese / English".
_PLACE = {"zh": 0, "en": -1}


def explain(deadline: Deadline, what: str, language: Language = "zh") -> list[str]:
    """Why this deadline: one sentence that says what is due when, then one per calendar day."""
    _check_language(language)
    t = words_in(language)
    counted = sum(note.counted for note in deadline.days)
    is_every_day = any(note.reason == "calendar" for note in deadline.days)
    when = f"{day_text(deadline.day, language)} {deadline.at:%H:%M}"
    nth = t(f"deadlines.reasons.{'calendar' if is_every_day else 'working'}", number=counted)
    return [t("deadlines.head", what=what, when=when, nth=nth), *explain_days(deadline, language)]


def explain_days(deadline: Deadline, language: Language = "zh") -> list[str]:
    """One sentence per day and, for a provisional deadline, one on what is not known yet.

    BadInput for a language that is neither zh nor en.
    """
    _check_language(language)
    sentences = []
    number = 0
    for note in deadline.days:
        number += note.counted
        sentences.append(_sentence(note, number, language))
    return sentences + [words_in(language)("deadlines.provisional")] * deadline.is_provisional


def day_text(day: date, language: Language) -> str:
    """A date with its weekday: "Sat 10 Oct 2026", in Chinese year first."""
    t = words_in(language)
    return t(
        "deadlines.date",
        year=day.year,
        month=t(f"deadlines.months.{_MONTHS[day.month - 1]}"),
        day=day.day,
        weekday=t(f"deadlines.weekdays.{_WEEKDAYS[day.weekday()]}"),
    )


def _check_language(language: str) -> None:
    if language not in get_args(Language):
        raise BadInput(f"Deadlines are explained in zh or en, not in '{language}'. Choose one of the two.")


def _sentence(note: DayNote, number: int, language: Language) -> str:
    t = words_in(language)
    name = (note.name or "").split(" / ")[_PLACE[language]]
    is_named = bool(name) and note.reason in ("make_up", "holiday")
    reason = t(f"deadlines.reasons.{note.reason}{'_of' if is_named else ''}", number=number, name=name)
    mark = t("deadlines.mark") if note.is_provisional else ""
    return t("deadlines.line", date=day_text(note.day, language), reason=reason, mark=mark)
