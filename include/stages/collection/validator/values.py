"""Text cells as values: how each type of the contract is read, in the words and formats of a dialect."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import polars as pl

from include.config.readers.dialects import SERIAL, Dialect
from include.config.readers.sources import Column
from include.domain.errors import BadInput
from include.domain.text.canonical import canonical_id, canonical_phone
from include.domain.text.typed import WORDS

TYPES: dict[str, pl.DataType] = {
    "id": pl.String(),
    "phone": pl.String(),
    "text": pl.String(),
    "choice": pl.String(),
    "integer": pl.Int64(),
    "number": pl.Float64(),
    # further decimals are rounded half to even (PostgreSQL's numeric would round half away from zero)
    "amount": pl.Decimal(14, 4),
    "date": pl.Date(),
    "instant": pl.Datetime("us", "UTC"),
    "flag": pl.Boolean(),
}
_TRUE, _FALSE = ([word for word, meant in WORDS.items() if meant is truth] for truth in (True, False))
# Beyond, a float no longer tells neighbouring whole numbers apart
_LARGEST_WHOLE = 2**53
_DATE = r"^\d{4}-\d{2}-\d{2}([T ]00:00(:00(\.0+)?)?)?$"
_INSTANT = (
    r"^(?P<day>\d{4}-\d{2}-\d{2})[T ](?P<minute>\d{2}:\d{2})(?P<second>:\d{2})?(?P<fraction>\.\d{1,6})?\d*"
    r" ?(?P<zone>[Zz]|(?P<sign>[+-])(?P<hours>0\d|1[0-4]):?(?P<minutes>[0-5]\d))?$"
)
# A digit alone, whatever script stands beside it: 2026年1月5日 is 2026年01月05日
_LONE_DIGIT = r"(?-u:\b)(\d)(?-u:\b)"
# 中午 and 晚上 belong to both halves of the day: they are read by no format
_HALVES = {"AM": "(?i:am|a\\.m\\.)|上午", "PM": "(?i:pm|p\\.m\\.)|下午"}
# Excel's first day is 1900-01-01, and it counts a 29 February 1900 that never was; before March 1900 it is off by one
_EXCEL_ZERO, _EXCEL_FIRST, _EXCEL_LAST = pl.date(1899, 12, 30), 61, 2_958_465
_LETTERS_AND_DIGITS = r"^[0-9A-Za-z_]+$"
# An id as it stands in most cells: nothing to be made canonical
_PLAIN_ID, _PLAIN_EXPONENT = r"^[0-9A-Za-z_][0-9A-Za-z_-]*$", r"^[0-9]+[eE]-[0-9]+$"
_PLAIN_PHONE = r"^1[3-9][0-9]{9}$"


@dataclass(frozen=True)
class Writing:
    """How the cells of a feed are written: its columns, its dialect, the zone of instants without an offset."""

    columns: Mapping[str, Column]
    dialect: Dialect
    zone: str

    def decoded(self, rows: pl.DataFrame, names: Sequence[str], *, is_trimmed: bool) -> pl.DataFrame:
        """The cells of `names` as trimmed text in the contract's codes, null for what says nothing."""
        texts = rows.with_columns(_decoded(name, self.dialect, is_trimmed) for name in names)
        keys = [name for name in names if self.columns[name].type in ("id", "phone")]
        return texts.with_columns(_bared(texts[name], self.dialect.nulls) for name in keys)

    def converted(self, rows: pl.DataFrame, name: str, *, is_iso: bool) -> pl.Expr | pl.Series:
        """A decoded column as its declared type in the contract's unit; null where it cannot be read as such.

        A column that `is_iso` came as days or instants, whatever format the dialect names. Where several formats
        read a cell differently it cannot be read.
        """
        column, dialect = self.columns[name], self.dialect
        if column.type == "id":
            return canonical_ids(rows[name])
        if column.type == "phone":
            return canonical_phones(rows[name])
        text, factor = pl.col(name), dialect.factor(name)
        formats = () if is_iso else dialect.formats_of(name, column.type)
        if formats:
            return _written(text, formats, column.type, self.zone)
        if column.type in ("integer", "number", "amount"):
            text = _plain_number(text, dialect)
        if factor is not None and column.type == "amount":
            return (text.cast(pl.Decimal(20, 4), strict=False) * factor).cast(pl.Decimal(14, 4), strict=False)
        value = parsed(text, column, self.zone)
        return value if factor is None else value * float(factor)


