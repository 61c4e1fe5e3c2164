"""Arithmetic whose last bits hang on nothing but the numbers: not on threads, files, shards or the engine.

Floats do not add up the same in another order, and Polars promises no order: not across columns, nor down rows.
"""

import functools
import operator
from collections.abc import Sequence

import polars as pl

_MILLIONTHS = 1e6


def sum_across(columns: Sequence[pl.Expr]) -> pl.Expr:
    """The sum of what is known in a row, zero where nothing is: each half from left to right, then both."""
    known = [column.cast(pl.Float64).fill_null(0.0) for column in columns]
    halves = known[: len(known) // 2], known[len(known) // 2 :]
    return functools.reduce(operator.add, [functools.reduce(operator.add, half) for half in halves if half])


def mean_across(columns: Sequence[pl.Expr]) -> pl.Expr:
    """The mean of what is known in a row; null where nothing is."""
    known = sum_across([column.is_not_null() for column in columns])
    return pl.when(known > 0).then(sum_across(columns) / known)


def sum_down(values: pl.Expr) -> pl.Expr:
    """The sum over the rows of a group, to the sixth decimal; zero when there are none."""
    return in_units(whole(values).sum())


def mean_down(values: pl.Expr) -> pl.Expr:
    """The mean over the rows of a group, each to the sixth decimal; null when there are none."""
    known = whole(values).count()
    return pl.when(known > 0).then(sum_down(values) / known)


def whole(values: pl.Expr) -> pl.Expr:
    """Whole millionths, whose sum is exact in any order; null where unknown or not a finite number.

    Sorting first would not do: Polars leaves a sort out before a sum.
    """
    finite = pl.when(values.is_finite()).then(values)
    return (finite * _MILLIONTHS).round().cast(pl.Int128, strict=False)


def in_units(sums: pl.Expr) -> pl.Expr:
    """A sum of whole millionths as the number it stands for."""
    return over_constant(sums.cast(pl.Float64), _MILLIONTHS)


def over_constant(values: pl.Expr, constant: float | pl.Expr) -> pl.Expr:
    """Division by the same number in every row.

    Polars multiplies many rows by the reciprocal but divides a row that stands alone: other bits in a small shard.
    """
    return values * (1.0 / constant)
