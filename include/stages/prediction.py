"""Prediction: a calibrated probability of churn for everybody, by the champion of the tenure cluster."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from itertools import chain
from typing import Any

import numpy as np
import polars as pl
from sqlalchemy import Connection

from include.config import Config
from include.database import lock
from include.domain.errors import NotReady
from include.lake import Lake, Manifest, Part
from include.lake.campaigns import scores_of
from include.models import champions as registry
from include.models import store
from include.models.champions import POOLED, RULES, Champion
from include.run import cycles

#: Rows turned into a float32 matrix at a time: flat memory for any size of shard.
CHUNK = 250_000


def champions(
    *, db: Connection, lake: Lake, config: Config, month: str, as_of: datetime, campaign: str
) -> dict[str, Champion]:
    """Who scores `month` as known at `as_of`: cluster → champion (JSON), "pooled" for clusters not named.

    To be resolved once per run, so that every shard is scored by the same. Their files are checked here. A campaign
    without a model goes by the rules, whatever it once had.
    """
    if config.campaign(campaign).model is None:
        return {POOLED: registry.rules_champion(config.texts["rules.yaml"])}
    chosen = registry.champions(db, campaign, month, as_of, config.texts["rules.yaml"])
    for champion in chosen.values():
        if champion["kind"] != RULES:
            store.load(lake, champion["version"], champion["sha256"])
    return chosen


def predict_shard(
    *,
    lake: Lake,
    config: Config,
    campaign: str,
    cycle: str,
    month: str,
    shard: int,
    champions: Mapping[str, Champion],
    run_id: str,
    revision: int = 0,
    nthread: int | None = None,
) -> dict[str, Any]:
    """Score one shard of the month's factors into an unpublished part of the cycle's scores; the part as a dict."""
    factors = lake.scan("factors", month, shard)
    total = int(factors.select(pl.len()).collect().item())
    pieces = [
        _scored(factors.slice(start, CHUNK).collect(), lake, champions, nthread)
        for start in range(0, max(total, 1), CHUNK)
    ]
    scores = _without_own_answers(pl.concat(pieces), lake, campaign, month, shard, champions)
    return asdict(lake.write_part(scores_of(campaign, revision), cycle, shard, scores, run_id))


def publish(
    *,
    db: Connection,
    lake: Lake,
    config: Config,
    campaign: str,
    cycle: str,
    month: str,
    parts: list[dict[str, Any]],
    as_of: datetime,
    revision: int,
    champions: Mapping[str, Champion],
) -> dict[str, Any]:
    """Make the parts of all shards the scores of the cycle, marked with the run they came from; returns counts.

    The scores a dispatched cycle was made from stay: a late run of revision 0 leaves them as they are, unless they
    are damaged and these are the very same.
    """
    made = [Part.of(part) for part in parts]
    missing = sorted(set(range(lake.shards)) - {part.shard for part in made})
    if missing:
        raise NotReady(
            f"Shard {missing[0]} of {month} was not scored. Run predict_shard for it, then publish."
        )
    fingerprint, table = _fingerprint(lake, month, champions), scores_of(campaign, revision)
    key = {"campaign": campaign, "cycle": cycle}
    with db.begin():
        # the same lock as dispatch: a cycle is not fixed while its scores are replaced
        lock(db, "dispatch", campaign, cycle)
        lock(db, table, cycle)
        fixed = cycles.dispatched_from(db, campaign, cycle) if revision == 0 else None
        if fixed is not None:
            same = fixed.get("inputs", {}).get("scores") == fingerprint
            if not same or lake.standing(table, cycle):
                stands = lake.manifest(table, cycle)
                return _counts(lake, month, stands, champions) | {"rows_out": 0, "fixed": True}
        manifest = lake.publish(
            table,
            cycle,
            made,
            fingerprint=fingerprint,
            facts={"champions": dict(champions), **cycles.provenance(config, key, as_of, revision)},
        )
    return _counts(lake, month, manifest, champions)


def predict(
    *,
    db: Connection,
    lake: Lake,
    config: Config,
    campaign: str,
    cycle: str,
    month: str,
    as_of: datetime,
    run_id: str,
    revision: int,
    nthread: int | None = None,
) -> dict[str, Any]:
    """Resolve the champions, score every shard in turn and publish."""
    chosen = champions(db=db, lake=lake, config=config, month=month, as_of=as_of, campaign=campaign)
    scoring: dict[str, Any] = {
        "lake": lake,
        "config": config,
        "campaign": campaign,
        "cycle": cycle,
        "month": month,
        "champions": chosen,
        "run_id": run_id,
    }
    parts = [
        predict_shard(**scoring, shard=shard, revision=revision, nthread=nthread)
        for shard in range(lake.shards)
    ]
    return publish(
        db=db,
        lake=lake,
        config=config,
        campaign=campaign,
        cycle=cycle,
        month=month,
        parts=parts,
        as_of=as_of,
        revision=revision,
        champions=chosen,
    )


def reasons(
    *,
    lake: Lake,
    config: Config,
    month: str,
    champions: Mapping[str, Champion],
    subscriber_ids: list[str],
    revision: int = 0,
    top: int | None = 10,
) -> dict[str, list[dict[str, Any]]]:
    """Per subscriber the `top` factors (None: all) that raise the risk most, with value and contribution.

    Contributions are exact log-odds of the champion before calibration; over all factors, with the model's
    base, they sum to its margin. Empty where the rules serve. Out-of-fold scores of a labelled month are
    explained by the champion itself.
    """
    found: dict[str, list[dict[str, Any]]] = {subscriber: [] for subscriber in subscriber_ids}
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
    scores: pl.DataFrame, lake: Lake, campaign: str, month: str, shard: int, champions: Mapping[str, Champion]
) -> pl.DataFrame:
    """Where a champion learned from this very month, the scores it made without the person take over."""
    for champion in champions.values():
        if not champion.get("is_out_of_fold"):
            continue
        version = champion["version"]
        unseen = registry.out_of_fold(lake, campaign, month, version, shard)
        if unseen is None:
            raise NotReady(
                f"The out-of-fold scores of {version} for {month} are gone. Train {month} again first."
            )
        own = unseen.with_columns(pl.lit(version).alias("model_version")).collect()
        scores = scores.update(own, on=["subscriber_id", "model_version"], how="left")
    return scores


def _explained(model: store.Model, people: pl.DataFrame, top: int | None) -> list[list[dict[str, Any]]]:
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


def _counts(lake: Lake, month: str, manifest: Manifest, champions: Mapping[str, Champion]) -> dict[str, Any]:
    return {
        "stage": "prediction",
        "month": month,
        "rows_in": lake.manifest("factors", month).rows,
        "rows_out": manifest.rows,
        "quarantined": 0,
        "model_version": champions[POOLED]["version"],
        "is_out_of_fold": bool(champions[POOLED].get("is_out_of_fold")),
        "factors_missing": _missing(lake, month, champions),
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
