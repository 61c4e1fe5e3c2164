"""The one grammar of factor, rule and population expressions, and their translation into Polars."""

from include.config.expressions.grammar import Expression, parse
from include.config.expressions.rows import compile_row

__all__ = ["Expression", "compile_row", "parse"]
