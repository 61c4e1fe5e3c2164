"""What a factor may say beyond one row: windows over months of usage, and counts over events.

`last(bill_yuan)` looks at columns "bill_yuan@0" (month M) to "bill_yuan@5" (M−5); event functions become
aggregates over the events of a feed, to be joined as columns "service_events#0", "service_events#1", …;
`peers(data_mb)` becomes a mean over the people of plan and region, to be joined as column "peers#data_mb".
"""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import polars as pl

from include.config.expressions.arithmetic import mean_across, mean_down, sum_across, sum_down
from include.config.expressions.grammar import (
    EVENT,
    FEED,
    MONTHLY,
    MONTHS,
    ROW_FUNCTIONS,
    Argument,
    Expression,
    Shape,
    arguments,
    literal,
)
from include.config.expressions.rows import Compiler, divide
from include.domain.errors import ConfigError

MONTHS_BACK = 6
AGE = "@age"  # months between an event's month and M
DAYS = "@days"  # whole days between an event and the cut
PEERS = "peers"  # the table of means by plan and region, and the beginning of its columns

_X = Argument("x", MONTHLY)
_PREDICATE = Argument("predicate", EVENT)
_FEED = Argument("feed", FEED, "service_events")


def _window(months: int, *more: Argument) -> Shape:
    return Shape((_X, Argument("months", MONTHS, months), *more))


def _events(*values: str, months: int = 3) -> Shape:
    given = tuple(Argument(name, EVENT) for name in values)
    return Shape((*given, _PREDICATE, Argument("months", MONTHS, months), _FEED))


_BEFORE = Argument("before", MONTHS, 0)
MONTH_FUNCTIONS: Mapping[str, Shape] = {
    "last": Shape((_X,)),
    "previous": _window(1),
    "mean": _window(3, _BEFORE),
    "total": _window(3, _BEFORE),
    "lowest": _window(3, _BEFORE),
    "highest": _window(3, _BEFORE),
    "change": _window(1),
    "difference": _window(1),
    "falls": _window(5),
    "rises": _window(5),
    "since": Shape((Argument("condition", MONTHLY), Argument("months", MONTHS, 6))),
    "slope": _window(6),
    "zeros": _window(6),
    "present": _window(6),
    "spread": _window(6),
}
EVENT_FUNCTIONS: Mapping[str, Shape] = {
    "count": _events(),
    "days_since": _events(months=6),
    "mean_of": _events("value"),
    "total_of": _events("value"),
    "lowest_of": _events("value"),
    "highest_of": _events("value"),
}
PEER_FUNCTIONS: Mapping[str, Shape] = {"peers": Shape((_X,), row=("plan_code",))}
FACTOR_FUNCTIONS = {**ROW_FUNCTIONS, **MONTH_FUNCTIONS, **EVENT_FUNCTIONS, **PEER_FUNCTIONS}


def _total(window: Sequence[pl.Expr]) -> pl.Expr:
    """The sum of the months present; null, not zero, when none is."""
    some = pl.any_horizontal([month.is_not_null() for month in window])
    return pl.when(some).then(sum_across(window))


def _count_months(tests: Sequence[pl.Expr]) -> pl.Expr:
    return sum_across(tests)


def _spread(window: Sequence[pl.Expr]) -> pl.Expr:
    """The population standard deviation of the months present, over their mean; null when that is not > 0."""
    mean = mean_across(window)
    variance = mean_across([(month - mean) ** 2 for month in window])
    return pl.when(mean > 0).then(variance.sqrt() / mean)


def _streak(window: Sequence[pl.Expr], moves: Callable[[pl.Expr, pl.Expr], pl.Expr]) -> pl.Expr:
    """Months in a row, ending with M, that each move from the month before; null when M or M−1 is absent."""
    streak, unbroken = pl.lit(0.0), pl.lit(True)
    for later, earlier in pairwise(window):
        unbroken = unbroken & moves(later, earlier).fill_null(False)
        streak = streak + unbroken.cast(pl.Float64)
    return pl.when(window[0].is_not_null() & window[1].is_not_null()).then(streak)


def _since(window: Sequence[pl.Expr]) -> pl.Expr:
    """Months since the condition last held, 0 for M; null when in none of the months."""
    return pl.coalesce([pl.when(month).then(float(back)) for back, month in enumerate(window)])


def _slope(window: Sequence[pl.Expr]) -> pl.Expr:
    """Units a month by least squares over the months present; null with fewer than three."""
    there = [month.is_not_null().cast(pl.Float64) for month in window]
    known = sum_across(there)
    middle = sum_across([-back * each for back, each in enumerate(there)]) / known
    away = [(-back - middle) * each for back, each in enumerate(there)]
    across = sum_across([month.fill_null(0.0) * each for month, each in zip(window, away, strict=True)])
    return pl.when(known >= 3).then(across / sum_across([each**2 for each in away]))


def _change(month: pl.Expr, base: pl.Expr) -> pl.Expr:
    """The relative change against a base; null when the base is not positive."""
    return pl.when(base > 0).then((month - base) / base)


