"""The contract of a feed applied to text rows: strict types, and for each broken row column and reason."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import compress

import polars as pl

from include.config.readers.sources import Column, Feed
from include.domain.periods.months import ZONE
from include.stages.collection.reader.delimited import BROKEN
from include.stages.collection.validator.values import TYPES, converted, decoded

_MEANT = {
    "id": "is a number whose last digits are lost",
    "phone": "is no telephone number",
    "text": "holds a NUL byte",
    "integer": "is not a whole number",
    "number": "is not a number",
    "amount": "is not an amount",
    "date": "is not a date YYYY-MM-DD",
    "instant": "is not an instant YYYY-MM-DDTHH:MM:SS",
    "flag": "is not true or false",
}
_TYPED = " (typed)"
#: What a value that was not taken is told by; its row stays.
CLEARED = {"line": pl.Int64, "column": pl.String, "reason": pl.String}


@dataclass(frozen=True)
class Judged:
    """Text rows by what became of them: `typed` rows keep the contract, `broken` ones are put aside.

    `broken` has line, column, reason and raw; `cleared`, of typed rows, line, column and reason of each value that
    was not taken.
    """

    typed: pl.DataFrame
    broken: pl.DataFrame
    cleared: pl.DataFrame


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
) -> Judged:
    """Text rows held against the contract of their feed.

    `window` is the first and last day of the delivered period, `iso` the columns whose dates the dialect's
    formats do not concern. A broken row is told by the first of its columns, in declared order, that breaks
    the contract; a phone number that cannot be read breaks none: the person stays, without it. `is_trimmed` rows
    need no look for space around their cells.
    """
    names = [name for name in feed.columns if name in rows.columns]
    texts = decoded(rows, names, feed, is_trimmed=is_trimmed)
    both = texts.with_columns(
        converted(texts, name, feed, zone, is_iso=name in iso).alias(f"{name}{_TYPED}") for name in names
    )
    typed = both.select(*(pl.col(f"{name}{_TYPED}").alias(name) for name in names), "line", "raw")
    cleared = _cleared(both, [name for name in names if feed.columns[name].type == "phone"])
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
        return Judged(typed, pl.DataFrame(schema=BROKEN), cleared)
    told = both.select(
        "line",
        pl.coalesce(pl.when(breach.mask).then(pl.lit(breach.column)) for breach in occurring).alias("column"),
        pl.coalesce(pl.when(breach.mask).then(pl.lit(breach.reason)) for breach in occurring).alias("reason"),
        "raw",
    )
    kept = told["reason"].is_null()
    kept_lines = cleared.join(told.filter(kept), on="line", how="semi")
    return Judged(typed.filter(kept), told.filter(~kept), kept_lines)


def _cleared(both: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    found = [pl.DataFrame(schema=CLEARED)]
    for name in names:
        unread = both.filter(_is_unread(name))
        found.append(
            unread.select("line", pl.lit(name).alias("column"), pl.lit(_MEANT["phone"]).alias("reason"))
        )
    return pl.concat(found)


def _is_unread(name: str) -> pl.Expr:
    return pl.col(name).is_not_null() & pl.col(f"{name}{_TYPED}").is_null()


@dataclass(frozen=True)
class _Breach:
    """One way in which a column may break the contract."""

    column: str
    reason: str
    mask: pl.Expr


def _meant(name: str, feed: Feed, iso: Collection[str]) -> str:
    """What is said of a text that cannot be read as the column's type."""
    column = feed.columns[name]
    formats = () if name in iso else feed.dialect.formats_of(name, column.type)
    if formats:
        several = ", or as more than one of them with different meanings" if len(formats) > 1 else ""
        return f"is not written as {' or '.join(formats)}{several}"
    return f"is not one of {', '.join(column.of)}" if column.of else _MEANT[column.type]


def _breaches(name: str, column: Column, meant: str, window: tuple[date, date] | None) -> list[_Breach]:
    text, value = pl.col(name), pl.col(f"{name}{_TYPED}")
    found = [] if column.type == "phone" else [_Breach(name, meant, _is_unread(name))]
    if column.type == "id":
        found.insert(0, _Breach(name, _MEANT["text"], text.str.contains("\0", literal=True)))
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
