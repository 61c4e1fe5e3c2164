"""Admission: who of the people looked at is contacted if nothing bars it, and in which order.

The rules for one subscriber are in include/domain/dispatch/grading.py; here they are applied to all at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from include.config.expressions import Expression, compile_row
from include.config.expressions.grammar import ROW
from include.config.readers.campaign import Campaign
from include.config.readers.campaign.admission import FOUND
from include.domain.dispatch.grading import (
    GRADES,
    HIGH,
    INDEPENDENT_HITS,
    LOW,
    MID,
    MONITORING,
    PRIORITY,
    SECONDARY,
    Thresholds,
    high_places,
)
from include.domain.errors import NotDelivered
from include.lake import Lake
from include.subscribers.facts import why_unknown

_NOT_OF_THE_PROFILE = {"probability", *FOUND}


@dataclass(frozen=True)
class Terms:
    """What a campaign asks of its people, over their facts: who is a member, wanted, written to, what orders them."""

    member: pl.Expr
    wanted: pl.Expr
    written: pl.Expr
    order: pl.Expr


def terms_of(campaign: Campaign, lake: Lake, month: str) -> Terms:
    """The terms as they can be judged by the facts of a month; what is unknown of somebody is false.

    NotDelivered when a fact is known of nobody: better nobody is contacted than everybody.
    """
    named = {"population": campaign.members, "admission": campaign.admitted, "rank": campaign.order}
    for entry, expression in named.items():
        for name in sorted(_needs(expression) - _NOT_OF_THE_PROFILE):
            if why := why_unknown(lake, month, name):
                raise NotDelivered(f"The campaign's {entry} needs {why}.")
    order = campaign.order
    return Terms(
        _truth(campaign.members),
        _truth(campaign.admitted),
        pl.lit(False) if why_nobody_is_written(campaign, lake, month) else _truth(campaign.written),
        pl.lit(None, pl.Float64) if order is None else compile_row(order).cast(pl.Float64).fill_nan(None),
    )


def why_nobody_is_written(campaign: Campaign, lake: Lake, month: str) -> str:
    """Why those who would be written to are called all the same, or that nobody would be; empty where some may be."""
    if campaign.written is None:
        return "The campaign writes to nobody."
    unknown = (
        why_unknown(lake, month, name) for name in sorted(_needs(campaign.written) - _NOT_OF_THE_PROFILE)
    )
    why = next(filter(None, unknown), None)
    return f"Nobody is written to instead of called: that needs {why}." if why else ""


def names_read(campaign: Campaign) -> frozenset[str]:
    """The facts and factors that the terms read."""
    named = (campaign.members, campaign.admitted, campaign.written, campaign.order)
    return frozenset[str]().union(*map(_needs, named))


def by_grade(
    frame: pl.DataFrame, thresholds: Thresholds, refused: Sequence[str], top: int | None = None, *,
    has_order: bool = False,
) -> pl.DataFrame:  # fmt: skip
    """`frame` with grade, tier and rank, best rank first; `refused` are subscribers to call no more.

    Within a grade `order` ranks, or without one probability × value. Those graded high with priority are admitted.
    """
    frame = frame.join(_strongest(frame, thresholds), on="subscriber_id", how="left")
    value = pl.col("value_yuan").fill_null(0.0)
    member = pl.col("is_member") if "is_member" in frame.columns else pl.lit(True)
    grade = pl.col("grade").replace_strict(GRADES, [0, 1, 2], return_dtype=pl.Int8)
    is_called = (pl.col("grade") == HIGH) & (pl.col("tier") == PRIORITY)
    return (
        frame.with_columns(
            _grade(thresholds).alias("grade"), pl.col("subscriber_id").is_in(list(refused)).alias("refused")
        )
        .with_columns(_tier(thresholds, value, member).alias("tier"), grade.alias("place"), _worth(has_order))
        .sort("place", "worth", "subscriber_id", descending=[False, True, False], nulls_last=True)
        .with_row_index("rank", offset=1)
        .with_columns(_first(is_called, top).alias("is_admitted"))
    )


def by_all(frame: pl.DataFrame, top: int | None, *, has_order: bool) -> pl.DataFrame:
    """`frame` with rank and tier, best rank first: the members of whom the admission is true are admitted.

    They are ordered by `order`, the largest first and the unknown last, or without one by probability × value. Who
    `is_written` gets a message instead (tier secondary).
    """
    is_wanted = pl.col("is_member") & pl.col("is_wanted")
    is_written = is_wanted & pl.col("is_written")
    tier = (
        pl.when("is_admitted")
        .then(pl.lit(PRIORITY))
        .when("is_written")
        .then(pl.lit(SECONDARY))
        .otherwise(pl.lit(MONITORING))
    )
    return (
        frame.with_columns(
            (is_wanted & ~is_written).alias("is_wanted"), is_written.alias("is_written"), _worth(has_order)
        )
        .sort("is_wanted", "worth", "subscriber_id", descending=[True, True, False], nulls_last=True)
        .with_row_index("rank", offset=1)
        .with_columns(_first(pl.col("is_wanted"), top).alias("is_admitted"))
        .with_columns(pl.lit(None, pl.String).alias("grade"), tier.alias("tier"))
    )


def _needs(expression: Expression | None) -> frozenset[str]:
    return frozenset() if expression is None else expression.needs(ROW)


def _truth(expression: Expression | None) -> pl.Expr:
    return pl.lit(True) if expression is None else compile_row(expression).fill_null(False)


def _worth(has_order: bool) -> pl.Expr:
    """What ranks: the campaign's own order, or probability, else points, times the value at stake."""
    value = pl.col("value_yuan").fill_null(0.0)
    own = pl.coalesce("probability", "rule_points") * value.clip(lower_bound=0.0)
    return (pl.col("order") if has_order else own).alias("worth")


