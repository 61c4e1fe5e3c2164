"""Champions: which version scores which tenure cluster at an instant, and when a new one takes over."""

import hashlib
import json
from datetime import datetime
from typing import Any

import polars as pl
from sqlalchemy import Connection

from include.database import lock
from include.lake import Lake
from include.queries import load
from include.stages import models, quality
from include.stages.examples import LabelledMonth

POOLED = "pooled"
RULES = "rules"
OUT_OF_FOLD = "scores_out_of_fold"

#: JSON: version, kind, base_rate (null for rules), sha256, trained_for, is_out_of_fold.
Champion = dict[str, Any]


def champions(
    db: Connection, campaign: str, month: str, as_of: datetime, rules_text: str
) -> dict[str, Champion]:
    """Per tenure cluster, and always under "pooled", the version that scores `month` as known at `as_of`.

    Versions registered with a later as_of do not exist yet; where no model does, the rules serve.
    """
    with db.begin():
        return {POOLED: rules_champion(rules_text), **_chosen(db, campaign, month, as_of)}


def rules_champion(rules_text: str) -> Champion:
    """What serves without a model: no probability, and the rules' own hash as version."""
    digest = hashlib.sha256(rules_text.encode()).hexdigest()[:8]
    return {"version": f"rules-{digest}", "kind": RULES, "base_rate": None}


def settle(
    db: Connection,
    lake: Lake,
    registration: dict[str, Any],
    newest: LabelledMonth,
    loss: float,
    now: datetime,
) -> str:
    """Register a trained version and promote it when no champion is better on `newest`; return its state.

    `loss` is its own out-of-sample weighted log loss there; the champion is judged by the same rows.
    """
    queries, campaign, as_of = load("training"), registration["campaign"], registration["as_of"]
    with db.begin():
        lock(db, "training", campaign)
        standing = _standing(db, campaign, newest.month, as_of)
        is_beaten = standing is None or _loss_of(lake, standing, newest) >= loss
        db.execute(
            queries["register_model"], {**registration, "metrics": json.dumps(registration["metrics"])}
        )
        if not is_beaten:
            return "candidate"
        db.execute(queries["retire_champion"], registration)
        promoted = {"model_version": registration["model_version"], "now": now}
        return str(db.execute(queries["promote"], promoted).scalar_one())


def out_of_fold(lake: Lake, month: str, version: str, shard: int | None = None) -> pl.LazyFrame | None:
    """Scores (subscriber_id, probability) that `version` made of people of `month` it did not learn from."""
    if not lake.has(OUT_OF_FOLD, month):
        return None
    if version not in lake.manifest(OUT_OF_FOLD, month).facts["model_versions"]:
        return None
    scores = lake.scan(OUT_OF_FOLD, month, shard)
    return scores.filter(pl.col("model_version") == version).select("subscriber_id", "probability")


def _chosen(db: Connection, campaign: str, month: str, as_of: datetime) -> dict[str, Champion]:
    asked = {"campaign": campaign, "month": month, "as_of": as_of}
    found = db.execute(load("prediction")["champions"], asked).mappings()
    return {row["cluster"]: _champion(dict(row), month) for row in found}


def _champion(row: dict[str, Any], month: str) -> Champion:
    return {
        "version": row["model_version"],
        "kind": row["kind"],
        "base_rate": row["base_rate"],
        "sha256": row["sha256"],
        "trained_for": row["trained_for"],
        "is_out_of_fold": month in row["window_months"],
    }


def _standing(db: Connection, campaign: str, month: str, as_of: datetime) -> Champion | None:
    return _chosen(db, campaign, month, as_of).get(POOLED)


def _loss_of(lake: Lake, champion: Champion, newest: LabelledMonth) -> float:
    """The champion's weighted log loss on a month, from scores of people it did not learn from."""
    shards = [_judged(lake, champion, newest, shard) for shard in range(lake.shards)]
    judged = pl.concat(shards).filter(pl.col("weight") > 0)
    happened = judged["has_churned"].cast(pl.Float64).to_numpy()
    return quality.log_loss(judged["probability"].to_numpy(), happened, judged["weight"].to_numpy())


def _judged(lake: Lake, champion: Champion, newest: LabelledMonth, shard: int) -> pl.DataFrame:
    people = newest.people(lake, shard)
    if champion["is_out_of_fold"]:
        scored = out_of_fold(lake, newest.month, champion["version"], shard)
        if scored is not None:
            return (
                people.select("subscriber_id", "has_churned", "weight")
                .join(scored, on="subscriber_id")
                .collect()
            )
    model = models.load(lake, champion["version"], champion["sha256"])
    rows = people.collect(engine="streaming")
    probability = pl.Series(
        "probability", model.probabilities(models.matrix(rows, model.factors)), pl.Float64
    )
    return rows.select("subscriber_id", "has_churned", "weight", probability)
