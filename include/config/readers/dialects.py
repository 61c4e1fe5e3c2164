"""How an operator writes a feed: encoding, separator, names, codes, dates and units of its own."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from include.config.readers.reading import Entry

Encoding = Literal["utf-8", "gbk", "gb18030"]
Unit = Literal["元", "分", "厘", "B", "KB", "MB", "GB", "seconds", "minutes"]

#: Words that stand for nothing where a dialect does not name its own: of Hive, databases, pandas and people.
NULLS = (r"\N", "NULL", "null", "None", "NaN", "N/A", "")
#: The format of a day as Excel counts it: 46000 is 2025-12-09.
SERIAL = "serial"

#: What one of each unit is in the unit of the landing contract, by the ending of the column's name.
UNITS: Mapping[str, Mapping[str, Decimal]] = {
    "_yuan": {"元": Decimal(1), "分": Decimal("0.01"), "厘": Decimal("0.001")},
    "_mb": {
        "B": Decimal(1) / 1024**2,
        "KB": Decimal(1) / 1024,
        "MB": Decimal(1),
        "GB": Decimal(1024),
    },
    "_minutes": {"seconds": Decimal(1) / 60, "minutes": Decimal(1)},
}


def _one_sign(separator: str) -> str:
    if len(separator) != 1 or not separator.isascii() or separator.isalnum() or separator in '"\r\n\0':
        raise ValueError("a separator is one ASCII sign like ',', '|', ';' or a tab")
    return separator


_DIRECTIVES = {"%Y", "%m", "%d", "%H", "%M", "%S", "%I", "%p"}


def _sign_of_currency(sign: str) -> str:
    if not sign.strip() or any(each.isdigit() or each in ".+-," for each in sign):
        raise ValueError(f"'{sign}' may be part of a number, and is no sign of a currency")
    return sign.strip()


def _one_mark(sign: str) -> str:
    if len(sign) != 1 or sign.isalnum() or sign in ".+-":
        raise ValueError("a thousands separator is one sign like ',' or a blank")
    return sign


def _with_a_date(written: str) -> str:
    """A format as strftime writes it; `%-m` reads what `%m` reads, and Excel's days since 1900 are `serial`."""
    plain = written.replace("%-", "%")
    parts = {plain[at : at + 2] for at in range(len(plain))}
    if plain != SERIAL and not {"%Y", "%m", "%d"} <= parts:
        raise ValueError("a format has %Y, %m and %d, like %Y%m%d, or is 'serial'")
    if unknown := sorted({each for each in parts if each[:1] == "%"} - _DIRECTIVES):
        raise ValueError(f"a format knows {', '.join(sorted(_DIRECTIVES))}, not {unknown[0]}")
    if "%p" in parts and "%I" not in parts:
        raise ValueError("a format with %p (上午, 下午) has hours of twelve, %I")
    return plain


def _listed(written: object) -> object:
    return (written,) if isinstance(written, str) else written


def _plain_names(names: dict[str, str]) -> dict[str, str]:
    plain = {delivered.strip().lower(): declared for delivered, declared in names.items()}
    if len(plain) < len(names):
        raise ValueError("two headers are the same but for capitals and blanks; keep one")
    return plain


Format = Annotated[str, AfterValidator(_with_a_date)]
Formats = Annotated[tuple[Format, ...], BeforeValidator(_listed), Field(min_length=1)]


class Dialect(Entry):
    """How the files of a feed are written where they differ from the landing contract.

    `headers`: delivered name → declared column. `codes`: column → delivered code → contract's value; a code
    not named stays as it is. `nulls`: words that stand for nothing. `date_format`, `instant_format`: one or
    several, as in strftime, or `serial`; `formats` are those of single columns. `thousands`, `currency`: signs in
    numbers that are no part of them. `units`: column → its unit.
    """

    encoding: Encoding = "utf-8"
    separator: Annotated[str, AfterValidator(_one_sign)] = ","
    headers: Annotated[dict[str, str], AfterValidator(_plain_names)] = Field(default_factory=dict)
    codes: dict[str, dict[str, str]] = Field(default_factory=dict)
    nulls: tuple[str, ...] = NULLS
    date_format: Formats | None = None
    instant_format: Formats | None = None
    formats: dict[str, Formats] = Field(default_factory=dict)
    thousands: Annotated[str, AfterValidator(_one_mark)] | None = None
    currency: tuple[Annotated[str, AfterValidator(_sign_of_currency)], ...] = ()
    units: dict[str, Unit] = Field(default_factory=dict)

    def factor(self, column: str) -> Decimal | None:
        """What a delivered value of the column is multiplied with; None when it is in the unit already."""
        unit = self.units.get(column)
        factor = unit and units_of(column).get(unit)
        return None if factor == 1 else factor or None

    def formats_of(self, column: str, type_: str) -> tuple[str, ...]:
        """The formats a column is read by; none for the contract's own."""
        by_type = {"date": self.date_format, "instant": self.instant_format}.get(type_)
        return self.formats.get(column) or by_type or ()

    def named(self, header: str) -> str:
        """The column that a delivered header names."""
        plain = header.strip().lower()
        return self.headers.get(plain, plain)


def units_of(column: str) -> Mapping[str, Decimal]:
    """The units a column may be delivered in, by the ending of its name."""
    return next((units for ending, units in UNITS.items() if column.endswith(ending)), {})