def _decoded(name: str, dialect: Dialect, is_trimmed: bool) -> pl.Expr:
    known = pl.col(name)
    if not is_trimmed:
        text = known.str.strip_chars()
        known = pl.when(~text.is_in([*dialect.nulls, ""])).then(text)
    return known.replace(dialect.codes[name]) if name in dialect.codes else known


def _bared(texts: pl.Series, nulls: Collection[str]) -> pl.Series:
    """Null where an id's writing holds nothing, or a word for nothing: ="NULL", or a zero-width sign alone."""

    def held(text: str) -> str | None:
        try:
            return None if canonical_id(text) in ("", *nulls) else text
        except BadInput:
            return text

    return texts if _is_plain(texts) else _mapped(texts, ~_is_plain_id(texts), held)


# ---------------------------------------------------------------- ids and numbers to call


def canonical_ids(texts: pl.Series) -> pl.Series:
    """Each id in its canonical form (`include.domain.text.canonical`); null where it has none."""
    if _is_plain(texts):
        return texts
    # pandas writes whole columns so: in one pass, and as canonical_id does it
    ids = texts.str.replace(r"^([0-9A-Za-z_-]+)\.0+$", "${1}")
    return _mapped(ids, ~_is_plain_id(ids), _id_or_none)


def canonical_phones(texts: pl.Series) -> pl.Series:
    """Each number as it is dialled; null where it is none."""
    return _mapped(texts, ~texts.str.contains(_PLAIN_PHONE), canonical_phone)


def _is_plain(texts: pl.Series) -> bool:
    """Whether nothing of a column is to be made canonical: letters and digits alone, as in nearly every delivery."""
    return bool(texts.str.contains(_LETTERS_AND_DIGITS).all())


def _is_plain_id(texts: pl.Series) -> pl.Series:
    return texts.str.contains(_PLAIN_ID) & ~texts.str.contains(_PLAIN_EXPONENT)


def _id_or_none(text: str) -> str | None:
    try:
        found = canonical_id(text)
    except BadInput:
        return None
    return None if "\0" in found else found or None


def _mapped(texts: pl.Series, odd: pl.Series, one: Callable[[str], str | None]) -> pl.Series:
    """`texts` with `one` of each that is odd; asked once for equal ones."""
    written = texts.filter(odd).unique().to_list()
    if not written:
        return texts
    made = {text: one(text) for text in written}
    changed = {text: value for text, value in made.items() if value != text}
    return texts.replace(
        pl.Series(list(changed), dtype=pl.String), pl.Series(list(changed.values()), dtype=pl.String)
    )


# ---------------------------------------------------------------- dates and numbers as people write them


def _written(text: pl.Expr, formats: Sequence[str], type_: str, zone: str) -> pl.Expr:
    """A day or instant by the first format that reads the cell; null when another reads it differently."""
    found = [_by_format(text, written, type_) for written in formats]
    values = [value if type_ == "date" else _in_utc(value, zone) for value in found]
    return pl.when(pl.min_horizontal(values) == pl.max_horizontal(values)).then(pl.coalesce(values))


def _by_format(text: pl.Expr, written: str, type_: str) -> pl.Expr:
    """The value where writing it gives the text again, but for zeros before a digit: 2026103 is no %Y%m%d."""
    if written == SERIAL:
        return _serial(text, type_)
    padded = text.str.replace_all(_LONE_DIGIT, "0${1}")
    if "%p" in written:
        padded = reduce(lambda each, half: each.str.replace(_HALVES[half], half), _HALVES, padded)
    if "%H" in written or "%I" in written:
        value = padded.str.to_datetime(written, time_unit="us", strict=False)
    else:
        value = padded.str.to_date(written, strict=False)
    read = pl.when(value.dt.strftime(written) == padded).then(value)
    return read.cast(TYPES["date"] if type_ == "date" else pl.Datetime("us"))