_WINDOWS: Mapping[str, Callable[[Sequence[pl.Expr]], pl.Expr]] = {
    "mean": mean_across,
    "total": _total,
    "lowest": pl.min_horizontal,
    "highest": pl.max_horizontal,
    "zeros": lambda window: _count_months([month == 0 for month in window]),
    "present": lambda window: _count_months([month.is_not_null() for month in window]),
    "spread": _spread,
    "since": _since,
    "slope": _slope,
}
_STREAKS: Mapping[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {"falls": operator.lt, "rises": operator.gt}
_AGGREGATES: Mapping[str, Callable[[pl.Expr], pl.Expr]] = {
    "mean_of": mean_down,
    "total_of": sum_down,
    "lowest_of": pl.Expr.min,
    "highest_of": pl.Expr.max,
}


@dataclass
class FactorCompiler:
    """Compiles factor expressions; gathers in `aggregates[feed]` what must be computed over the events.

    Equal calls share one aggregate. `words` are the word lists `mentions` may name. `peers` holds, by the
    column it is to be joined as, every metric of M (over columns "bill_yuan@0") that is compared with peers.
    """

    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    aggregates: dict[str, list[pl.Expr]] = field(default_factory=dict)
    peers: dict[str, pl.Expr] = field(default_factory=dict)
    _known: dict[str, pl.Expr] = field(default_factory=dict)

    def compile(self, expression: Expression) -> pl.Expr:
        """The factor's value (Float64) over the wide row of one subscriber; ConfigError when it has none."""
        if unknown := expression.word_lists - self.words.keys():
            raise ConfigError(f"there is no word list '{min(unknown)}'; there are {', '.join(self.words)}.")
        compiler = Compiler(call=self._call, words=self.words)
        return compiler.compile(expression.tree).cast(pl.Float64)

    def _call(self, node: ast.Call) -> pl.Expr:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in MONTH_FUNCTIONS:
            return self._months(name, node)
        if name in PEER_FUNCTIONS:
            return self._peers(node)
        key = ast.unparse(node)
        if key not in self._known:
            self._known[key] = self._events(name, node)
        return self._known[key]

    def _months(self, name: str, node: ast.Call) -> pl.Expr:
        (_, metric), *rest = arguments(node, MONTH_FUNCTIONS[name])
        months, before = (*(int(literal(value)) for _, value in rest), 0, 0)[:2]

        def at(back: int) -> pl.Expr:
            return self._in_month(metric, back)

        deepest = months + before if name in _WINDOWS else months + 1
        if name != "last" and not (months and deepest <= MONTHS_BACK):
            raise ConfigError(f"'{ast.unparse(node)}' looks outside the {MONTHS_BACK} months M−5 to M.")
        if name in _WINDOWS:
            return _WINDOWS[name]([at(back) for back in range(before, before + months)])
        if name in ("last", "previous"):
            return at(months)
        if name in _STREAKS:
            return _streak([at(back) for back in range(months + 1)], _STREAKS[name])
        base = mean_across([at(back) for back in range(1, months + 1)])
        return _change(at(0), base) if name == "change" else at(0) - base

    def _in_month(self, metric: ast.expr, back: int) -> pl.Expr:
        return Compiler(lambda column: pl.col(f"{column}@{back}"), words=self.words).compile(metric)

    def _peers(self, node: ast.Call) -> pl.Expr:
        ((_, metric),) = arguments(node, PEER_FUNCTIONS["peers"])
        column = f"{PEERS}#{ast.unparse(metric)}"
        self.peers[column] = self._in_month(metric, 0).cast(pl.Float64)
        return pl.col(column)

    def _events(self, name: str, node: ast.Call) -> pl.Expr:
        *values, (_, predicate), (_, months), (_, feed) = arguments(node, EVENT_FUNCTIONS[name])
        if not literal(months):
            raise ConfigError(f"'{ast.unparse(node)}' looks at no month: give 1 to {MONTHS_BACK}.")
        compiler = Compiler(words=self.words)
        meant = compiler.compile(predicate) & (pl.col(AGE) < int(literal(months)))
        if name == "count":
            found = meant.sum().cast(pl.Float64)
        elif name == "days_since":
            found = pl.col(DAYS).filter(meant).min().cast(pl.Float64)
        else:
            value = compiler.compile(values[0][1]).cast(pl.Float64)
            found = _AGGREGATES[name](value.filter(meant))
        column = self._add(str(literal(feed)), found)
        # Nobody's events are none: a count is zero where nothing was delivered about the subscriber.
        return column.fill_null(0.0) if name in ("count", "total_of") else column

    def _add(self, feed: str, aggregate: pl.Expr) -> pl.Expr:
        standing = self.aggregates.setdefault(feed, [])
        name = f"{feed}#{len(standing)}"
        standing.append(aggregate.alias(name))
        return pl.col(name)


__all__ = ["AGE", "DAYS", "FACTOR_FUNCTIONS", "MONTHS_BACK", "PEERS", "FactorCompiler", "divide"]
