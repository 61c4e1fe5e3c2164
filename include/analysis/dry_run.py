"""The dry run of a warning rule: on whom it would have fired in a month, and what would have come of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NotRequired, TypedDict, cast

import polars as pl
from sqlalchemy import Connection

from include.config import Config
from include.config.expressions.arithmetic import sum_down
from include.config.readers.rules import Rule, Rules
from include.domain.dispatch.grading import GRADES, HIGH, MID, Thresholds
from include.domain.errors import BadInput
from include.lake import Lake, Manifest
from include.lake.campaigns import scores_of
from include.models import labels
from include.models.labels import Label
from include.models.training_sets import LabelledMonth, Labelling
from include.stages import grading
from include.stages.grading import admission, rule_hits
from include.stages.grading.rule_hits import ActiveRules
from include.subscribers.facts import fact_rows

#: So many of the newest labelled months tell the precision of a rule besides the month itself.
LABELLED_MONTHS = 3


@dataclass(frozen=True)
class Trial:
    """Rules to try on a month of a campaign; each stands in for its namesake in `config`."""

    lake: Lake
    config: Config
    campaign: str
    month: str
    rules: Rules

    @property
    def factors(self) -> Manifest:
        """The factors of the month; NotReady when there are none."""
        return self.lake.manifest("factors", self.month)


class Precision(TypedDict):
    """Of people who count: how many a rule fires on and how many of them left; the shares are weighted."""

    fired: int
    left: int
    base_rate: float
    precision: float | None


class Tried(TypedDict):
    """What a rule would have done; `inactive` says why it cannot be judged, and then nothing else is told."""

    rule: str
    month: str
    owner: str
    in_force: bool
    inactive: str
    contacted_left_out: NotRequired[bool]
    subscribers: NotRequired[int]
    fired: NotRequired[int]
    also_hit_by_others: NotRequired[int]
    model_grades: NotRequired[dict[str, int] | None]
    priority: NotRequired[int]
    tickets: NotRequired[int]
    tickets_added: NotRequired[int]
    precision: NotRequired[float | None]
    labelled: NotRequired[dict[str, Precision]]


def dry_run(
    trial: Trial, *, as_of: datetime, name: str | None = None, db: Connection | None = None
) -> Iterator[Tried]:
    """Per rule of the trial (or the one of that `name`) what it would have done in its month.

    Each stands in for its namesake in the configuration, beside the other rules in force, whether it is in force
    itself or not. With `db` the precision is of those whom nobody contacted (see `Labelling`). NotReady when the
    month has no factors, BadInput when there is no rule of that name.
    """
    wanted = [rule for rule in trial.rules.rules if name in (None, rule.name)]
    if not wanted:
        known = ", ".join(rule.name for rule in trial.rules.rules)
        raise BadInput(f"There is no rule '{name}'. Choose one of {known}.")
    label = labels.label_of(trial.config, trial.campaign)
    labelling = label and Labelling(db, trial.lake, trial.campaign, label, as_of)
    months = _known_months(trial.lake, trial.month, label, as_of)
    labelled = [labelling.of_month(each) for each in months] if labelling else []
    for rule in wanted:
        yield cast(Tried, {**_tried(trial, rule, labelled), "contacted_left_out": db is not None})


def sentence(facts: Mapping[str, Any]) -> str:
    """What the dry run found, for people."""
    rule, month = facts["rule"], facts["month"]
    if facts["inactive"]:
        return f"{rule}: cannot be judged in {month}: {facts['inactive']}."
    added = f"{facts['tickets_added']:,} only because of it (before who may be contacted and capacity)"
    findings = [
        f"{rule}: would have fired on {facts['fired']:,} subscribers in {month}",
        f"precision {_percent(facts['precision'])}",
        f"{facts['priority']:,} priority warnings",
        f"about {facts['tickets']:,} tickets after the hold-out",
        added,
    ]
    model = facts["model_grades"]
    alone = ", ".join(f"{model[grade]:,} {grade}" for grade in GRADES) if model else "no model scored them"
    return f"{', '.join(findings)}. By the model alone: {alone}. {_labelled(facts)}{_remark(facts)}"


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


def _tried(trial: Trial, rule: Rule, known: list[LabelledMonth]) -> dict[str, Any]:
    month = trial.month
    facts = {"rule": rule.name, "month": month, "owner": rule.owner, "in_force": rule.is_valid_in(month)}
    inactive = rule_hits.why_inactive(rule, trial.rules, trial.factors)
    if inactive:
        return {**facts, "inactive": inactive}
    labelled = {each.month: _precision(trial, each, rule) for each in known}
    mine = labelled.get(month)
    return {
        **facts,
        "inactive": "",
        **_consequences(trial, rule),
        "precision": mine["precision"] if mine else None,
        "labelled": {each: found for each, found in labelled.items() if found},
    }


def _precision(trial: Trial, known: LabelledMonth, rule: Rule) -> Precision | None:
    """How many of those it fires on in a labelled month left; None when its factors were not made then."""
    lake, rules = trial.lake, trial.rules
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
    counts = cast(Precision, found.collect(engine="streaming").row(0, named=True))
    return counts if counts["fired"] else {**counts, "precision": None}


def _consequences(trial: Trial, rule: Rule) -> dict[str, Any]:
    """Whom it fires on, their grades by the model alone, and how many tickets it would make.

    Tickets are those to be expected of the warnings when the hold-out gets none; who may be contacted and what
    the teams can take is not looked at.
    """
    standing = rule_hits.active_rules(trial.config, trial.month, trial.factors)
    others = tuple(each for each in standing.hits if each[0].name != rule.name)
    fires = (rule, rule_hits.hit_of(rule, trial.rules, trial.factors))
    thresholds = _thresholds(trial)
    before = _graded(trial, ActiveRules(others, {}), thresholds)
    after = _graded(trial, ActiveRules((*others, fires), {}), thresholds)
    hit = after.filter(pl.col("rule_hits").list.contains(rule.name))
    called = after.filter(pl.col("tier") == "priority")
    is_called = before.filter(pl.col("tier") == "priority")
    priority = hit.filter(pl.col("tier") == "priority").height
    added = called.join(is_called, on="subscriber_id", how="anti").height
    draw = trial.config.measure(trial.campaign)
    treated = 1 - (draw.share if draw else 0)
    return {
        "subscribers": after.height,
        "fired": hit.height,
        "also_hit_by_others": hit.filter(pl.col("rule_hits").list.len() > 1).height,
        "model_grades": _model_grades(hit, thresholds),
        "priority": priority,
        "tickets": round(treated * priority),
        "tickets_added": round(treated * added),
    }


def _graded(trial: Trial, active: ActiveRules, thresholds: Thresholds) -> pl.DataFrame:
    """Everybody graded; past refusals are not looked at, nor who may be contacted."""
    lake, month, rules = trial.lake, trial.month, trial.config.campaign(trial.campaign)
    rows = fact_rows(lake, month, admission.names_read(rules))
    people = rule_hits.hits_of(rows, active, admission.terms_of(rules, lake, month).member)
    if lake.has(scores_of(trial.campaign), month):
        scores = lake.scan(scores_of(trial.campaign), month).select("subscriber_id", "probability")
        rows = people.join(scores, on="subscriber_id", how="left")
    else:
        rows = people.with_columns(pl.lit(None, pl.Float64).alias("probability"))
    return admission.by_grade(rows.collect(engine="streaming"), thresholds, [])


def _thresholds(trial: Trial) -> Thresholds:
    table = scores_of(trial.campaign)
    if trial.lake.has(table, trial.month):
        return grading.thresholds_of(trial.config, trial.lake.manifest(table, trial.month))
    return grading.thresholds_of(trial.config, replace(trial.factors, facts={}))


def _model_grades(hit: pl.DataFrame, thresholds: Thresholds) -> dict[str, int] | None:
    if hit["probability"].null_count() == hit.height:
        return None
    times = pl.col("probability") / thresholds.base_rate
    high, mid = times >= thresholds.high_times, times >= thresholds.mid_times
    grade = pl.when(high).then(pl.lit(HIGH)).when(mid).then(pl.lit(MID)).otherwise(pl.lit("low"))
    counted = dict(hit.select(grade.alias("grade")).to_series().value_counts().iter_rows())
    return {each: counted.get(each, 0) for each in GRADES}
