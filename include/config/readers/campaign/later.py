"""What an expression about the time after a cycle may name: a model's label, and what counts as success.

left: left within the horizon. A column of subscribers or usage_months: as the month of the cycle says it, and with
`later_` before it as the horizon's last month does. later_<kind>: service events of that kind within the horizon.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from include.config.expressions import Expression, compile_row, parse
from include.config.expressions.grammar import ROW
from include.config.expressions.rows import Compiler
from include.config.readers.sources import Column, Sources
from include.domain.errors import ConfigError

CHURNED, PROFILE, USAGE, EVENTS = "churned", "subscribers", "usage_months", "service_events"
LEFT, LATER = "left", "later_"

_TYPES: Mapping[str, pl.DataType] = {
    **dict.fromkeys(("id", "text", "choice"), pl.String()),
    **dict.fromkeys(("integer", "number", "amount"), pl.Float64()),
    "date": pl.Date(),
    "instant": pl.Datetime("us", "UTC"),
    "flag": pl.Boolean(),
}


@dataclass(frozen=True)
class Fact:
    """One name of such an expression: which column of a feed, or kind of event, and whether of the time after."""

    name: str
    feed: str
    column: str
    dtype: pl.DataType
    is_later: bool = True


#: Whether somebody left: known of everybody, whatever an operator declares.
LEAVING = Fact(LEFT, CHURNED, "churned_on", pl.Boolean())


def facts_in(text: str, sources: Sources) -> tuple[Expression, tuple[Fact, ...]]:
    """The checked expression and the facts it names; ConfigError for a name that is none."""
    expression, known = parse(text), _facts(sources)
    named = sorted(expression.needs(ROW))
    unknown = [name for name in named if name not in known]
    if unknown:
        kinds = ", ".join(name for name, fact in known.items() if fact.feed == EVENTS)
        raise ConfigError(
            f"there is no '{unknown[0]}'; there are {LEFT}, the columns of {PROFILE} and {USAGE}, these with {LATER} "
            f"before them, and {kinds or 'no kinds of service events'}."
        )
    return expression, tuple(known[name] for name in named)


def check_later(text: str | None, sources: Sources, file: str, entry: str) -> None:
    """Refuse a wrong name, what is neither true nor false, and what is known already; None is none."""
    if text is None:
        return
    try:
        expression, facts = facts_in(text, sources)
        if not any(fact.is_later for fact in facts):
            raise ConfigError(f"'{text}' names nothing delivered later than the cycle: {LEFT}, or {LATER}….")
        if _tried(expression, facts) != pl.Boolean:
            raise ConfigError(f"'{text}' gives no true or false; it must compare.")
    except ConfigError as error:
        raise ConfigError(f"{file}, entry '{entry}': {error}") from error


def _tried(expression: Expression, facts: tuple[Fact, ...]) -> pl.DataType:
    frame = pl.DataFrame(schema={fact.name: fact.dtype for fact in facts})
    try:
        for node in ast.walk(expression.tree):
            if isinstance(node, ast.Compare):
                _refuse_half_a_date(node, frame)
        return frame.select(compile_row(expression)).dtypes[0]
    except pl.exceptions.PolarsError as error:
        raise ConfigError(f"'{expression.text}' cannot be computed: {str(error).splitlines()[0]}") from error


def _refuse_half_a_date(node: ast.Compare, frame: pl.DataFrame) -> None:
    """Polars would take a date for the number of its day: dates and instants are compared with their like alone."""
    sides = [each for each in (node.left, *node.comparators) if not isinstance(each, ast.Tuple | ast.List)]
    dtypes = {frame.select(Compiler().compile(side)).dtypes[0] for side in sides}
    if len(dtypes) > 1 and any(dtype.is_temporal() for dtype in dtypes):
        raise ConfigError(f"'{ast.unparse(node)}' compares what is no date with a date.")


def _facts(sources: Sources) -> dict[str, Fact]:
    """Every fact by its name; of a name in both the profile counts, not the usage."""
    found = {LEFT: LEAVING}
    for feed in (USAGE, PROFILE):
        hidden = {*sources.feeds[feed].restricted, "subscriber_id"}
        for name, column in sources.feeds[feed].columns.items():
            if name not in hidden and (dtype := _TYPES.get(column.type)):
                found[name] = Fact(name, feed, name, dtype, is_later=False)
                found[LATER + name] = Fact(LATER + name, feed, name, dtype)
    kinds = sources.feeds[EVENTS].columns.get("kind", Column(type="text")).of
    return found | {LATER + kind: Fact(LATER + kind, EVENTS, kind, pl.Float64()) for kind in kinds}
