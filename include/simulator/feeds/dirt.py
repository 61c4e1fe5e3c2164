"""Dirty rows on request: every defect the contract names, counted for the truth folder."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from include.simulator.draws import Draws, Floats, Ints

DEFECTS = ("wrong_type", "missing_value", "unknown_kind", "duplicate", "conflict", "outside_period")

# Quarantined rows of one file, as a multiple of the share: one bad row in a file of ten would stop the loop
_MOST = 2.0
_LONG_AGO = {"occurred_at": "2001-01-01T12:00:00+08:00", "churned_on": "2001-01-01"}


@dataclass(frozen=True)
class Rows:
    """What a month (an ordinal) brings of a feed, in the columns of the contract and some to go by."""

    feed: str
    month: int
    frame: pl.DataFrame


@dataclass(frozen=True)
class Recipe:
    """How the rows of a feed can be spoilt.

    A feed that only `adds` keeps its good rows: who left stays known, before and after the churn arrives.
    """

    number: str
    required: str = "subscriber_id"
    has_kind: bool = False
    conflict: str = ""
    dated: str = ""
    adds: bool = False


RECIPES = {
    "subscribers": Recipe(number="plan_fee_yuan", required="joined_on", conflict="plan_fee_yuan"),
    "usage_months": Recipe(number="bill_yuan", required="bill_yuan", conflict="bill_yuan"),
    "service_events": Recipe(
        number="satisfaction", required="subscriber_id", has_kind=True, conflict="kind", dated="occurred_at"
    ),
    "subscriber_changes": Recipe(number="occurred_at", has_kind=True, dated="occurred_at", adds=True),
    "contact_limits": Recipe(number="valid_from", has_kind=True),
    "churned": Recipe(number="churned_on", dated="churned_on", adds=True),
}


@dataclass(frozen=True)
class Count:
    """How many rows of one delivery were spoilt in one way, and how many rows the loop should quarantine."""

    feed: str
    period: str
    defect: str
    rows: int
    quarantined: int


def soil(draws: Draws, rows: Rows, period: str, share: float) -> tuple[pl.DataFrame, list[Count]]:
    """Spoil about `share` of the rows of one delivery; each has its own draw, by its column `row` or `key`.

    Columns become text. Returns the delivery and the counts; without a recipe for the feed nothing is spoilt.
    """
    feed, frame = rows.feed, rows.frame
    recipe = RECIPES.get(feed)
    if recipe is None or share <= 0 or frame.is_empty():
        return frame, []
    defects = _defects_of(recipe)
    address = frame.get_column("key" if "key" in frame.columns else "row").to_numpy()
    chosen = draws.uniform(f"{feed}/dirt/{period}", rows.month, address) / share
    which = pl.Series("__defect", _chosen_defects(chosen, defects, int(_MOST * share * len(chosen))))
    text = _as_text(frame).with_columns(which).with_row_index("__at")
    pieces = [text if recipe.adds else text.filter(pl.col("__defect") == len(defects))]
    counts = []
    for index, defect in enumerate(defects):
        chosen_rows = text.filter(pl.col("__defect") == index)
        spoilt, quarantined = _spoil(chosen_rows, defect, recipe)
        pieces += spoilt
        if count := len(chosen_rows):
            counts.append(Count(feed, period, defect, count, quarantined * count))
    mixed = pl.concat(pieces).sort("__at", maintain_order=True)
    return mixed.drop("__at", "__defect"), counts


def _chosen_defects(chosen: Floats, defects: list[str], most: int) -> Ints:
    """Index of each row's defect, len(defects) for a good row; no short file gets more than its share."""
    order = np.argsort(chosen)
    which = np.minimum(chosen * len(defects), len(defects)).astype(np.int64)
    cost = np.array([2 if defect == "conflict" else 1 for defect in defects] + [0])
    spent = np.empty(len(chosen), dtype=np.int64)
    spent[order] = np.cumsum(cost[which[order]])
    return np.where(spent <= most, which, len(defects))


def _defects_of(recipe: Recipe) -> list[str]:
    possible = {
        "wrong_type": True,
        "missing_value": True,
        "unknown_kind": recipe.has_kind,
        "duplicate": True,
        "conflict": recipe.conflict != "",
        "outside_period": recipe.dated != "",
    }
    return [defect for defect in DEFECTS if possible[defect]]


def _as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """All columns as the text a CSV file would hold, so that anything can stand in them."""
    floats = frame.select(pl.selectors.float()).columns
    rounded = [pl.col(name).round(2).cast(pl.Decimal(14, 2)).cast(pl.String) for name in floats]
    return frame.with_columns(rounded).with_columns(pl.all().cast(pl.String))


def _spoil(rows: pl.DataFrame, defect: str, recipe: Recipe) -> tuple[list[pl.DataFrame], int]:
    """The rows to deliver instead (or in addition), and how many of them go to quarantine per spoilt row."""
    if defect == "duplicate":
        return ([rows] if recipe.adds else [rows, rows]), 1
    if defect == "conflict":
        return [rows, _conflicting(rows, recipe)], 2
    column, value = _damage(defect, recipe)
    return [rows.with_columns(pl.lit(value, pl.String).alias(column))], 1


def _damage(defect: str, recipe: Recipe) -> tuple[str, str | None]:
    """The column a defect spoils and what stands in it then."""
    if defect == "missing_value":
        return recipe.required, None
    if defect == "wrong_type":
        return recipe.number, "n/a"
    if defect == "unknown_kind":
        return "kind", "gossip"
    return recipe.dated, _LONG_AGO[recipe.dated]


def _conflicting(rows: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """The same row again with another value: an amount one yuan higher, or another kind of event."""
    if recipe.conflict == "kind":
        is_complaint = pl.col("kind") == "complaint"
        other = pl.when(is_complaint).then(pl.lit("agent_call")).otherwise(pl.lit("complaint"))
        return rows.with_columns(other.alias("kind"))
    amount = pl.col(recipe.conflict).cast(pl.Decimal(14, 2)) + 1
    return rows.with_columns(amount.cast(pl.Decimal(14, 2)).cast(pl.String))


def counts_frame(counts: list[Count]) -> pl.DataFrame:
    """The counts as truth/dirt.csv holds them, added up over blocks."""
    schema = {"feed": pl.String, "period": pl.String, "defect": pl.String}
    numbers = {"rows": pl.Int64, "quarantined": pl.Int64}
    frame = pl.DataFrame(counts, schema={**schema, **numbers}, orient="row")
    return frame.group_by(list(schema)).sum().sort(list(schema))
