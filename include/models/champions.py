"""Champions: which version scores which tenure cluster at an instant, and when a new one takes over."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NotRequired, TypedDict

import polars as pl
from sqlalchemy import Connection

from include.database import lock
from include.database.queries import load
from include.lake import Lake
from include.lake.campaigns import OUT_OF_FOLD, of_campaign
from include.models import bootstrap, quality, store
from include.models.calibration import Floats, calibrate, log_odds
from include.models.training_sets import LabelledMonth

POOLED = "pooled"
RULES = "rules"

#: Two models as good as each other differ by so much in their calibration error.
CALIBRATION_NOISE = 0.002


class Champion(TypedDict):
    """Who scores a cluster, as JSON; the rules have no base rate, no files and no training behind them."""

    version: str
    kind: str
    base_rate: float | None
    sha256: NotRequired[str]
    trained_for: NotRequired[str]
    is_out_of_fold: NotRequired[bool]


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


@dataclass(frozen=True)
class Settled:
    """What became of a trained version, and how it compared with the champion (None: there was none)."""

    state: str
    comparison: dict[str, Any] | None


def settle(
    db: Connection,
    lake: Lake,
    registration: dict[str, Any],
    newest: LabelledMonth,
    judged: pl.DataFrame,
) -> Settled:
    """Register a trained version and make it champion where it has earned that.

    The first pooled model is promoted as it is. A later one must have the lower log loss on `newest` by a
    paired bootstrap (95 %) and be calibrated no worse, or replace a champion whose promises have gone stale.
    The first model of a tenure cluster takes over from the pooled one unless that, as it is served, is
    surely better. `judged` are its scores out of sample.
    """
    queries, campaign, as_of = load("stages/training"), registration["campaign"], registration["as_of"]
    cluster = registration["cluster"]
    with db.begin():
        lock(db, "training", campaign)
        chosen = _chosen(db, campaign, newest.month, as_of)
        standing = chosen.get(cluster, chosen.get(POOLED))
        if standing is not None and standing["version"] == registration["model_version"]:
            standing = None
        comparison = None if standing is None else _compared(lake, campaign, standing, newest, judged)
        metrics = json.dumps({**registration["metrics"], "comparison": comparison})
        db.execute(queries["register_model"], {**registration, "metrics": metrics})
        if comparison is not None and not _has_earned(comparison, is_first=cluster not in chosen):
            return Settled("candidate", comparison)
        db.execute(queries["retire_champion"], registration)
        promoted = {"model_version": registration["model_version"], "now": registration["trained_at"]}
        return Settled(str(db.execute(queries["promote"], promoted).scalar_one()), comparison)


def _has_earned(comparison: dict[str, Any], *, is_first: bool) -> bool:
    gain, served = comparison["log_loss_gain"], comparison["log_loss_gain_as_served"]
    if is_first:
        return bool(served["high"] >= 0)
    error = comparison["calibration_error"]
    is_better = gain["low"] > 0 and error <= comparison["calibration_error_of_champion"] + CALIBRATION_NOISE
    is_stale = served["low"] > 0 and comparison["calibration_error_as_served"] > error + CALIBRATION_NOISE
    return bool(is_better or (is_stale and gain["high"] >= 0))


def _compared(
    lake: Lake, campaign: str, champion: Champion, newest: LabelledMonth, judged: pl.DataFrame
) -> dict[str, Any]:
    """Challenger and champion on the same people of the newest month, neither having learned from them.

    Both are calibrated on other people of that month, else whoever knows its rate would win; as the champion is
    served is told apart: what it loses so shows how stale its promises are.
    """
    ours = judged.filter((pl.col("month") == newest.month) & (pl.col("weight") > 0))
    theirs = pl.concat(_judged(lake, campaign, champion, newest, shard) for shard in range(lake.shards))
    theirs = theirs.select("subscriber_id", pl.col("probability").alias("champion"))
    both = ours.join(theirs, on="subscriber_id").sort("subscriber_id")
    margins, served, happened, weights, fold = (
        both[name].to_numpy() for name in ("margin", "champion", "happened", "weight", "fold")
    )
    new, old = (
        calibrate(each, happened, weights, fold).probabilities for each in (margins, log_odds(served))
    )
    lost = quality.losses(new, happened)
    return {
        "against": champion["version"],
        "people": both.height,
        "log_loss_gain": _mean(quality.losses(old, happened) - lost, weights),
        "log_loss_gain_as_served": _mean(quality.losses(served, happened) - lost, weights),
        "calibration_error": quality.calibration_error(new, happened, weights),
        "calibration_error_of_champion": quality.calibration_error(old, happened, weights),
        "calibration_error_as_served": quality.calibration_error(served, happened, weights),
    }


def _mean(differences: Floats, weights: Floats) -> dict[str, float]:
    """The mean difference person by person, and 95 % of it."""
    low, high = bootstrap.mean_difference(differences, weights) or (0.0, 0.0)
    return {"value": float(weights @ differences / weights.sum()), "low": low, "high": high}


def out_of_fold(
    lake: Lake, campaign: str, month: str, version: str, shard: int | None = None
) -> pl.LazyFrame | None:
    """Scores (subscriber_id, probability) that `version` made of people of `month` it did not learn from."""
    table = of_campaign(OUT_OF_FOLD, campaign)
    stands = lake.standing(table, month, shard=shard)
    if stands is None or version not in stands.facts["model_versions"]:
        return None
    scores = lake.scan(table, month, shard)
    return scores.filter(pl.col("model_version") == version).select("subscriber_id", "probability")


def _chosen(db: Connection, campaign: str, month: str, as_of: datetime) -> dict[str, Champion]:
    asked = {"campaign": campaign, "month": month, "as_of": as_of}
    found = db.execute(load("stages/prediction")["champions"], asked).mappings()
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


def _judged(lake: Lake, campaign: str, champion: Champion, newest: LabelledMonth, shard: int) -> pl.DataFrame:
    people = newest.people(lake, shard)
    if champion["is_out_of_fold"]:
        scored = out_of_fold(lake, campaign, newest.month, champion["version"], shard)
        if scored is not None:
            return (
                people.select("subscriber_id", "happened", "weight")
                .join(scored, on="subscriber_id")
                .collect()
            )
    model = store.load(lake, champion["version"], champion["sha256"])
    rows = people.collect(engine="streaming")
    probability = pl.Series("probability", model.probabilities(model.matrix(rows)), pl.Float64)
    return rows.select("subscriber_id", "happened", "weight", probability)
