"""What was typed into a form: read field by field, wrong values told in a sentence, all of it kept for showing."""

from collections.abc import Collection, Mapping
from datetime import date, datetime

from include.domain.errors import BadInput
from include.domain.periods.months import ZONE
from include.domain.text.typed import parse_day

LONGEST = 2000


class Fields:
    """The fields of a form by name; an empty one counts as left out."""

    def __init__(self, typed: Mapping[str, list[str]]) -> None:
        # a browser counts the end of a line as one character, and sends two
        self.typed = {
            name: [value.replace("\r\n", "\n") for value in values] for name, values in typed.items()
        }

    def text(self, name: str) -> str | None:
        """What was typed, without blanks around it; BadInput when it is too long."""
        values = self.typed.get(name) or [""]
        if len(values[-1]) > LONGEST:
            raise BadInput(
                "'{field}' is longer than {most} characters. Shorten it.",
                code="field_too_long", field=name, most=LONGEST,
            )  # fmt: skip
        return values[-1].strip() or None

    def needed(self, name: str) -> str:
        """What was typed; BadInput when nothing was."""
        found = self.text(name)
        if found is None:
            raise BadInput("'{field}' is empty. Fill it in.", code="field_empty", field=name)
        return found

    def one_of(self, name: str, words: Collection[str]) -> str:
        """One of the words a form offers; BadInput for any other."""
        found = self.needed(name)
        if found not in words:
            raise BadInput(
                "'{field}' is '{typed}', which the form does not offer. Open it again.",
                code="field_not_offered", field=name, typed=found,
            )  # fmt: skip
        return found

    def many(self, name: str) -> list[str]:
        """Every box that was ticked."""
        return [value for value in self.typed.get(name, []) if value]

    def number(self, name: str) -> int | None:
        """A whole number."""
        found = self.text(name)
        if found is None:
            return None
        if not found.removeprefix("-").isdecimal() or len(found) > 18:
            raise BadInput(
                "'{field}' is '{typed}', not a whole number. Correct it.",
                code="field_no_number", field=name, typed=found,
            )  # fmt: skip
        return int(found)

    def day(self, name: str) -> date | None:
        """A date."""
        found = self.text(name)
        try:
            return parse_day(found) if found else None
        except BadInput:
            raise BadInput(
                "'{field}' is '{typed}', not a date. Write it as 2026-11-09.",
                code="field_no_day", field=name, typed=found,
            ) from None  # fmt: skip

    def instant(self, name: str) -> datetime | None:
        """A date and time as people here mean it: Shanghai time unless it names another zone."""
        found = self.text(name)
        try:
            read = datetime.fromisoformat(found) if found else None
        except ValueError:
            raise BadInput(
                "'{field}' is '{typed}', not a time. Write it as 2026-11-09T15:30.",
                code="field_no_time", field=name, typed=found,
            ) from None  # fmt: skip
        return read.replace(tzinfo=ZONE) if read is not None and read.tzinfo is None else read
