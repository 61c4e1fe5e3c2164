"""How an operator writes a feed: encoding, separator, names, codes, dates and units of its own."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from include.config.reading import Entry

Encoding = Literal["utf-8", "gbk", "gb18030"]
Unit = Literal["元", "分", "厘", "B", "KB", "MB", "GB", "seconds", "minutes"]

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


def _with_a_date(written: str) -> str:
    if not {"%Y", "%m", "%d"} <= {written[at : at + 2] for at in range(len(written))}:
        raise ValueError("a format has %Y, %m and %d, like %Y%m%d")
    return written


def _plain_names(names: dict[str, str]) -> dict[str, str]:
    plain = {delivered.strip().lower(): declared for delivered, declared in names.items()}
    if len(plain) < len(names):
        raise ValueError("two headers are the same but for capitals and blanks; keep one")
    return plain


Format = Annotated[str, AfterValidator(_with_a_date)]


class Dialect(Entry):
    """How the files of a feed are written where they differ from the landing contract.

    `headers`: delivered name → declared column. `codes`: column → delivered code → contract's value; a code
    not named stays as it is. `date_format`, `instant_format`: as in strftime. `units`: column → its unit.
    """

    encoding: Encoding = "utf-8"
    separator: Annotated[str, AfterValidator(_one_sign)] = ","
    headers: Annotated[dict[str, str], AfterValidator(_plain_names)] = Field(default_factory=dict)
    codes: dict[str, dict[str, str]] = Field(default_factory=dict)
    date_format: Format | None = None
    instant_format: Format | None = None
    units: dict[str, Unit] = Field(default_factory=dict)

    def factor(self, column: str) -> Decimal | None:
        """What a delivered value of the column is multiplied with; None when it is in the unit already."""
        unit = self.units.get(column)
        factor = unit and units_of(column).get(unit)
        return None if factor == 1 else factor or None

    def named(self, header: str) -> str:
        """The column that a delivered header names."""
        plain = header.strip().lower()
        return self.headers.get(plain, plain)


def units_of(column: str) -> Mapping[str, Decimal]:
    """The units a column may be delivered in, by the ending of its name."""
    return next((units for ending, units in UNITS.items() if column.endswith(ending)), {})
