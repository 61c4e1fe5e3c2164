"""Labels: what became of people within a horizon, true or false, known only once all it reads is complete (docs: time).

What a model foretells is one, what counts as a campaign's success another, leaving a third.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from include.config import Config
from include.config.expressions import Expression, compile_row, parse
from include.config.readers.campaign.later import LEAVING, LEFT, Fact, facts_in
from include.domain.periods.horizon import Horizon, Window
from include.lake import Lake
from include.subscribers import later
from include.subscribers.later import AFTER, BEFORE, Knowledge

#: The column of a label's truth: true, false, or null where nobody can know.
HAPPENED = "happened"


@dataclass(frozen=True)
class Label:
    """An expression over facts delivered later than a cycle, and how far it looks ahead.

    are_gone: it is about people who had left before, whom no later profile names as long as they stay away.
    """

    expression: Expression
    facts: tuple[Fact, ...]
    horizon: Horizon
    are_gone: bool = False

    @property
    def text(self) -> str:
        """The expression as it was written."""
        return self.expression.text


def leaving(horizon: Horizon) -> Label:
    """Whether somebody left within the horizon."""
    return Label(parse(LEFT), (LEAVING,), horizon)


def label_of(config: Config, campaign: str) -> Label | None:
    """What the campaign's model foretells; None where it has none."""
    model = config.campaign(campaign).model
    return None if model is None else _label(config, campaign, model.label)


def success_of(config: Config, campaign: str) -> Label:
    """What counts as the campaign's success."""
    return _label(config, campaign, config.campaign(campaign).success)


def _label(config: Config, campaign: str, text: str) -> Label:
    rules = config.campaign(campaign)
    return Label(*facts_in(text, config.sources), rules.horizon, are_gone=rules.people == "left")


# ---------------------------------------------------------------- when it is known


def knowledge(lake: Lake, label: Label, window: Window, as_of: datetime) -> Knowledge:
    """From which day on the label can be known, and what it lacks."""
    return later.knowledge(lake, label.facts, window, as_of)


def is_labelled(lake: Lake, month: str, label: Label, as_of: datetime) -> bool:
    """Whether the label of `month`, over the horizon from the month's end, is known at `as_of`."""
    return knowledge(lake, label, label.horizon.after(month), as_of).is_there(as_of)


def labelled_months(lake: Lake, until: str, label: Label | None, as_of: datetime) -> list[str]:
    """Months up to `until` with usage, profiles and a label known at `as_of`, oldest first; none without a label."""
    if label is None:
        return []
    observed = set(lake.months("usage_months")) & set(lake.months("subscribers"))
    return [m for m in sorted(observed) if m <= until and is_labelled(lake, m, label, as_of)]


# ---------------------------------------------------------------- what it says


def truths(lake: Lake, label: Label, window: Window, people: pl.LazyFrame) -> pl.DataFrame:
    """Those of `people` (subscriber_id) of whom the label is true, or null: not known; of all others it is false.

    What the profile leaves empty makes nothing true. Whoever is missing in a profile that is read, and is not known
    to have left, is not known; of whoever left what the later profile does not say is not true.
    """
    rows = later.with_facts(people, lake, label.facts, window)
    there = rows.collect_schema().names()
    is_known = pl.lit(True)
    if BEFORE in there:
        is_known &= pl.col(BEFORE)
    if AFTER in there and not label.are_gone:
        is_known &= pl.col(AFTER) | pl.col(LEFT)
    truth = pl.when(is_known).then(compile_row(label.expression).fill_null(False)).alias(HAPPENED)
    listed = rows.select("subscriber_id", truth).filter(pl.col(HAPPENED).fill_null(True))
    return listed.collect(engine="streaming").sort("subscriber_id")


def with_labels(people: pl.LazyFrame, listed: pl.DataFrame) -> pl.LazyFrame:
    """`people` with the label's truth (Boolean), as `truths` lists it."""
    marked = listed.lazy().with_columns(is_listed=pl.lit(True))
    joined = people.join(marked, on="subscriber_id", how="left", maintain_order="left")
    truth = pl.when(pl.col("is_listed").is_null()).then(pl.lit(False)).otherwise(pl.col(HAPPENED))
    return joined.with_columns(truth.alias(HAPPENED)).drop("is_listed")


def fingerprint(lake: Lake, month: str, label: Label) -> str:
    """What the label of `month` is made of; changes when its population, its window or its meaning does."""
    window = label.horizon.after(month)
    made_of = [lake.manifest("factors", month).fingerprint]
    made_of += [
        lake.manifest(need.feed, need.month).fingerprint for need in later.needs(lake, label.facts, window)
    ]
    if not is_leaving(label) or not window.is_of_whole_months:
        made_of += [label.text, str(label.horizon.as_fact)]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()


def is_leaving(label: Label) -> bool:
    """Whether the label is nothing but leaving, whose marks stay those of before there were others."""
    return label.text == LEFT
