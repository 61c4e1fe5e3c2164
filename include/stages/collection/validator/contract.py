"""The contract of a feed applied to text rows: strict types, and for each broken row column and reason."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import compress

import polars as pl

from include.config.readers.sources import Column, Feed
from include.domain.periods.months import ZONE
from include.stages.collection.reader.batch import BROKEN, Batch
from include.stages.collection.validator.values import TYPES, Writing

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


@dataclass(frozen=True)
class Contract:
    """What the rows of a delivery are held against: how its feed is declared, and the days it is of.

    `zone` is that of instants without an offset, `days` are the first and last of the delivered period.
    """

    declared: Feed
    zone: str
    days: tuple[date, date]

    def schema(self, names: Collection[str]) -> dict[str, pl.DataType]:
        """The lake's types of the delivered columns `names`, in the declared order."""
        return {name: TYPES[column.type] for name, column in self.declared.columns.items() if name in names}

    def judged(self, batch: Batch) -> Judged:
        """The text rows of a batch by whether they keep the contract.

        A broken row is told by the first of its columns, in declared order, that breaks the contract; a phone
        number that cannot be read breaks none: the person stays, without it.
        """
        names = [name for name in self.declared.columns if name in batch.rows.columns]
        both = self._read(batch, names)
        typed = both.select(*(pl.col(f"{name}{_TYPED}").alias(name) for name in names), "line", "raw")
        cleared = _cleared(both, [name for name in names if self.declared.columns[name].type == "phone"])
        breaches = [breach for name in names for breach in self._breaches(name, is_iso=name in batch.iso)]
        # One pass tells which breaches occur at all: mostly none do, and reasons need not be made for every row.
        occurs = both.select(breach.mask.any().alias(str(nth)) for nth, breach in enumerate(breaches)).row(0)
        occurring = list(compress(breaches, occurs))
        if not occurring:
            return Judged(typed, pl.DataFrame(schema=BROKEN), cleared)
        reasons = both.select(
            "line",
            pl.coalesce(pl.when(each.mask).then(pl.lit(each.column)) for each in occurring).alias("column"),
            pl.coalesce(pl.when(each.mask).then(pl.lit(each.reason)) for each in occurring).alias("reason"),
            "raw",
        )
        kept = reasons["reason"].is_null()
        kept_lines = cleared.join(reasons.filter(kept), on="line", how="semi")
        return Judged(typed.filter(kept), reasons.filter(~kept), kept_lines)

    def _read(self, batch: Batch, names: Sequence[str]) -> pl.DataFrame:
        """Beside each column of text the values that were read of it."""
        writing = Writing(self.declared.columns, self.declared.dialect, self.zone)
        texts = writing.decoded(batch.rows, names, is_trimmed=batch.is_trimmed)
        return texts.with_columns(
            writing.converted(texts, name, is_iso=name in batch.iso).alias(f"{name}{_TYPED}")
            for name in names
        )

    def _breaches(self, name: str, *, is_iso: bool) -> list["_Breach"]:
        """The ways in which a column may break the contract; those of its dates' format unless it `is_iso`."""
        column, text, value = self.declared.columns[name], pl.col(name), pl.col(f"{name}{_TYPED}")
        found = []
        if column.type == "id":
            found.append(_Breach(name, _MEANT["text"], text.str.contains("\0", literal=True)))
        if column.type != "phone":
            found.append(_Breach(name, self._meant(name, is_iso=is_iso), _is_unread(name)))
        if column.required:
            found.append(_Breach(name, "is empty", text.is_null()))
        if column.min is not None or column.max is not None:
            least = float("-inf") if column.min is None else column.min
            most = float("inf") if column.max is None else column.max
            outside = ~value.cast(pl.Float64).is_between(least, most)
            found.append(_Breach(name, f"lies outside {_bounds(column)}", outside))
        if (days := self._days_of(name)) is not None:
            first, last = days
            day = value.dt.convert_time_zone(ZONE.key).dt.date() if column.type == "instant" else value
            where = f"after {last}" if first == date.min else f"outside {first} to {last}"
            found.append(_Breach(name, f"lies {where}", ~day.is_between(first, last)))
        return found

    def _meant(self, name: str, *, is_iso: bool) -> str:
        """What is said of a text that cannot be read as the column's type."""
        column = self.declared.columns[name]
        formats = () if is_iso else self.declared.dialect.formats_of(name, column.type)
        if formats:
            several = ", or as more than one of them with different meanings" if len(formats) > 1 else ""
            return f"is not written as {' or '.join(formats)}{several}"
        return f"is not one of {', '.join(column.of)}" if column.of else _MEANT[column.type]

    def _days_of(self, name: str) -> tuple[date, date] | None:
        """The days a column must lie within; None where none are asked of it."""
        if name == self.declared.within:
            return self.days
        return (date.min, self.days[1]) if name == self.declared.until else None


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


def _bounds(column: Column) -> str:
    if column.max is None:
        return f"{column.min:g} and above"
    return f"{column.max:g} and below" if column.min is None else f"{column.min:g} to {column.max:g}"
