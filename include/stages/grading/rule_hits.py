"""Rule hits: which rules are in force for a month, and whom of its people each one hits."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from include.config import Config
from include.config.expressions.arithmetic import sum_across
from include.config.readers.rules import Rule, Rules
from include.domain.dispatch.grading import HIGH
from include.lake import Manifest

_FROM_FACTORS = ("value_yuan", "region_code", "branch_code", "customer_id", "tenure_months")


@dataclass(frozen=True)
class ActiveRules:
    """The rules of a run: each active one with its hit as an expression, and why the others are inactive."""

    hits: tuple[tuple[Rule, pl.Expr], ...]
    inactive: dict[str, str]


def active_rules(config: Config, month: str, factors: Manifest) -> ActiveRules:
    """The rules in force whose factors exist for the month, and the reason for each of the others."""
    hits, inactive = [], {}
    for rule in config.rules.rules:
        if not rule.is_valid_in(month):
            inactive[rule.name] = f"not in force in {month}"
        elif why := why_inactive(rule, config.rules, factors):
            inactive[rule.name] = why
        else:
            hits.append((rule, hit_of(rule, config.rules, factors)))
    return ActiveRules(tuple(hits), inactive)


def why_inactive(rule: Rule, rules: Rules, factors: Manifest) -> str:
    """Which factor a rule cannot do without is left out, and why; empty when it can be judged."""
    needed = rules.factors_of(rule)
    missing = needed - set(factors.facts["factors"])
    if not missing or (rule.needs == "any" and missing != needed):
        return ""
    name = min(missing)
    return f"factor {name} is left out: {factors.facts['left_out'].get(name, 'not in factors.yaml')}"


def hit_of(rule: Rule, rules: Rules, factors: Manifest) -> pl.Expr:
    """Whether the rule fires, over the factors rows of a month; what is unknown does not."""
    missing = rules.factors_of(rule) - set(factors.facts["factors"])
    return rules.compile(rule, missing).fill_null(False)


def hits_of(
    people: pl.LazyFrame, rules: ActiveRules, members: pl.Expr, more: Sequence[pl.Expr] = ()
) -> pl.LazyFrame:
    """Whom of the factors rows `people` which rules hit, who is a member, and `more` of them."""
    named: list[pl.Expr] = [pl.when(hit).then(pl.lit(rule.name)) for rule, hit in rules.hits]
    points = [pl.when(hit).then(rule.points).otherwise(0.0) for rule, hit in rules.hits] or [pl.lit(0.0)]
    floors = [hit for rule, hit in rules.hits if rule.floor == HIGH] or [pl.lit(False)]
    return people.select(
        "subscriber_id",
        *_FROM_FACTORS,
        pl.concat_list(*named, pl.lit(None, pl.String)).list.drop_nulls().alias("rule_hits"),
        sum_across(points).alias("rule_points"),
        pl.any_horizontal(floors).alias("has_high_floor"),
        members.alias("is_member"),
        *more,
    )
