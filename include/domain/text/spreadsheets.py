"""Text for the cells of a CSV file that people open in a spreadsheet, which must not take it for a formula.

Guarded is what OWASP lists ("CSV Injection", owasp.org/www-community/attacks/CSV_Injection): a cell that begins with
`=`, `+`, `-` or `@`, half or full width, or with a tab or a line end. Also `|` and `%`, which begin a command of DDE
or a macro in older spreadsheets, and NUL, which ASVS 1.2.10 adds. What no eye sees in front of the sign (blanks,
zero-width and bidirectional marks, soft hyphens, a byte order mark) is passed over, for spreadsheets drop it, too.
"""

import re
import unicodedata

from include.domain.text.canonical import INVISIBLE

_BEGINS_FORMULA = frozenset("=+-@|%")
_BREAKS_CELL = frozenset("\t\r\n\0")
_UNSEEN_START = re.compile(f"[\0{INVISIBLE}]*")


def harmless(text: str) -> str:
    """`text` that no spreadsheet takes for a formula: behind an apostrophe where it would, else as it is."""
    return f"'{text}" if _is_risky(text) else text


def _is_risky(text: str) -> bool:
    unseen = _UNSEEN_START.match(text)
    begins_at = unseen.end() if unseen else 0
    first = unicodedata.normalize("NFKC", text[begins_at : begins_at + 1])
    return first in _BEGINS_FORMULA or not _BREAKS_CELL.isdisjoint(text[:begins_at])
