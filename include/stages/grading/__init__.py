"""Grading: whom a campaign looks at, whom the rules hit, who is admitted, and a unique rank."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl
import sqlalchemy as sa

from include.config import Config
from include.database import copy_rows, lock
from include.database.queries import load
from include.domain.dispatch.grading import GRADES, LOW, MONITORING, TIERS, Limits
from include.domain.errors import NotReady
from include.lake import Lake, Manifest
from include.lake.campaigns import grades_of, scores_of
from include.run import cycles
from include.stages.grading.admission import by_all, by_grade
from include.stages.grading.population import Looked, looked_at
from include.stages.grading.sources import Asked
from include.subscribers.holders import new_holders

Q = load("stages/grading")

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


# High and mid; where nobody is graded, whom a person is to call or a message to reach.
_IS_WARNED = (pl.col("grade") != LOW).fill_null(pl.col("tier") != MONITORING)


def grade(
    *, db: sa.Connection, lake: Lake, config: Config, campaign: str, cycle: str, month: str, as_of: datetime,
    now: datetime, revision: int,
) -> dict[str, Any]:  # fmt: skip
    """Grade everybody the campaign looks at into the lake, and whom people act on into `warnings`.

    Replaces what the same revision held before; a cycle that is already dispatched stays as it is. NotReady
    when the scores that stand were made for another cycle, as_of or revision; a campaign without a model needs none.
    Where what it rests on was not delivered the result says so as `message`, and nobody is graded.
    """
    key = {"campaign": campaign, "cycle": cycle}
    scores = _own_scores(lake, key, as_of, revision) if config.campaign(campaign).model else None
    asked = Asked(db, lake, config, campaign, month, as_of)
    factors = lake.manifest("factors", month)
    looked = looked_at(asked, scores)
    limits = limits_of(config, scores)
    graded, refused = _graded(asked, cycle, looked.people, limits)
    summary = _summary(graded, looked, limits)
    inputs = {"factors": factors.fingerprint, **({"scores": scores.fingerprint} if scores else {})}
    with db.begin():
        # the same lock as dispatch: a cycle is not fixed while its warnings are replaced
        lock(db, "dispatch", campaign, cycle)
        fixed = cycles.dispatched_from(db, campaign, cycle) if revision == 0 else None
        if fixed is not None and not (
            inputs.items() <= fixed.get("inputs", {}).items() and _restores(db, lake, graded, key)
        ):
            return summary | {"rows_out": 0, "fixed": True}
        if scores and _own_scores(lake, key, as_of, revision).fingerprint != scores.fingerprint:
            raise NotReady(f"The scores of {cycle} were replaced while they were graded. Run grading again.")
        described = [
            scores.fingerprint if scores else "",
            factors.fingerprint,
            config.texts["rules.yaml"],
            config.texts["grading.yaml"],
            *looked.made_of,
        ]
        facts = {**summary, **cycles.provenance(config, key, as_of, revision), "inputs": inputs}
        _publish(db, lake, graded, [*described, refused], facts)
        if fixed is None:
            _replace_warnings(db, graded, key | {"revision": revision})
    with db.begin():  # apart: nothing waits for its lock, and without it the rest is slower and as right
        db.execute(Q["analyze_warnings"])
    return summary


def _graded(asked: Asked, cycle: str, people: pl.DataFrame, limits: Limits) -> tuple[pl.DataFrame, list[str]]:
    """`people` in the order of their rank, by grade or all, and by grade who refused before."""
    campaign = asked.campaign
    has_order = campaign.rank is not None
    if campaign.admission.by == "all":
        return by_all(people, campaign.admission.top, has_order=has_order), []
    values = {"campaign": asked.name, "cycle": cycle, "as_of": asked.as_of}
    with asked.db.begin():
        refusals = asked.db.execute(Q["past_refusals"], values).all()
    holders = new_holders(asked.lake, asked.month, asked.as_of).collect(engine="streaming")
    refused = _refused(people, refusals, holders)
    return by_grade(people, limits, refused, campaign.admission.top, has_order=has_order), refused


def _own_scores(lake: Lake, key: Mapping[str, str], as_of: datetime, revision: int) -> Manifest:
    """The scores that stand, made for this very cycle, as_of and revision; NotReady when they are another run's."""
    scores = lake.manifest(scores_of(key["campaign"], revision), key["cycle"])
    if foreign := cycles.foreign(scores.facts, key, as_of, revision):
        raise NotReady(f"The scores {foreign}; run prediction for this as_of first.")
    return scores


def limits_of(config: Config, scores: Manifest | None) -> Limits:
    """The thresholds in force: the base rate is the pooled model's when there is one, else the configured."""
    facts = scores.facts if scores else {}
    pooled = facts.get("champions", {}).get("pooled", {})
    base_rate = facts.get("base_rate") or pooled.get("base_rate") or config.grading.base_rate
    configured = {name: float(value) for name, value in config.grading.model_dump().items()}
    return Limits(**configured | {"base_rate": float(base_rate)})


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


def _summary(graded: pl.DataFrame, looked: Looked, limits: Limits) -> dict[str, Any]:
    rules = looked.rules
    hits = dict(graded["rule_hits"].explode().drop_nulls().value_counts().iter_rows())
    return {
        "stage": "grading",
        "rows_in": graded.height,
        "rows_out": graded.height,
        "quarantined": 0,
        "admitted": int(graded["is_admitted"].sum()),
        "grades": _counts(graded["grade"], GRADES),
        "tiers": _counts(graded["tier"], TIERS),
        "rule_hits": {rule.name: hits.get(rule.name, 0) for rule, _ in rules.hits},
        "inactive_rules": rules.inactive,
        "base_rate": limits.base_rate,
        "outside_population": graded.filter(~pl.col("is_member")).height,
        **({} if looked.found is None else {"found": looked.found}),
        **({"message": looked.note} if looked.note else {}),
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
    warned = graded.filter(_IS_WARNED).select("subscriber_id", "grade", "tier", "rank")
    return set(warned.iter_rows()) == {tuple(row) for row in db.execute(Q["warned"], key)}


def _replace_warnings(db: sa.Connection, graded: pl.DataFrame, key: Mapping[str, Any]) -> None:
    """Replace the revision's warnings by those of `graded` people act on, inside the open transaction."""
    warned = graded.filter(_IS_WARNED)
    joined = pl.concat_str(pl.lit("{"), pl.col("rule_hits").list.join(","), pl.lit("}"))
    rows = warned.with_columns(
        *(pl.lit(value).alias(name) for name, value in key.items()),
        pl.coalesce("customer_id", "subscriber_id").alias("customer_key"),
        joined.alias("rule_hits"),
        pl.col("value_yuan").round(4),
    ).select(_WARNING)
    db.execute(Q["delete_warnings"], key)
    db.execute(Q["stage_warnings"])
    for piece in rows.iter_slices(_LOADED_AT_ONCE):
        copy_rows(db, "staged_warnings", _WARNING, piece.iter_rows())
    db.execute(Q["insert_warnings"])
