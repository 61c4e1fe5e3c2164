"""Grading: grade from probability and rules, tier from value and past contacts, and a unique rank.

The rules for one subscriber are in include/domain/grading.py; here they are applied to all at once.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
import sqlalchemy as sa

from include import cycles
from include.config import Config
from include.config.campaign import Campaign
from include.config.rules import Rule, Rules
from include.database import copy_rows, lock
from include.domain.errors import NotReady
from include.domain.grading import GRADES, HIGH, INDEPENDENT_HITS, LOW, MID, TIERS, Limits, high_places
from include.expressions import compile_row
from include.expressions.arithmetic import sum_across
from include.expressions.grammar import ROW
from include.lake import Lake, Manifest
from include.lake.campaigns import grades_of, scores_of
from include.queries import load
from include.stages.holders import new_holders

Q = load("grading")

_FROM_FACTORS = ("value_yuan", "region_code", "branch_code", "customer_id", "tenure_months")
_COLUMNS = (
    "subscriber_id", "cluster", "probability", "model_version", "rule_hits", "rule_points", "grade", "tier",
    "rank", "value_yuan", "region_code", "branch_code", "customer_id", "tenure_months",
)  # fmt: skip
_WARNING = (
    "campaign", "cycle", "revision", "subscriber_id", "customer_key", "cluster", "probability",
    "model_version", "grade", "tier", "rank", "rule_hits", "rule_points", "value_yuan", "region_code",
    "branch_code", "tenure_months", "is_admitted",
)  # fmt: skip
_REFUSAL = {"customer_key": pl.String, "refused_by": pl.String, "refused_on": pl.Date}
_LOADED_AT_ONCE = 100_000


@dataclass(frozen=True)
class ActiveRules:
    """The rules of a run: each active one with its hit as an expression, and why the others are inactive."""

    hits: tuple[tuple[Rule, pl.Expr], ...]
    inactive: dict[str, str]


def grade(
    *, db: sa.Connection, lake: Lake, config: Config, campaign: str, cycle: str, month: str, as_of: datetime,
    now: datetime, revision: int,
) -> dict[str, Any]:  # fmt: skip
    """Grade every scored subscriber of the month into the lake, and high and mid into `warnings`.

    Replaces what the same revision held before; a cycle that is already dispatched stays as it is. NotReady
    when the scores that stand were made for another cycle, as_of or revision.
    """
    key = {"campaign": campaign, "cycle": cycle}
    scores = _own_scores(lake, key, as_of, revision)
    factors = lake.manifest("factors", month)
    rules = active_rules(config, month, factors)
    members = members_of(config.campaign(campaign), factors)
    limits = limits_of(config, scores)
    with db.begin():
        refusals = db.execute(Q["past_refusals"], key | {"as_of": as_of}).all()
    people = _with_hits(lake, scores, month, rules, members)
    refused = _refused(people, refusals, new_holders(lake, month, as_of).collect(engine="streaming"))
    graded = graded_frame(people, limits, refused)
    summary = _summary(graded, rules, limits)
    with db.begin():
        # the same lock as dispatch: a cycle is not fixed while its warnings are replaced
        lock(db, "dispatch", campaign, cycle)
        fixed = cycles.dispatched_from(db, campaign, cycle) if revision == 0 else None
        inputs = {"factors": factors.fingerprint, "scores": scores.fingerprint}
        if fixed is not None and not (fixed.get("inputs") == inputs and _restores(db, lake, graded, key)):
            return summary | {"rows_out": 0, "fixed": True}
        if _own_scores(lake, key, as_of, revision).fingerprint != scores.fingerprint:
            raise NotReady(f"The scores of {cycle} were replaced while they were graded. Run grading again.")
        described = [
            scores.fingerprint,
            factors.fingerprint,
            config.texts["rules.yaml"],
            config.texts["grading.yaml"],
        ]
        facts = {**summary, **cycles.provenance(config, key, as_of, revision)}
        described += [config.campaign(campaign).population or ""] if members is not None else []
        _publish(db, lake, graded, [*described, refused], facts)
        if fixed is None:
            _replace_warnings(db, graded, key | {"revision": revision})
    with db.begin():  # apart: nothing waits for its lock, and without it the rest is slower and as right
        db.execute(Q["analyze_warnings"])
    return summary


def _own_scores(lake: Lake, key: Mapping[str, str], as_of: datetime, revision: int) -> Manifest:
    """The scores that stand, made for this very cycle, as_of and revision; NotReady when they are another run's."""
    scores = lake.manifest(scores_of(key["campaign"], revision), key["cycle"])
    if foreign := cycles.foreign(scores.facts, key, as_of, revision):
        raise NotReady(f"The scores {foreign}; run prediction for this as_of first.")
    return scores


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


