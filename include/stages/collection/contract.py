"""The contract of a feed applied to text rows: strict types, and for each broken row column and reason."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import compress

import polars as pl

from include.config.dialects import Dialect
from include.config.sources import Column, Feed
from include.domain.months import ZONE
from include.stages.collection.records import BROKEN

TYPES: dict[str, pl.DataType] = {
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
_MEANT = {
    "text": "holds a NUL byte",
    "integer": "is not a whole number",
    "number": "is not a number",
    "amount": "is not an amount",
    "date": "is not a date YYYY-MM-DD",
    "instant": "is not an instant YYYY-MM-DDTHH:MM:SS",
    "flag": "is not true or false",
}
_TYPED = " (typed)"
_TRUE = ["true", "t", "1", "yes", "y", "是"]
_FALSE = ["false", "f", "0", "no", "n", "否"]
# Beyond, a float no longer tells neighbouring whole numbers apart
_LARGEST_WHOLE = 2**53
_DATE = r"^\d{4}-\d{2}-\d{2}([T ]00:00(:00(\.0+)?)?)?$"
_INSTANT = (
    r"^(?P<day>\d{4}-\d{2}-\d{2})[T ](?P<minute>\d{2}:\d{2})(?P<second>:\d{2})?(?P<fraction>\.\d{1,6})?\d*"
    r" ?(?P<zone>[Zz]|(?P<sign>[+-])(?P<hours>0\d|1[0-4]):?(?P<minutes>[0-5]\d))?$"
)


def schema_of(feed: Feed, names: Sequence[str]) -> dict[str, pl.DataType]:
    """The lake's types of the delivered columns `names`, in the declared order."""
    return {name: TYPES[column.type] for name, column in feed.columns.items() if name in names}


def judged(
    rows: pl.DataFrame,
    feed: Feed,
    zone: str,
    window: tuple[date, date],
    iso: Collection[str] = (),
    *,
    is_trimmed: bool = False,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Text rows as (typed rows that keep the contract, broken rows with line, column, reason, raw).

    `window` is the first and last day of the delivered period, `iso` the columns whose dates the dialect's
    formats do not concern. A broken row is told by the first of its columns, in declared order, that breaks
    the contract. `is_trimmed` rows need no look for space around their cells.
    """
    names = [name for name in feed.columns if name in rows.columns]
    texts = rows.with_columns(_decoded(name, feed.dialect, is_trimmed) for name in names)
    both = texts.with_columns(
        _converted(name, feed, zone, is_iso=name in iso).alias(f"{name}{_TYPED}") for name in names
    )
    typed = both.select(*(pl.col(f"{name}{_TYPED}").alias(name) for name in names), "line", "raw")
    breaches = [
        breach
        for name in names
        for breach in _breaches(
            name, feed.columns[name], _meant(name, feed, iso), _window_of(name, feed, window)
        )
    ]
    # One pass tells which breaches occur at all: mostly none do, and reasons need not be made for every row.
    occurs = both.select(breach.mask.any().alias(str(nth)) for nth, breach in enumerate(breaches)).row(0)
    occurring = list(compress(breaches, occurs))
    if not occurring:
        return typed, pl.DataFrame(schema=BROKEN)
    told = both.select(
        "line",
        pl.coalesce(pl.when(breach.mask).then(pl.lit(breach.column)) for breach in occurring).alias("column"),
        pl.coalesce(pl.when(breach.mask).then(pl.lit(breach.reason)) for breach in occurring).alias("reason"),
        "raw",
    )
    return typed.filter(told["reason"].is_null()), told.filter(pl.col("reason").is_not_null())


def _decoded(name: str, dialect: Dialect, is_trimmed: bool) -> pl.Expr:
    """The trimmed text of a column in the contract's codes, null for nothing."""
    text = pl.col(name) if is_trimmed else pl.col(name).str.strip_chars().replace("", None)
    return text.replace(dialect.codes[name]) if name in dialect.codes else text


def _converted(name: str, feed: Feed, zone: str, *, is_iso: bool) -> pl.Expr:
    """A text column as its declared type in the contract's unit, by the dialect of the feed."""
    text, column, dialect = pl.col(name), feed.columns[name], feed.dialect
    factor, written = dialect.factor(name), None if is_iso else _format(column, dialect)
    if written and column.type == "date":
        return _written_alike(text, text.str.to_date(written, strict=False), written)
    if written:
        wall = text.str.to_datetime(written, time_unit="us", strict=False)
        return _in_utc(_written_alike(text, wall, written), zone)
    if factor is not None and column.type == "amount":
        return (text.cast(pl.Decimal(20, 4), strict=False) * factor).cast(pl.Decimal(14, 4), strict=False)
    value = parsed(text, column, zone)
    return value if factor is None else value * float(factor)


def _format(column: Column, dialect: Dialect) -> str | None:
    return {"date": dialect.date_format, "instant": dialect.instant_format}.get(column.type)


def _written_alike(text: pl.Expr, value: pl.Expr, written: str) -> pl.Expr:
    """The value where writing it gives the text again: 2026103 is no %Y%m%d."""
    return pl.when(value.dt.strftime(written) == text).then(value)


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
        case "text":
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


@dataclass(frozen=True)
class _Breach:
    """One way in which a column may break the contract."""

    column: str
    reason: str
    mask: pl.Expr


def _meant(name: str, feed: Feed, iso: Collection[str]) -> str:
    """What is said of a text that cannot be read as the column's type."""
    column = feed.columns[name]
    written = None if name in iso else _format(column, feed.dialect)
    if written:
        return f"is not written as {written}"
    return f"is not one of {', '.join(column.of)}" if column.of else _MEANT[column.type]


def _breaches(name: str, column: Column, meant: str, window: tuple[date, date] | None) -> list[_Breach]:
    text, value = pl.col(name), pl.col(f"{name}{_TYPED}")
    found = [_Breach(name, meant, text.is_not_null() & value.is_null())]
    if column.required:
        found.append(_Breach(name, "is empty", text.is_null()))
    if column.min is not None or column.max is not None:
        least = float("-inf") if column.min is None else column.min
        most = float("inf") if column.max is None else column.max
        outside = ~value.cast(pl.Float64).is_between(least, most)
        found.append(_Breach(name, f"lies outside {_bounds(column)}", outside))
    if window is not None:
        first, last = window
        day = value.dt.convert_time_zone(ZONE.key).dt.date() if column.type == "instant" else value
        where = f"after {last}" if first == date.min else f"outside {first} to {last}"
        found.append(_Breach(name, f"lies {where}", ~day.is_between(first, last)))
    return found


def _bounds(column: Column) -> str:
    if column.max is None:
        return f"{column.min:g} and above"
    return f"{column.max:g} and below" if column.min is None else f"{column.min:g} to {column.max:g}"


def _window_of(name: str, feed: Feed, window: tuple[date, date]) -> tuple[date, date] | None:
    if name == feed.within:
        return window
    return (date.min, window[1]) if name == feed.until else None