def _first(is_wanted: pl.Expr, top: int | None) -> pl.Expr:
    """Whether somebody is wanted and, by rank, among the `top` ones who are."""
    return is_wanted if top is None else is_wanted & (is_wanted.cum_sum() <= top)


def _strongest(frame: pl.DataFrame, thresholds: Thresholds) -> pl.DataFrame:
    """Whom several indicators together make high where no model ranks: a capped share, strongest first."""
    unranked = frame.filter(pl.col("probability").is_null())
    places = high_places(unranked.height, int(unranked["has_high_floor"].sum()), thresholds)
    candidates = unranked.filter(
        ~pl.col("has_high_floor")
        & (pl.col("rule_hits").list.len() >= INDEPENDENT_HITS)
        & (pl.col("rule_points") >= thresholds.rules_only_high_points)
    ).with_columns(pl.col("value_yuan").fill_null(0.0))
    ordered = candidates.sort("rule_points", "value_yuan", "subscriber_id", descending=[True, True, False])
    return ordered.head(places).select("subscriber_id", pl.lit(True).alias("is_strongest"))


def _grade(thresholds: Thresholds) -> pl.Expr:
    probability = pl.col("probability")
    high = (probability >= thresholds.high_times * thresholds.base_rate).fill_null(False)
    mid = (probability >= thresholds.mid_times * thresholds.base_rate).fill_null(False)
    strongest = pl.col("is_strongest").fill_null(False)
    return (
        pl.when(high | pl.col("has_high_floor") | strongest)
        .then(pl.lit(HIGH))
        .when(mid | (pl.col("rule_hits").list.len() > 0))
        .then(pl.lit(MID))
        .otherwise(pl.lit(LOW))
    )


def _tier(thresholds: Thresholds, value: pl.Expr, is_member: pl.Expr) -> pl.Expr:
    is_high, is_mid = pl.col("grade") == HIGH, pl.col("grade") == MID
    called = is_high & (value >= thresholds.priority_value_yuan) & ~pl.col("refused") & is_member
    messaged = (is_high | (is_mid & (value >= thresholds.secondary_value_yuan))) & is_member
    return (
        pl.when(called)
        .then(pl.lit(PRIORITY))
        .when(messaged)
        .then(pl.lit(SECONDARY))
        .otherwise(pl.lit(MONITORING))
    )