def members_of(campaign: Campaign, factors: Manifest) -> pl.Expr | None:
    """Who belongs to the campaign's population, over the factors rows of a month; None for everybody.

    NotReady when one of its factors is left out: better nobody is contacted than everybody.
    """
    if campaign.members is None:
        return None
    if missing := campaign.members.needs(ROW) - set(factors.facts["factors"]):
        name = min(missing)
        why = factors.facts["left_out"].get(name, "not in factors.yaml")
        raise NotReady(f"The campaign's population needs the factor {name}, which is left out: {why}.")
    return compile_row(campaign.members).fill_null(False)


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


def limits_of(config: Config, scores: Manifest) -> Limits:
    """The thresholds in force: the base rate is the pooled model's when there is one, else the configured."""
    pooled = scores.facts.get("champions", {}).get("pooled", {})
    base_rate = scores.facts.get("base_rate") or pooled.get("base_rate") or config.grading.base_rate
    configured = {name: float(value) for name, value in config.grading.model_dump().items()}
    return Limits(**configured | {"base_rate": float(base_rate)})


def graded_frame(frame: pl.DataFrame, limits: Limits, refused: Sequence[str]) -> pl.DataFrame:
    """`frame` with grade, tier and rank, best rank first; `refused` are subscribers to call no more."""
    frame = frame.join(_strongest(frame, limits), on="subscriber_id", how="left")
    value = pl.col("value_yuan").fill_null(0.0)
    worth = pl.coalesce("probability", "rule_points") * value.clip(lower_bound=0.0)
    member = pl.col("is_member") if "is_member" in frame.columns else pl.lit(True)
    order = pl.col("grade").replace_strict(GRADES, [0, 1, 2], return_dtype=pl.Int8)
    return (
        frame.with_columns(
            _grade(limits).alias("grade"), pl.col("subscriber_id").is_in(list(refused)).alias("refused")
        )
        .with_columns(_tier(limits, value, member).alias("tier"), order.alias("order"), worth.alias("worth"))
        .sort("order", "worth", "subscriber_id", descending=[False, True, False])
        .with_row_index("rank", offset=1)
    )


def _refused(people: pl.DataFrame, refusals: Sequence[Any], holders: pl.DataFrame) -> list[str]:
    """Whose customer refused or was not reached; not whose number's former holder did and left afterwards."""
    told = pl.DataFrame([tuple(row) for row in refusals], schema=_REFUSAL, orient="row")
    customer = pl.coalesce("customer_id", "subscriber_id").alias("customer_key")
    theirs = people.select("subscriber_id", customer).join(told, on="customer_key")
    theirs = theirs.join(holders, on="subscriber_id", how="left")
    is_lapsed = (pl.col("subscriber_id") == pl.col("refused_by")) & (
        pl.col("refused_on") <= pl.col("left_on")
    )
    return theirs.filter(~is_lapsed.fill_null(False))["subscriber_id"].unique().sort().to_list()


def _strongest(frame: pl.DataFrame, limits: Limits) -> pl.DataFrame:
    """Whom several indicators together make high where no model ranks: a capped share, strongest first."""
    unranked = frame.filter(pl.col("probability").is_null())
    places = high_places(unranked.height, int(unranked["has_high_floor"].sum()), limits)
    candidates = unranked.filter(
        ~pl.col("has_high_floor")
        & (pl.col("rule_hits").list.len() >= INDEPENDENT_HITS)
        & (pl.col("rule_points") >= limits.rules_only_high_points)
    ).with_columns(pl.col("value_yuan").fill_null(0.0))
    ordered = candidates.sort("rule_points", "value_yuan", "subscriber_id", descending=[True, True, False])
    return ordered.head(places).select("subscriber_id", pl.lit(True).alias("is_strongest"))


def _grade(limits: Limits) -> pl.Expr:
    probability = pl.col("probability")
    high = (probability >= limits.high_times * limits.base_rate).fill_null(False)
    mid = (probability >= limits.mid_times * limits.base_rate).fill_null(False)
    strongest = pl.col("is_strongest").fill_null(False)
    return (
        pl.when(high | pl.col("has_high_floor") | strongest)
        .then(pl.lit(HIGH))
        .when(mid | (pl.col("rule_hits").list.len() > 0))
        .then(pl.lit(MID))
        .otherwise(pl.lit(LOW))
    )


def _tier(limits: Limits, value: pl.Expr, is_member: pl.Expr) -> pl.Expr:
    is_high, is_mid = pl.col("grade") == HIGH, pl.col("grade") == MID
    called = is_high & (value >= limits.priority_value_yuan) & ~pl.col("refused") & is_member
    messaged = (is_high | (is_mid & (value >= limits.secondary_value_yuan))) & is_member
    return (
        pl.when(called)
        .then(pl.lit("priority"))
        .when(messaged)
        .then(pl.lit("secondary"))
        .otherwise(pl.lit("monitoring"))
    )