def _serial(text: pl.Expr, type_: str) -> pl.Expr:
    """A day or instant as Excel counts it, from March 1900 on; a date has no part of a day."""
    days = text.cast(pl.Float64, strict=False)
    known = pl.when(days.is_between(_EXCEL_FIRST, _EXCEL_LAST)).then(days)
    if type_ == "date":
        return _EXCEL_ZERO + pl.duration(days=pl.when(known == known.floor()).then(known).cast(pl.Int64))
    seconds = (
        (known * 86_400).round().cast(pl.Int64)
    )  # a float of days is good for milliseconds, not for more
    return _EXCEL_ZERO.cast(pl.Datetime("us")) + pl.duration(seconds=seconds)


def _plain_number(text: pl.Expr, dialect: Dialect) -> pl.Expr:
    """A number without the signs of currency and thousands; what is grouped otherwise stays, and is no number."""
    for sign in map(_as_it_is, dialect.currency):
        text = text.str.replace(rf"^([+-]?)\s*{sign}\s*", "${1}").str.replace(rf"\s*{sign}$", "")
    if dialect.thousands is None:
        return text
    mark = _as_it_is(dialect.thousands)
    is_grouped = text.str.contains(rf"^[+-]?\d{{1,3}}({mark}\d{{3}})+(\.\d+)?$")
    return pl.when(is_grouped).then(text.str.replace_all(dialect.thousands, "", literal=True)).otherwise(text)


def _as_it_is(sign: str) -> str:
    """A regular expression of just this text."""
    return "".join(rf"\x{{{ord(each):X}}}" for each in sign)


# ---------------------------------------------------------------- the contract's own writing


def parsed(text: pl.Expr, column: Column, zone: str) -> pl.Expr:
    """A trimmed text column as its declared type, null where it cannot be read as such."""
    match column.type:
        case "integer":
            value = text.cast(pl.Float64, strict=False)
            is_whole = (value == value.floor()) & (value.abs() <= _LARGEST_WHOLE)
            return pl.when(is_whole).then(value).cast(pl.Int64, strict=False)
        case "number":
            value = text.cast(pl.Float64, strict=False)
            return pl.when(value.is_finite()).then(value)
        case "amount":
            return text.cast(pl.Decimal(14, 4), strict=False)
        case "date":
            day = text.str.head(10).str.to_date("%Y-%m-%d", strict=False)
            return pl.when(text.str.contains(_DATE)).then(day)
        case "instant":
            return _instant(text, zone)
        case "flag":
            lower = text.str.to_lowercase()
            truth = pl.when(lower.is_in(_TRUE)).then(pl.lit(True))
            return truth.when(lower.is_in(_FALSE)).then(pl.lit(False))
        case "choice":
            lower = text.str.to_lowercase()
            return pl.when(lower.is_in(list(column.of))).then(lower)
        case _:
            return pl.when(~text.str.contains("\0", literal=True)).then(text)


def _instant(text: pl.Expr, zone: str) -> pl.Expr:
    """An aware UTC instant; one without an offset is meant in `zone`."""
    part = text.str.extract_groups(_INSTANT).struct.field
    second, fraction = part("second").fill_null(":00"), part("fraction").fill_null(".0")
    stem = part("day") + "T" + part("minute") + second + fraction
    wall = stem.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)
    minutes = (part("hours").cast(pl.Int64) * 60 + part("minutes").cast(pl.Int64)).fill_null(0)
    ahead = pl.when(part("sign") == "-").then(-minutes).otherwise(minutes)
    aware = (wall - pl.duration(minutes=ahead)).dt.replace_time_zone("UTC")
    return pl.when(part("zone").is_null()).then(_in_utc(wall, zone)).otherwise(aware)


def _in_utc(wall: pl.Expr, zone: str) -> pl.Expr:
    local = wall.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return local.dt.convert_time_zone("UTC")
