"""Prediction: a calibrated probability of churn for everybody, by the champion of the tenure cluster."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NotRequired, TypedDict

import numpy as np
import polars as pl

from include.database import lock
from include.domain.errors import NotReady
from include.lake import Lake, Manifest, Part
from include.lake.locks import hold
from include.lake.manifest import PartFacts
from include.models import champions as registry
from include.models import store
from include.models.champions import POOLED, RULES, Champion
from include.run import Run, cycles
from include.run.results import Counts, new_name

#: Rows turned into a float32 matrix at a time: flat memory for any size of shard.
CHUNK = 250_000


class Contribution(TypedDict):
    """What a factor of a subscriber adds to the log-odds of churn; value: null where it is unknown."""

    factor: str
    value: float | None
    contribution: float


class Predicted(Counts):
    """fixed: the cycle was dispatched from the scores that stand. factors_missing: typical values stood in for them."""

    month: str
    model_version: str
    is_out_of_fold: bool
    factors_missing: list[str]
    fixed: NotRequired[bool]


def champions(run: Run) -> dict[str, Champion]:
    """Who scores the month as known at `as_of`: cluster → champion (JSON), "pooled" for clusters not named.

    To be resolved once per run, so that every shard is scored by the same. Their files are checked here. A campaign
    without a model goes by the rules, whatever it once had.
    """
    rules_text = run.config.texts["rules.yaml"]
    if run.rules.model is None:
        return {POOLED: registry.rules_champion(rules_text)}
    chosen = registry.champions(run.db, run.campaign, run.month, run.as_of, rules_text)
    for champion in chosen.values():
        if champion["kind"] != RULES:
            store.load(run.lake, champion["version"], champion["sha256"])
    return chosen


def predict_shard(
    run: Run, *, champions: Mapping[str, Champion], shard: int, nthread: int | None = None
) -> PartFacts:
    """Score one shard of the month's factors into an unpublished part of the cycle's scores; the part as a dict."""
    factors = run.lake.scan("factors", run.month, shard)
    total = int(factors.select(pl.len()).collect().item())
    pieces = [
        _scored(factors.slice(start, CHUNK).collect(), run.lake, champions, nthread)
        for start in range(0, max(total, 1), CHUNK)
    ]
    scores = _without_own_answers(run, pl.concat(pieces), shard, champions)
    return run.lake.write_part(run.scores_table, run.cycle, shard, scores, new_name()).as_facts()


def publish(run: Run, *, champions: Mapping[str, Champion], parts: Sequence[PartFacts]) -> Predicted:
    """Make the parts of all shards the scores of the cycle, marked with the run they came from; returns counts.

    The scores a dispatched cycle was made from stay: a late run of revision 0 leaves them as they are, unless they
    are damaged and these are the very same. NotReady when a shard is missing.
    """
    lake, table = run.lake, run.scores_table
    made = [Part.of(part) for part in parts]
    missing = sorted(set(range(lake.shards)) - {part.shard for part in made})
    if missing:
        raise NotReady(
            f"Shard {missing[0]} of {run.month} was not scored. Run predict_shard for it, then publish."
        )
    fingerprint = _fingerprint(lake, run.month, champions)
    with run.db.begin():
        # the same lock as dispatch: a cycle is not fixed while its scores are replaced
        lock(run.db, "dispatch", run.campaign, run.cycle)
        hold(run.db, table, run.cycle)
        fixed = cycles.dispatched_from(run.db, run.campaign, run.cycle) if run.revision == 0 else None
        if fixed is not None:
            same = fixed.get("inputs", {}).get("scores") == fingerprint
            if not same or lake.standing(table, run.cycle):
                stands = lake.manifest(table, run.cycle)
                return {**_counts(run, stands, champions), "rows_out": 0, "fixed": True}
        facts = {"champions": dict(champions), **run.provenance, "config_hash": run.config.hash}
        manifest = lake.publish(table, run.cycle, made, fingerprint=fingerprint, facts=facts)
    return _counts(run, manifest, champions)


def predict(run: Run, *, nthread: int | None = None) -> Predicted:
    """Resolve the champions, score every shard in turn and publish."""
    chosen = champions(run)
    parts = [
        predict_shard(run, champions=chosen, shard=shard, nthread=nthread) for shard in range(run.lake.shards)
    ]
    return publish(run, champions=chosen, parts=parts)


def reasons(
    *,
    lake: Lake,
    month: str,
    champions: Mapping[str, Champion],
    subscriber_ids: list[str],
    top: int | None = 10,
) -> dict[str, list[Contribution]]:
    """Per subscriber the `top` factors (None: all) that raise the risk most, with value and contribution.

    Contributions are exact log-odds of the champion before calibration; over all factors, with the model's
    base, they sum to its margin. Empty where the rules serve. Out-of-fold scores of a labelled month are
    explained by the champion itself.
    """
    found: dict[str, list[Contribution]] = {subscriber: [] for subscriber in subscriber_ids}
    wanted = pl.Series("subscriber_id", subscriber_ids, dtype=pl.String)
    people = lake.scan("factors", month).filter(pl.col("subscriber_id").is_in(wanted.implode())).collect()
    for champion, rows in _by_champion(people, champions):
        if champion["kind"] != RULES:
            model = store.load(lake, champion["version"], champion["sha256"])
            found |= dict(zip(rows["subscriber_id"], _explained(model, rows, top), strict=True))
    return found


def _by_champion(
    people: pl.DataFrame, champions: Mapping[str, Champion]
) -> list[tuple[Champion, pl.DataFrame]]:
    """The rows of each champion: those of its cluster, or of all clusters without one of their own."""
    named = [cluster for cluster in champions if cluster != POOLED]
    is_own = pl.col("cluster").is_in(named).fill_null(False)
    pairs = [(champions[cluster], people.filter(pl.col("cluster") == cluster)) for cluster in named]
    return [(champions[POOLED], people.filter(~is_own)), *pairs]


def _scored(
    people: pl.DataFrame, lake: Lake, champions: Mapping[str, Champion], nthread: int | None
) -> pl.DataFrame:
    return pl.concat(_scored_by(who, rows, lake, nthread) for who, rows in _by_champion(people, champions))


def _scored_by(champion: Champion, people: pl.DataFrame, lake: Lake, nthread: int | None) -> pl.DataFrame:
    if champion["kind"] == RULES:
        probability = pl.Series([None] * people.height, dtype=pl.Float64)
    else:
        model = store.load(lake, champion["version"], champion["sha256"], nthread)
        probability = pl.Series(model.probabilities(model.matrix(people)), dtype=pl.Float64)
    return people.select(
        "subscriber_id",
        probability.alias("probability"),
        pl.lit(champion["version"]).alias("model_version"),
        pl.col("cluster").cast(pl.String),
    )


def _without_own_answers(
    run: Run, scores: pl.DataFrame, shard: int, champions: Mapping[str, Champion]
) -> pl.DataFrame:
    """Where a champion learned from this very month, the scores it made without the person take over."""
    for champion in champions.values():
        if not champion.get("is_out_of_fold"):
            continue
        version = champion["version"]
        unseen = registry.out_of_fold(run.lake, run.campaign, run.month, version, shard)
        if unseen is None:
            raise NotReady(
                f"The out-of-fold scores of {version} for {run.month} are gone. Train {run.month} again first."
            )
        own = unseen.with_columns(pl.lit(version).alias("model_version")).collect()
        scores = scores.update(own, on=["subscriber_id", "model_version"], how="left")
    return scores


def _explained(model: store.Model, people: pl.DataFrame, top: int | None) -> list[list[Contribution]]:
    values = store.matrix(people, model.factors)  # as they are known, to be told
    contributions = model.contributions(model.matrix(people))[:, :-1]
    order = np.argsort(-contributions, axis=1, kind="stable")[:, :top]
    return [
        [
            {
                "factor": model.factors[at],
                "value": None if np.isnan(values[row, at]) else float(values[row, at]),
                "contribution": float(contributions[row, at]),
            }
            for at in order[row]
        ]
        for row in range(people.height)
    ]


def _fingerprint(lake: Lake, month: str, champions: Mapping[str, Champion]) -> str:
    made_of = [lake.manifest("factors", month).fingerprint, dict(champions)]
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def _counts(run: Run, manifest: Manifest, champions: Mapping[str, Champion]) -> Predicted:
    return {
        "stage": "prediction",
        "month": run.month,
        "rows_in": run.lake.manifest("factors", run.month).rows,
        "rows_out": manifest.rows,
        "quarantined": 0,
        "model_version": champions[POOLED]["version"],
        "is_out_of_fold": bool(champions[POOLED].get("is_out_of_fold")),
        "factors_missing": _missing(run.lake, run.month, champions),
    }


def _missing(lake: Lake, month: str, champions: Mapping[str, Champion]) -> list[str]:
    """The factors a champion knows and the month lacks: typical values of training stood in for them."""
    there = set(lake.scan("factors", month).collect_schema().names())
    wanted = [
        store.load(lake, champion["version"], champion["sha256"]).factors
        for champion in champions.values()
        if champion["kind"] != RULES
    ]
    return [name for name in dict.fromkeys(chain.from_iterable(wanted)) if name not in there]