def _with_hits(
    lake: Lake, scores: Manifest, month: str, rules: ActiveRules, members: pl.Expr | None = None
) -> pl.DataFrame:
    """Every scored subscriber with the rules hit and their points, shard by shard."""
    shards = [_shard_with_hits(lake, scores, month, shard, rules, members) for shard in range(lake.shards)]
    frame = pl.concat(shards)
    if frame.height != scores.rows or frame["subscriber_id"].n_unique() != frame.height:
        raise NotReady(f"The scores of {month} do not fit its factors. Run prediction again, then grading.")
    return frame


def _shard_with_hits(
    lake: Lake, scores: Manifest, month: str, shard: int, rules: ActiveRules, members: pl.Expr | None
) -> pl.DataFrame:
    hits = hits_of(lake.scan("factors", month, shard), rules, members).with_columns(
        pl.lit(shard, pl.UInt32).alias("shard")
    )
    return (
        lake.scan(scores.table, scores.month, shard)
        .join(hits, on="subscriber_id")
        .collect(engine="streaming")
    )


def hits_of(people: pl.LazyFrame, rules: ActiveRules, members: pl.Expr | None = None) -> pl.LazyFrame:
    """Whom of the factors rows `people` which rules hit, and who is a member: all grading needs but the score."""
    named: list[pl.Expr] = [pl.when(hit).then(pl.lit(rule.name)) for rule, hit in rules.hits]
    points = [pl.when(hit).then(rule.points).otherwise(0.0) for rule, hit in rules.hits] or [pl.lit(0.0)]
    floors = [hit for rule, hit in rules.hits if rule.floor == HIGH] or [pl.lit(False)]
    return people.select(
        "subscriber_id",
        *_FROM_FACTORS,
        pl.concat_list(*named, pl.lit(None, pl.String)).list.drop_nulls().alias("rule_hits"),
        sum_across(points).alias("rule_points"),
        pl.any_horizontal(floors).alias("has_high_floor"),
        (pl.lit(True) if members is None else members).alias("is_member"),
    )


def _summary(graded: pl.DataFrame, rules: ActiveRules, limits: Limits) -> dict[str, Any]:
    hits = dict(graded["rule_hits"].explode().drop_nulls().value_counts().iter_rows())
    return {
        "stage": "grading",
        "rows_in": graded.height,
        "rows_out": graded.height,
        "quarantined": 0,
        "grades": _counts(graded["grade"], GRADES),
        "tiers": _counts(graded["tier"], TIERS),
        "rule_hits": {rule.name: hits.get(rule.name, 0) for rule, _ in rules.hits},
        "inactive_rules": rules.inactive,
        "base_rate": limits.base_rate,
        "outside_population": graded.filter(~pl.col("is_member")).height,
    }


def _counts(column: pl.Series, words: Sequence[str]) -> dict[str, int]:
    found = dict(column.value_counts().iter_rows())
    return {word: found.get(word, 0) for word in words}


def _publish(
    db: sa.Connection, lake: Lake, graded: pl.DataFrame, inputs: Sequence[Any], facts: Mapping[str, Any]
) -> None:
    table, cycle = grades_of(facts["campaign"], facts["revision"]), facts["cycle"]
    fingerprint = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()
    lock(db, table, cycle)
    parts = [
        lake.write_part(
            table,
            cycle,
            shard,
            graded.filter(pl.col("shard") == shard).select(_COLUMNS),
            f"grading-{fingerprint[:12]}",
        )
        for shard in range(lake.shards)
    ]
    lake.publish(table, cycle, parts, fingerprint=fingerprint, facts=facts)


def _restores(db: sa.Connection, lake: Lake, graded: pl.DataFrame, key: Mapping[str, str]) -> bool:
    """Whether the grades a cycle was dispatched from are damaged, and `graded` gives its very warnings again."""
    if lake.standing(grades_of(key["campaign"]), key["cycle"]):
        return False
    warned = graded.filter(pl.col("grade") != LOW).select("subscriber_id", "grade", "tier", "rank")
    return sorted(warned.rows()) == sorted(tuple(row) for row in db.execute(Q["warned"], key))


def _replace_warnings(db: sa.Connection, graded: pl.DataFrame, key: Mapping[str, Any]) -> None:
    """Replace the revision's warnings by the high and mid of `graded`, inside the open transaction."""
    warned = graded.filter(pl.col("grade") != LOW)
    joined = pl.concat_str(pl.lit("{"), pl.col("rule_hits").list.join(","), pl.lit("}"))
    rows = warned.with_columns(
        *(pl.lit(value).alias(name) for name, value in key.items()),
        pl.coalesce("customer_id", "subscriber_id").alias("customer_key"),
        joined.alias("rule_hits"),
        pl.col("value_yuan").round(4),
        ((pl.col("grade") == HIGH) & (pl.col("tier") == "priority")).alias("is_admitted"),
    ).select(_WARNING)
    db.execute(Q["delete_warnings"], key)
    db.execute(Q["stage_warnings"])
    for piece in rows.iter_slices(_LOADED_AT_ONCE):
        copy_rows(db, "staged_warnings", _WARNING, piece.iter_rows())
    db.execute(Q["insert_warnings"])
