"""The dry run of a warning rule: on whom it would have fired in a month, and what would have come of it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import polars as pl
from sqlalchemy import Connection

from include.config import Config
from include.config.expressions.arithmetic import sum_down
from include.config.readers.campaign import Campaign
from include.config.readers.rules import Rule, Rules
from include.domain.dispatch.grading import GRADES, HIGH, MID, Limits
from include.domain.errors import BadInput
from include.lake import Lake, Manifest
from include.lake.campaigns import scores_of
from include.models import labels
from include.models.labels import Label
from include.models.training_sets import LabelledMonth, labelled_month
from include.stages import grading
from include.stages.grading import admission, rule_hits
from include.stages.grading.rule_hits import ActiveRules
from include.subscribers.facts import fact_rows

#: So many of the newest labelled months tell the precision of a rule besides the month itself.
LABELLED_MONTHS = 3


def dry_run(
    *, lake: Lake, config: Config, campaign: str, month: str, rules: Rules, as_of: datetime,
    name: str | None = None, db: Connection | None = None,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Per rule of `rules` (or the one of that `name`) what it would have done in `month`.

    Each stands in for its namesake in `config`, beside the other rules in force, whether it is in force itself
    or not. With `db` the precision is of those whom nobody contacted (see `labelled_month`). NotReady when the
    month has no factors, BadInput when there is no rule of that name.
    """
    wanted = [rule for rule in rules.rules if name in (None, rule.name)]
    if not wanted:
        known = ", ".join(rule.name for rule in rules.rules)
        raise BadInput(f"There is no rule '{name}'. Choose one of {known}.")
    label = labels.label_of(config, campaign)
    months = _known_months(lake, month, label, as_of)
    labelled = [labelled_month(db, lake, campaign, each, label, as_of) for each in months] if label else []
    for rule in wanted:
        tried = _tried(lake, config, campaign, month, rule, rules, labelled)
        yield {**tried, "contacted_left_out": db is not None}


def sentence(facts: Mapping[str, Any]) -> str:
    """What the dry run found, for people."""
    rule, month = facts["rule"], facts["month"]
    if facts["inactive"]:
        return f"{rule}: cannot be judged in {month}: {facts['inactive']}."
    added = f"{facts['tickets_added']:,} only because of it (before who may be contacted and capacity)"
    told = [
        f"{rule}: would have fired on {facts['fired']:,} subscribers in {month}",
        f"precision {_percent(facts['precision'])}",
        f"{facts['priority']:,} priority warnings",
        f"about {facts['tickets']:,} tickets after the hold-out",
        added,
    ]
    model = facts["model_grades"]
    alone = ", ".join(f"{model[grade]:,} {grade}" for grade in GRADES) if model else "no model scored them"
    return f"{', '.join(told)}. By the model alone: {alone}. {_labelled(facts)}{_remark(facts)}"


def _labelled(facts: Mapping[str, Any]) -> str:
    earlier = [
        f"{month} {_percent(each['precision'])} of {each['fired']:,} (base {each['base_rate']:.1%})"
        for month, each in facts["labelled"].items()
    ]
    if not earlier:
        return "No labelled month tells more."
    how = (
        "Contacted people are left out, and the held-out weigh for them."
        if facts["contacted_left_out"]
        else "Contacted people count as they went."
    )
    return f"Precision in labelled months: {'; '.join(earlier)}. {how}"


def _remark(facts: Mapping[str, Any]) -> str:
    return "" if facts["in_force"] else f" It is not in force in {facts['month']}."


def _percent(share: float | None) -> str:
    return "not yet known" if share is None else f"{share:.0%}"


def _known_months(lake: Lake, month: str, label: Label | None, as_of: datetime) -> list[str]:
    known = labels.labelled_months(lake, month, label, as_of)
    return [each for each in known if lake.has("factors", each)][-LABELLED_MONTHS:]


def _tried(
    lake: Lake, config: Config, campaign: str, month: str, rule: Rule, rules: Rules, known: list[LabelledMonth]
) -> dict[str, Any]:  # fmt: skip
    factors = lake.manifest("factors", month)
    facts = {"rule": rule.name, "month": month, "owner": rule.owner, "in_force": rule.is_valid_in(month)}
    inactive = rule_hits.why_inactive(rule, rules, factors)
    if inactive:
        return {**facts, "inactive": inactive}
    labelled = {each.month: _precision(lake, each, rule, rules) for each in known}
    mine = labelled.get(month)
    return {
        **facts,
        "inactive": "",
        **_consequences(lake, config, campaign, month, factors, rule, rules),
        "precision": mine["precision"] if mine else None,
        "labelled": {each: found for each, found in labelled.items() if found},
    }


