"""rules.yaml: the warning rules experts use, as expressions over factors and configured benchmarks."""

from collections.abc import Mapping
from functools import cached_property
from typing import Literal

import polars as pl
from pydantic import model_validator

from include.config.expressions import Expression, compile_row
from include.config.expressions import parse as parse_expression
from include.config.expressions.grammar import ROW
from include.config.readers.factors import Factors, Name, Text, refuse_unnamed
from include.config.readers.reading import Day, Entry, validated
from include.domain.errors import ConfigError
from include.domain.periods.months import first_day, last_day


class Rule(Entry):
    """One rule: a hit lifts the grade to its floor and adds its points.

    `needs` says whether the rule is inactive as soon as one of its factors is left out (all) or only when
    none is there (any: a factor that is left out counts as unknown). A hit is evidence for its `reason`.
    """

    name: Name
    zh: Text
    en: Text
    group: Name
    expression: Text
    floor: Literal["high", "mid"] = "mid"
    points: float
    owner: Text
    valid_from: Day
    valid_to: Day | None = None
    needs: Literal["all", "any"] = "all"
    reason: Name | None = None

    @model_validator(mode="after")
    def _points_add(self) -> "Rule":
        if self.points <= 0:
            raise ValueError(f"points {self.points} must be above 0")
        if self.valid_to is not None and self.valid_to < self.valid_from:
            raise ValueError(f"valid_to {self.valid_to} lies before valid_from {self.valid_from}")
        return self

    @cached_property
    def parsed(self) -> Expression:
        """The checked expression."""
        return parse_expression(self.expression)

    def is_valid_in(self, month: str) -> bool:
        """Whether the rule is in force on some day of the month."""
        return self.valid_from <= last_day(month) and (
            self.valid_to is None or self.valid_to >= first_day(month)
        )


class Rules(Entry):
    """The benchmarks rules compare with, the groups of rules, and the rules in the order of the file."""

    benchmarks: dict[Name, float]
    groups: dict[str, dict[str, str]]
    rules: tuple[Rule, ...]

    def factors_of(self, rule: Rule) -> frozenset[str]:
        """The factors a rule looks at (its names that are not benchmarks)."""
        return rule.parsed.needs(ROW) - self.benchmarks.keys()

    def compile(self, rule: Rule, missing: frozenset[str] = frozenset()) -> pl.Expr:
        """The rule over a frame of factors: true, false, or null (unknown); `missing` factors are null."""
        constants = {name: pl.lit(value) for name, value in self.benchmarks.items()}
        unknown = {name: pl.lit(None, pl.Float64) for name in missing}
        return compile_row(rule.parsed, {**constants, **unknown})


def parse(raw: object, file: str) -> Rules:
    """rules.yaml; every expression yields true or false. ConfigError names file, rule and cause."""
    if isinstance(raw, Mapping):
        refuse_unnamed(raw, "rules", "rule", Rule, file)
    library = validated(Rules, raw, file)
    for rule in library.rules:
        try:
            _try(rule, library)
        except ConfigError as error:
            raise ConfigError(f"{file}, rule '{rule.name}': {error}") from error
    return library


def check_factors(rules: Rules, library: Factors, file: str = "rules.yaml") -> None:
    """Refuse a rule over a factor, or evidence for a cause, that factors.yaml does not define."""
    for rule in rules.rules:
        if rule.reason is not None and rule.reason not in library.causes:
            raise ConfigError(
                f"{file}, rule '{rule.name}': '{rule.reason}' is not a cause of factors.yaml; "
                f"causes are {', '.join(library.causes)}."
            )
        if unknown := rules.factors_of(rule) - set(library.names):
            raise ConfigError(
                f"{file}, rule '{rule.name}': there is no factor or benchmark '{min(unknown)}'. "
                "Mend the name, or add the factor to factors.yaml."
            )


def _try(rule: Rule, library: Rules) -> None:
    """Compute the rule over no rows: it must yield true or false."""
    if rule.group not in library.groups:
        raise ConfigError(f"group '{rule.group}' is not among {', '.join(library.groups)}.")
    frame = pl.DataFrame(schema=dict.fromkeys(library.factors_of(rule), pl.Float64()))
    try:
        result = frame.select(library.compile(rule).alias("hit"))
    except pl.exceptions.PolarsError as error:
        raise ConfigError(f"'{rule.expression}' cannot be computed: {str(error).splitlines()[0]}") from error
    if result.schema["hit"] != pl.Boolean:
        raise ConfigError(f"'{rule.expression}' gives a number; a rule must compare, for example 'bill > 0'.")
