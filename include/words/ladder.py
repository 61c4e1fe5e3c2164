"""The next step of the contact ladder in words."""

from include.domain.contact.ladder import PARTS, Step
from include.domain.periods.months import ZONE
from include.domain.text.words import Words
from include.words import LANGUAGES, words_in


def step_in_words(step: Step) -> Words:
    """What to do next: for a call which of how many, in which parts of the day and from which day on."""
    zh, en = (_told(step, language) for language in LANGUAGES)
    return Words(zh, en)


def _told(step: Step, language: str) -> str:
    t = words_in(language)
    if step.call_back_at is not None:
        return t("ladder.call_back", at=f"{step.call_back_at.astimezone(ZONE):%Y-%m-%d %H:%M}")
    if step.kind != "call":
        return t(f"ladder.{step.kind}")
    parts = t("ladder.between").join(t(f"ladder.parts.{name}") for name, _ in PARTS if name in step.parts)
    return t(
        "ladder.call",
        number=step.number,
        of=step.of,
        parts=t("ladder.in_parts", parts=parts) if parts else "",
        since=t("ladder.since", day=step.not_before) if step.not_before else "",
    )
