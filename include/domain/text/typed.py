"""What people type: days and yes or no, as spreadsheets and hands write them; what has two meanings is refused."""

import re
import unicodedata
from datetime import date

from include.domain.errors import BadInput
from include.domain.text.canonical import INVISIBLE

#: The words that count as yes and as no, in small letters.
WORDS = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1", "是"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0", "否"), False),
}
_ENDS = re.compile(f"^[{INVISIBLE}]+|[{INVISIBLE}]+$")
# 2026-11-09, 2026/11/9, 2026.11.9, 2026年11月9日; a spreadsheet may add midnight
_DAY = re.compile(
    r"(?P<year>\d{4})(?:(?P<sign>[-/.])(?P<month>\d{1,2})(?P=sign)(?P<day>\d{1,2})|年(?P<m>\d{1,2})月(?P<d>\d{1,2})日)"
    r"(?:[ T]0?0:00(?::00(?:\.0+)?)?)?"
)
_YEAR_LAST = re.compile(r"\d{1,2}([-/.])\d{1,2}\1\d{2,4}\b")


def parse_day(text: str) -> date:
    """The day somebody wrote, the year first; BadInput for anything else, above all for an order that is a guess."""
    written = bare(text)
    if _YEAR_LAST.match(written):
        raise BadInput(f"'{written}' does not tell the day from the month. Write the year first: 2026-11-09.")
    found = _DAY.fullmatch(written)
    try:
        if found is None:
            raise ValueError(written)
        parts = (found["year"], found["month"] or found["m"], found["day"] or found["d"])
        return date(*map(int, parts))
    except ValueError:
        raise BadInput(f"'{written}' is no day. Write it like 2026-11-09.") from None


def parse_flag(text: str) -> bool:
    """Yes or no in one of `WORDS`, capitals as you like; BadInput for any other word."""
    word = bare(text).lower()
    if word not in WORDS:
        raise BadInput(f"'{word}' is neither true nor false. Write true or false, yes or no, on or off.")
    return WORDS[word]


def bare(text: str) -> str:
    """`text` with plain digits and signs, and without what no eye sees around it."""
    return _ENDS.sub("", unicodedata.normalize("NFKC", text))
