"""Checked expressions as Polars expressions over the columns of one row.

Division by zero is null; null (unknown) follows three-valued logic.
"""

import ast
import functools
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import polars as pl

from include.config.expressions.arithmetic import over_constant
from include.config.expressions.grammar import ROW_FUNCTIONS, Expression, arguments, literal
from include.domain.errors import ConfigError


def divide(numerator: pl.Expr, denominator: pl.Expr) -> pl.Expr:
    """Division whose result is null, not infinite, when the denominator is zero."""
    is_constant = numerator.meta.root_names() and not denominator.meta.root_names()
    share = over_constant(numerator, denominator) if is_constant else numerator / denominator
    return pl.when(denominator != 0).then(share)


_COMPARISONS: Mapping[type[ast.cmpop], Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: Mapping[type[ast.operator], Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: divide,
}
_ROW_BUILDERS: Mapping[str, Callable[..., pl.Expr]] = {
    "abs": lambda x: x.abs(),
    "min": pl.min_horizontal,
    "max": pl.max_horizontal,
    "coalesce": pl.coalesce,
    "missing": lambda x: x.is_null(),
    "when": lambda condition, then, otherwise: pl.when(condition).then(then).otherwise(otherwise),
}
Call = Callable[[ast.Call], pl.Expr]


@dataclass(frozen=True)
class Compiler:
    """Turns checked trees into Polars; `name` resolves names, `call` the functions beyond ROW_FUNCTIONS."""

    name: Callable[[str], pl.Expr] = pl.col
    call: Call | None = None
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def compile(self, node: ast.expr) -> pl.Expr:
        """The Polars expression of a tree that `parse` has let through."""
        match node:
            case ast.Constant(value=value):
                return pl.lit(value)
            case ast.Name(id=name):
                return self.name(name)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return ~self.compile(operand)
            case ast.UnaryOp(operand=operand):
                return -self.compile(operand)
            case ast.BinOp(left=left, op=sign, right=right):
                return _ARITHMETIC[type(sign)](self.compile(left), self.compile(right))
            case ast.BoolOp(op=joint, values=values):
                join = operator.and_ if isinstance(joint, ast.And) else operator.or_
                return functools.reduce(join, [self.compile(value) for value in values])
            case ast.Compare():
                return self._compare(node)
            case ast.Call():
                return self._call(node)
        raise ConfigError(f"'{ast.unparse(node)}' is not allowed in an expression.")

    def _compare(self, node: ast.Compare) -> pl.Expr:
        sides = [node.left, *node.comparators]
        steps = [self._step(sign, sides[i], sides[i + 1]) for i, sign in enumerate(node.ops)]
        return functools.reduce(operator.and_, steps)

    def _step(self, sign: ast.cmpop, left: ast.expr, right: ast.expr) -> pl.Expr:
        if isinstance(sign, ast.In | ast.NotIn) and isinstance(right, ast.Tuple | ast.List):
            found = self.compile(left).is_in([literal(choice) for choice in right.elts])
            return found if isinstance(sign, ast.In) else ~found
        return _COMPARISONS[type(sign)](self.compile(left), self.compile(right))

    def _call(self, node: ast.Call) -> pl.Expr:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name == "mentions":
            return self._mentions(node)
        if name in _ROW_BUILDERS:
            shape = ROW_FUNCTIONS[name]
            return _ROW_BUILDERS[name](*(self.compile(value) for _, value in arguments(node, shape)))
        if self.call is None:
            raise ConfigError(f"the function '{name}' has no meaning here.")
        return self.call(node)

    def _mentions(self, node: ast.Call) -> pl.Expr:
        (_, text), (_, listed) = arguments(node, ROW_FUNCTIONS["mentions"])
        words = self.words.get(str(literal(listed)))
        if words is None:
            known = ", ".join(self.words) or "none here"
            raise ConfigError(f"there is no word list '{literal(listed)}'; there are: {known}.")
        return self.compile(text).str.contains_any(list(words), ascii_case_insensitive=True)


def compile_row(
    expression: Expression,
    names: Mapping[str, pl.Expr] | None = None,
    words: Mapping[str, tuple[str, ...]] | None = None,
) -> pl.Expr:
    """A row expression (rule, population) over the columns of a frame; `names` may stand for constants.

    `words` are the word lists it may name.
    """
    known = names or {}

    def named(name: str) -> pl.Expr:
        return known[name] if name in known else pl.col(name)

    return Compiler(named, words=words or {}).compile(expression.tree)
