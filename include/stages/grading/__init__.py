"""Grading: whom a campaign looks at, whom the rules hit, who is admitted, and a unique rank."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired

import polars as pl
import sqlalchemy as sa

from include.config import Config
from include.database import copy_rows, lock
from include.database.queries import load
from include.domain.dispatch.grading import GRADES, LOW, MONITORING, TIERS, Thresholds
from include.domain.errors import NotReady
from include.lake import Manifest
from include.lake.locks import hold
from include.run import Run, cycles
from include.run.results import Counts
from include.stages.grading.admission import by_all, by_grade
from include.stages.grading.population import Looked, looked_at
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


class Graded(Counts):
    """How many were graded how; found: by the campaign's source, where it has one."""

    admitted: int
    grades: dict[str, int]
    tiers: dict[str, int]
    rule_hits: dict[str, int]
    inactive_rules: dict[str, str]
    base_rate: float
    outside_population: int
    found: NotRequired[int]
    fixed: NotRequired[bool]


def grade(run: Run) -> Graded:
    """Grade everybody the campaign looks at into the lake, and whom people act on into `warnings`.

    Replaces what the same revision held before; a cycle that is already dispatched stays as it is. NotReady
    when the scores that stand were made for another cycle, as_of or revision; a campaign without a model needs none.
    Where what it rests on was not delivered the result says so as `message`, and nobody is graded.
    """
    scores = _own_scores(run) if run.rules.model else None
    factors = run.lake.manifest("factors", run.month)
    looked = looked_at(run, scores)
    thresholds = thresholds_of(run.config, scores)
    graded, refused = _graded(run, looked.people, thresholds)
    summary = _summary(graded, looked, thresholds)
    inputs = {"factors": factors.fingerprint, **({"scores": scores.fingerprint} if scores else {})}
    with run.db.begin():
        # the same lock as dispatch: a cycle is not fixed while its warnings are replaced
        lock(run.db, "dispatch", run.campaign, run.cycle)
        fixed = cycles.dispatched_from(run.db, run.campaign, run.cycle) if run.revision == 0 else None
        if fixed is not None and not (
            inputs.items() <= fixed.get("inputs", {}).items() and _restores(run, graded)
        ):
            return {**summary, "rows_out": 0, "fixed": True}
        if scores and _own_scores(run).fingerprint != scores.fingerprint:
            raise NotReady(
                f"The scores of {run.cycle} were replaced while they were graded. Run grading again."
            )
        described = [
            scores.fingerprint if scores else "",
            factors.fingerprint,
            run.config.texts["rules.yaml"],
            run.config.texts["grading.yaml"],
            *looked.made_of,
        ]
        facts = {**summary, **run.provenance, "config_hash": run.config.hash, "inputs": inputs}
        _publish(run, graded, [*described, refused], facts)
        if fixed is None:
            _replace_warnings(run.db, graded, run.key_of_revision)
    with run.db.begin():  # apart: nothing waits for its lock, and without it the rest is slower and as right
        run.db.execute(Q["analyze_warnings"])
    return summary


def _graded(run: Run, people: pl.DataFrame, thresholds: Thresholds) -> tuple[pl.DataFrame, list[str]]:
    """`people` in the order of their rank, by grade or all, and by grade who refused before."""
    rules = run.rules
    has_order = rules.rank is not None
    if rules.admission.by == "all":
        return by_all(people, rules.admission.top, has_order=has_order), []
    with run.db.begin():
        refusals = run.db.execute(Q["past_refusals"], {**run.key, "as_of": run.as_of}).all()
    holders = new_holders(run.lake, run.month, run.as_of).collect(engine="streaming")
    refused = _refused(people, refusals, holders)
    return by_grade(people, thresholds, refused, rules.admission.top, has_order=has_order), refused


def _own_scores(run: Run) -> Manifest:
    """The scores that stand, made for this very cycle, as_of and revision; NotReady when they are another run's."""
    scores = run.lake.manifest(run.scores_table, run.cycle)
    if foreign := run.foreign(scores.facts):
        raise NotReady(f"The scores {foreign}; run prediction for this as_of first.")
    return scores


def thresholds_of(config: Config, scores: Manifest | None) -> Thresholds:
    """The thresholds in force: the base rate is the pooled model's when there is one, else the configured."""
    facts = scores.facts if scores else {}
    pooled = facts.get("champions", {}).get("pooled", {})
    base_rate = facts.get("base_rate") or pooled.get("base_rate") or config.grading.base_rate
    configured = {name: float(value) for name, value in config.grading.model_dump().items()}
    return Thresholds(**configured | {"base_rate": float(base_rate)})


def _refused(people: pl.DataFrame, refusals: Sequence[Any], holders: pl.DataFrame) -> list[str]:
    """Whose customer refused or was not reached; not whose number's former holder did and left afterwards."""
    said = pl.DataFrame([tuple(row) for row in refusals], schema=_REFUSAL, orient="row")
    customer = pl.coalesce("customer_id", "subscriber_id").alias("customer_key")
    theirs = people.select("subscriber_id", customer).join(said, on="customer_key")
    theirs = theirs.join(holders, on="subscriber_id", how="left")
    is_lapsed = (pl.col("subscriber_id") == pl.col("refused_by")) & (
        pl.col("refused_on") <= pl.col("left_on")
    )
    return theirs.filter(~is_lapsed.fill_null(False))["subscriber_id"].unique().sort().to_list()


def _summary(graded: pl.DataFrame, looked: Looked, thresholds: Thresholds) -> Graded:
    rules = looked.rules
    hits = dict(graded["rule_hits"].explode().drop_nulls().value_counts().iter_rows())
    summary: Graded = {
        "stage": "grading",
        "rows_in": graded.height,
        "rows_out": graded.height,
        "quarantined": 0,
        "admitted": int(graded["is_admitted"].sum()),
        "grades": _counts(graded["grade"], GRADES),
        "tiers": _counts(graded["tier"], TIERS),
        "rule_hits": {rule.name: hits.get(rule.name, 0) for rule, _ in rules.hits},
        "inactive_rules": rules.inactive,
        "base_rate": thresholds.base_rate,
        "outside_population": graded.filter(~pl.col("is_member")).height,
    }
    if looked.found is not None:
        summary["found"] = looked.found
    if looked.note:
        summary["message"] = looked.note
    return summary


def _counts(column: pl.Series, words: Sequence[str]) -> dict[str, int]:
    found = dict(column.value_counts().iter_rows())
    return {word: found.get(word, 0) for word in words}


def _publish(run: Run, graded: pl.DataFrame, inputs: Sequence[Any], facts: Mapping[str, Any]) -> None:
    fingerprint = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()
    hold(run.db, run.grades_table, run.cycle)
    parts = [
        run.lake.write_part(
            run.grades_table,
            run.cycle,
            shard,
            graded.filter(pl.col("shard") == shard).select(_COLUMNS),
            f"grading-{fingerprint[:12]}",
        )
        for shard in range(run.lake.shards)
    ]
    run.lake.publish(run.grades_table, run.cycle, parts, fingerprint=fingerprint, facts=facts)


def _restores(run: Run, graded: pl.DataFrame) -> bool:
    """Whether the grades a cycle was dispatched from are damaged, and `graded` gives its very warnings again."""
    if run.lake.standing(run.grades_table, run.cycle):
        return False
    warned = graded.filter(_IS_WARNED).select("subscriber_id", "grade", "tier", "rank")
    return set(warned.iter_rows()) == {tuple(row) for row in run.db.execute(Q["warned"], run.key)}


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
