"""One writing for one person: the canonical form of ids and phone numbers, wherever they come in or are typed.

Exports and hands write the same id in many ways: a float by pandas (`….0`), a text by Excel (`="…"`, a leading `'`),
full-width digits by a Chinese keyboard, direction marks by whoever pasted it. All of them are one id here.
"""

import re
import unicodedata

from include.domain.errors import BadInput


def _class(*ranges: tuple[int, int]) -> str:
    return "".join(chr(a) if a == z else f"{chr(a)}-{chr(z)}" for a, z in ranges)


_BLANKS = _class(
    (0x01, 0x20), (0x7F, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F),
    (0x205F, 0x205F), (0x2800, 0x2800), (0x3000, 0x3000),
)  # fmt: skip
#: Format and direction signs, joiners, fillers, variation selectors; a character class like `INVISIBLE`.
UNSEEN = _class(
    (0xAD, 0xAD), (0x34F, 0x34F), (0x600, 0x605), (0x61C, 0x61C), (0x6DD, 0x6DD), (0x70F, 0x70F), (0x115F, 0x1160),
    (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164),
    (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB), (0x110BD, 0x110BD), (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
_SIGNS = re.compile(f"[{UNSEEN}]")
#: Every sign no id holds, as a character class of a regular expression has them. They are listed, not asked of the
#: Unicode tables: PostgreSQL's canonical_id lists the same, and neither knows one more.
INVISIBLE = _BLANKS + UNSEEN
_INVISIBLE = re.compile(f"[{INVISIBLE}]")
# of a spreadsheet's text at the left, of quoting at both ends
_QUOTES = "'`‘’\"“”"
_FORMULA = re.compile(rf'=[+]?"(.*)"(?:\.0+|[{_QUOTES}])*', re.DOTALL)
_POINT_ZERO = re.compile(r"(\.0+)+\Z")
# Excel writes 1.38E+10, pandas 1.38e+10, Java 1.38E10. Without point and sign (12E4) it is an id like any other.
_SCIENTIFIC = re.compile(r"[+-]?([0-9]+\.[0-9]*[eE][+-]?|[0-9]+[eE][+-])[0-9]+\Z")
_MOBILE = re.compile(r"(?:\+?86|0086)?0?(1[3-9][0-9]{9})\Z")
# area codes 010 and 02x with eight digits, the others with seven or eight
_LANDLINE = re.compile(r"(?:\+?86|0086)?(0(?:10|2[0-9])[0-9]{8}|0[3-9][0-9]{2}[0-9]{7,8})\Z")
_SERVICE = re.compile(r"([48]00[0-9]{7})\Z")
_ABROAD = re.compile(r"\+([1-9][0-9]{6,14})\Z")
_BETWEEN_DIGITS = re.compile(r"[-‐‑‒–—()]")


def canonical_id(text: str) -> str:
    """The one writing of an id: NFKC, nothing invisible, no spreadsheet wrapping, no trailing `.0`; case stays.

    BadInput for a number in scientific notation, whose last digits are gone. Empty when nothing is left.
    """
    plain = _plain(text)
    if _SCIENTIFIC.match(plain):
        raise BadInput(
            "'{typed}' is a number in scientific notation: its last digits are lost. Give the id as text.",
            code="scientific_id", typed=plain,
        )  # fmt: skip
    return plain


def canonical_phone(text: str) -> str | None:
    """The digits to dial: a number of China without country code, another as + and digits; None if it is no number.

    Nothing is guessed: two numbers in a cell, a word, or a number whose digits are lost are None.
    """
    plain = _BETWEEN_DIGITS.sub("", _plain(text))
    for form in (_MOBILE, _LANDLINE, _SERVICE):
        if found := form.match(plain):
            return found[1]
    found = _ABROAD.match(plain)
    return f"+{found[1]}" if found and not found[1].startswith("86") else None


def legible(text: str) -> str:
    """`text` as it is read: half width where that is the same, without signs no eye sees; its blanks stay."""
    return unicodedata.normalize("NFKC", _SIGNS.sub("", text))


def _plain(text: str) -> str:
    """`text` without what exports and hands add to it; removing one layer may bare another."""
    plain, before = text, None
    while plain != before:
        before = plain
        plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", _INVISIBLE.sub("", plain)))
        plain = plain.lstrip(_QUOTES)
        wrapped = _FORMULA.fullmatch(plain)
        # the closing quote of a formula is its own, until the formula is unwrapped
        plain = wrapped[1] if wrapped else plain if plain[:1] == "=" else plain.rstrip(_QUOTES)
        plain = _POINT_ZERO.sub("", plain)
    return plain
