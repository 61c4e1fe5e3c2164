"""The one grammar of factors, rules and populations: parsed and checked by shape, never evaluated as Python.

Python's own parser reads the text; only the nodes and functions named here are let through.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from include.domain.errors import ConfigError

LONGEST_TEXT = 1000
DEEPEST_NESTING = 100
LARGEST_INTEGER = 10**15

ROW = "row"  # an expression over the columns of one row: profile, factors, identity
MONTHLY = "monthly"  # an expression over usage metrics, taken month by month
EVENT = "event"  # an expression over the columns of one event
MONTHS = "months"  # a whole number of months, written out
WORDS = "words"  # the name of a word list, in quotes
FEED = "feed"  # the name of an event feed, in quotes
# Events that befall a region rather than a person, and the column of the row that tells whose they are.
REGIONAL_FEEDS: Mapping[str, str] = {"market_events": "region_code"}


@dataclass(frozen=True)
class Argument:
    """One argument of a function: what it may hold, and its default (None: must be given)."""

    name: str
    kind: str
    default: int | str | None = None


@dataclass(frozen=True)
class Shape:
    """The arguments a function takes, in order; `repeats` lets the last one come again.

    `row` names the columns of the row it looks at besides its arguments.
    """

    arguments: tuple[Argument, ...]
    repeats: bool = False
    row: tuple[str, ...] = ()


def _row(*names: str, repeats: bool = False) -> Shape:
    return Shape(tuple(Argument(name, ROW) for name in names), repeats)


ROW_FUNCTIONS: Mapping[str, Shape] = {
    "abs": _row("x"),
    "min": _row("x", "y", repeats=True),
    "max": _row("x", "y", repeats=True),
    "coalesce": _row("x", "y", repeats=True),
    "missing": _row("x"),
    "when": _row("condition", "then", "otherwise"),
    "mentions": Shape((Argument("text", ROW), Argument("words", WORDS))),
}


@dataclass(frozen=True)
class Expression:
    """A checked expression; `names[kind]` are the names it needs, EVENT names as "feed.column".

    `windows` are the event feeds it looks at, each with how many months, M being the first, it looks back.
    """

    text: str
    tree: ast.expr
    names: Mapping[str, frozenset[str]]
    word_lists: frozenset[str] = frozenset()
    windows: Mapping[str, int] = field(default_factory=dict)

    def needs(self, kind: str) -> frozenset[str]:
        """The names of one kind that must exist for the expression to have a value."""
        return self.names.get(kind, frozenset())


def parse(text: str, functions: Mapping[str, Shape] = ROW_FUNCTIONS) -> Expression:
    """Check `text` against the grammar; raise ConfigError with the offending piece otherwise."""
    if len(text) > LONGEST_TEXT:
        raise ConfigError(f"the expression has {len(text)} characters; at most {LONGEST_TEXT} are read.")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        _check_depth(tree)
        checker = _Checker(functions)
        checker.check(tree, ROW)
    except SyntaxError as error:
        raise ConfigError(f"'{text}' cannot be read: {error.msg} at character {error.offset}.") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(f"'{text[:60]}…' cannot be read: {error}.") from error
    names = {kind: frozenset(found) for kind, found in checker.names.items()}
    return Expression(text, tree, names, frozenset(checker.word_lists), checker.windows)


@dataclass
class _Checker:
    """Walks a syntax tree once, refuses what the grammar lacks, and notes every name used."""

    functions: Mapping[str, Shape]
    names: dict[str, set[str]] = field(default_factory=dict)
    word_lists: set[str] = field(default_factory=set)
    windows: dict[str, int] = field(default_factory=dict)
    feed: str = ""

    def check(self, node: ast.expr, kind: str) -> None:
        match node:
            case ast.Constant():
                _check_constant(node)
            case ast.Name(id=name):
                self._note(name, kind)
            case ast.BoolOp(values=values):
                self._check_all(values, kind)
            case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
                self.check(operand, kind)
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div(), right=right):
                self._check_all([left, right], kind)
            case ast.Compare():
                self._check_comparison(node, kind)
            case ast.Call():
                self._check_call(node, kind)
            case _:
                raise ConfigError(f"'{ast.unparse(node)}' is not allowed in an expression.")

    def _check_all(self, nodes: list[ast.expr], kind: str) -> None:
        for node in nodes:
            self.check(node, kind)

    def _note(self, name: str, kind: str) -> None:
        self.names.setdefault(kind, set()).add(f"{self.feed}.{name}" if kind == EVENT else name)

    def _check_comparison(self, node: ast.Compare, kind: str) -> None:
        self.check(node.left, kind)
        for sign, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(sign, ast.In | ast.NotIn):
                _check_choices(right, alone=len(node.ops) == 1)
            elif isinstance(sign, ast.Eq | ast.NotEq | ast.Lt | ast.LtE | ast.Gt | ast.GtE):
                self.check(right, kind)
            else:
                raise ConfigError(
                    f"'{ast.unparse(node)}' compares in a way the grammar lacks; use == != < <= > >=."
                )

    def _check_call(self, node: ast.Call, kind: str) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
        shape = self.functions.get(name)
        if shape is None:
            raise ConfigError(
                f"there is no function '{name}'; there are {', '.join(sorted(self.functions))}."
            )
        if kind != ROW and name not in ROW_FUNCTIONS:
            raise ConfigError(f"'{name}' cannot stand inside another window: {ast.unparse(node)}.")
        given = arguments(node, shape)
        for column in shape.row:
            self._note(column, ROW)
        if any(argument.kind == FEED for argument, _ in given):
            self._look_at_events({argument.name: (argument, value) for argument, value in given})
        for argument, value in given:
            self._check_argument(argument, value, kind)

    def _look_at_events(self, given: Mapping[str, tuple[Argument, ast.expr]]) -> None:
        """Note whose columns the names of a call over events are, and how far back it looks."""
        self.feed, months = _text(*given["feed"]), _whole_number(*given["months"])
        self.windows[self.feed] = max(months, self.windows.get(self.feed, 0))
        if self.feed in REGIONAL_FEEDS:
            self._note(REGIONAL_FEEDS[self.feed], ROW)

    def _check_argument(self, argument: Argument, value: ast.expr, kind: str) -> None:
        if argument.kind == WORDS:
            self.word_lists.add(_text(argument, value))
        elif argument.kind == FEED:
            _text(argument, value)
        elif argument.kind == MONTHS:
            _whole_number(argument, value)
        else:
            self.check(value, kind if argument.kind == ROW else argument.kind)


def arguments(node: ast.Call, shape: Shape) -> list[tuple[Argument, ast.expr]]:
    """The arguments of a call with defaults filled in; ConfigError when one lacks or is too many."""
    text = ast.unparse(node)
    wanted = list(shape.arguments)
    if shape.repeats:
        wanted += [wanted[-1]] * (len(node.args) - len(wanted))
    if len(node.args) > len(wanted):
        raise ConfigError(f"'{text}' has {len(node.args)} arguments; at most {len(wanted)} are taken.")
    given = list(zip(wanted, node.args, strict=False))
    named = {keyword.arg: keyword.value for keyword in node.keywords}
    for argument in wanted[len(given) :]:
        value = named.pop(argument.name, None)
        if value is None and argument.default is None:
            raise ConfigError(f"'{text}' lacks the argument '{argument.name}'.")
        given.append((argument, ast.Constant(argument.default) if value is None else value))
    if named:
        raise ConfigError(f"'{text}' has an argument it does not take: {', '.join(map(str, named))}.")
    return given


def literal(node: ast.expr) -> str | int | float | bool:
    """The value of a constant node."""
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str | int | float):
        raise ConfigError(f"'{ast.unparse(node)}' must be written out as a number or a quoted text.")
    return node.value


def _check_depth(tree: ast.expr) -> None:
    """Refuse what later steps, which call themselves for every level, could not walk through."""
    level: list[ast.AST] = [tree]
    for _ in range(DEEPEST_NESTING):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    if level:
        raise ConfigError(f"the expression is nested deeper than {DEEPEST_NESTING} levels. Split it up.")


def _check_constant(node: ast.Constant) -> None:
    value = node.value
    fits = isinstance(value, str | bool) or (isinstance(value, int | float) and abs(value) <= LARGEST_INTEGER)
    if not fits:
        raise ConfigError(
            f"the constant {ast.unparse(node)} is not allowed; use numbers, texts, True, False."
        )


def _check_choices(node: ast.expr, alone: bool) -> None:
    if not alone or not isinstance(node, ast.Tuple | ast.List) or not node.elts:
        raise ConfigError(f"'in' needs a list written out, such as ('a', 'b'), not {ast.unparse(node)}.")
    for choice in node.elts:
        literal(choice)


def _text(argument: Argument, node: ast.expr) -> str:
    value = literal(node)
    if not isinstance(value, str):
        raise ConfigError(f"the argument '{argument.name}' must be a quoted name, not {value}.")
    return value


def _whole_number(argument: Argument, node: ast.expr) -> int:
    value = literal(node)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 6:
        raise ConfigError(f"the argument '{argument.name}' must be a whole number from 0 to 6, not {value}.")
    return value