def _precision(lake: Lake, known: LabelledMonth, rule: Rule, rules: Rules) -> dict[str, Any] | None:
    """How many of those it fires on in a labelled month left; None when its factors were not made then.

    `fired` and `left` are people who count, the shares are weighted.
    """
    factors = lake.manifest("factors", known.month)
    if rule_hits.why_inactive(rule, rules, factors):
        return None
    fires = rule_hits.hit_of(rule, rules, factors)
    people = lake.scan("factors", known.month).select("subscriber_id", fires.alias("fires"))
    hit, left, weight = pl.col("fires"), pl.col("happened"), pl.col("weight")
    found = (
        known.labelled(people)
        .filter(weight > 0)
        .select(
            hit.sum().alias("fired"),
            (hit & left).sum().alias("left"),
            (sum_down(weight * left) / sum_down(weight)).alias("base_rate"),
            (sum_down((weight * left).filter(hit)) / sum_down(weight.filter(hit))).alias("precision"),
        )
    )
    counts = found.collect(engine="streaming").row(0, named=True)
    return counts if counts["fired"] else {**counts, "precision": None}


def _consequences(
    lake: Lake, config: Config, campaign: str, month: str, factors: Manifest, rule: Rule, rules: Rules
) -> dict[str, Any]:
    """Whom it fires on, their grades by the model alone, and how many tickets it would make.

    Tickets are those to be expected of the warnings when the hold-out gets none; who may be contacted and what
    the teams can take is not looked at.
    """
    standing = rule_hits.active_rules(config, month, factors)
    others = tuple(each for each in standing.hits if each[0].name != rule.name)
    fires = (rule, rule_hits.hit_of(rule, rules, factors))
    limits, rules_of = _limits(lake, config, campaign, month), config.campaign(campaign)
    before = _graded(lake, campaign, month, ActiveRules(others, {}), limits, rules_of)
    after = _graded(lake, campaign, month, ActiveRules((*others, fires), {}), limits, rules_of)
    hit = after.filter(pl.col("rule_hits").list.contains(rule.name))
    called = after.filter(pl.col("tier") == "priority")
    is_called = before.filter(pl.col("tier") == "priority")
    priority = hit.filter(pl.col("tier") == "priority").height
    added = called.join(is_called, on="subscriber_id", how="anti").height
    draw = config.measure(campaign)
    treated = 1 - (draw.share if draw else 0)
    return {
        "subscribers": after.height,
        "fired": hit.height,
        "also_hit_by_others": hit.filter(pl.col("rule_hits").list.len() > 1).height,
        "model_grades": _model_grades(hit, limits),
        "priority": priority,
        "tickets": round(treated * priority),
        "tickets_added": round(treated * added),
    }


def _graded(
    lake: Lake, campaign: str, month: str, rules: ActiveRules, limits: Limits, rules_of: Campaign
) -> pl.DataFrame:
    """Everybody graded; past refusals are not looked at, nor who may be contacted."""
    rows = fact_rows(lake, month, admission.names_read(rules_of))
    people = rule_hits.hits_of(rows, rules, admission.terms_of(rules_of, lake, month).member)
    if lake.has(scores_of(campaign), month):
        scores = lake.scan(scores_of(campaign), month).select("subscriber_id", "probability")
        rows = people.join(scores, on="subscriber_id", how="left")
    else:
        rows = people.with_columns(pl.lit(None, pl.Float64).alias("probability"))
    return admission.by_grade(rows.collect(engine="streaming"), limits, [])


def _limits(lake: Lake, config: Config, campaign: str, month: str) -> Limits:
    if lake.has(scores_of(campaign), month):
        return grading.limits_of(config, lake.manifest(scores_of(campaign), month))
    return grading.limits_of(config, replace(lake.manifest("factors", month), facts={}))


def _model_grades(hit: pl.DataFrame, limits: Limits) -> dict[str, int] | None:
    if hit["probability"].null_count() == hit.height:
        return None
    times = pl.col("probability") / limits.base_rate
    high, mid = times >= limits.high_times, times >= limits.mid_times
    grade = pl.when(high).then(pl.lit(HIGH)).when(mid).then(pl.lit(MID)).otherwise(pl.lit("low"))
    counted = dict(hit.select(grade.alias("grade")).to_series().value_counts().iter_rows())
    return {each: counted.get(each, 0) for each in GRADES}
