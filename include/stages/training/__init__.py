"""Training: when months have labels, fit a pooled model, judge it out of sample, keep it, perhaps promote it.

With several labelled months the newest judges what the older ones taught, then the serving model learns
from all months and keeps that calibration; with one month five folds of subscribers judge one another.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
from sqlalchemy import Connection

from include.config import Config
from include.database import lock
from include.domain.months import default_as_of, shift
from include.lake import Lake
from include.queries import load
from include.stages import champions, examples, fitting, labels, models, quality
from include.stages.examples import LabelledMonth
from include.stages.fitting import Fitted, Plan

#: At most so many of the newest labelled months teach.
WINDOW_MONTHS = 6
#: Raised when the recipe changes in a way the parameters do not show.
RECIPE = 2


@dataclass(frozen=True)
class Counted:
    """A labelled month and how many of its rows count, by what happened."""

    month: LabelledMonth
    churners: int
    stayers: int


def train(
    *,
    db: Connection,
    lake: Lake,
    config: Config,
    campaign: str,
    month: str,
    as_of: datetime,
    now: datetime,
    nthread: int | None = None,
) -> dict[str, Any]:
    """Train on the months up to `month` labelled at `as_of`; again with the same data changes nothing.

    Without a labelled month, or with too few churners, nothing is trained and the result says why.
    `labels_seen` names the labels looked at, by which follow_up knows what to announce.
    """
    rules = config.campaign(campaign)
    known = months_looked_at(lake, month, rules.horizon_months, as_of)
    if not known:
        return _untrained(f"No month up to {month} has its churn complete at {as_of:%Y-%m-%d %H:%M}.")
    _build_factors(db, lake, config, [shift(known[-1], -1), *known])
    seen = {"labels_seen": {each: labels.fingerprint(lake, each, rules.horizon_months) for each in known}}
    counted = [_counted(db, lake, campaign, each, rules.horizon_months, as_of) for each in known]
    churners = sum(each.churners for each in counted)
    if churners < rules.training.minimum_churners:
        minimum = rules.training.minimum_churners
        return (
            _untrained(f"{churners} churners in {known[0]} to {known[-1]} are too few: {minimum} are needed.")
            | seen
        )
    plan = _plan(lake, counted, rules.training.minimum_churners, nthread)
    version = _version(lake, campaign, plan, rules.horizon_months)
    stored = _stored(db, lake, version, plan, as_of)
    return (stored or _trained(db, lake, campaign, plan, version, as_of, now)) | seen


def months_looked_at(lake: Lake, month: str, horizon: int, as_of: datetime) -> list[str]:
    """The newest labelled months up to `month`, oldest first: those a training at `as_of` learns from."""
    return labels.labelled_months(lake, month, horizon, as_of)[-WINDOW_MONTHS:]


def _untrained(reason: str) -> dict[str, Any]:
    return {
        "stage": "training",
        "trained": False,
        "reason": reason,
        "rows_in": 0,
        "rows_out": 0,
        "quarantined": 0,
    }


def _build_factors(db: Connection, lake: Lake, config: Config, months: list[str]) -> None:
    """Factors of the labelled months, and of the month before the newest for the early figures."""
    from include.stages import features

    delivered = set(lake.months("usage_months")) & set(lake.months("subscribers"))
    for month in months:
        if month in delivered:
            as_of = default_as_of(month)
            features.build(
                db=db, lake=lake, config=config, month=month, as_of=as_of, run_id=f"training-{month}"
            )


def _counted(db: Connection, lake: Lake, campaign: str, month: str, horizon: int, as_of: datetime) -> Counted:
    labelled = examples.labelled_month(db, lake, campaign, month, horizon, as_of)
    return Counted(labelled, *examples.churners_and_stayers(lake, labelled))


def _plan(lake: Lake, counted: list[Counted], minimum: int, nthread: int | None) -> Plan:
    """Judge by the newest month where it and the older ones have churners enough, else by all months."""
    months = tuple(each.month for each in counted)
    older = sum(each.churners for each in counted[:-1])
    is_out_of_time = older >= minimum and counted[-1].churners >= minimum
    churners, stayers = sum(each.churners for each in counted), sum(each.stayers for each in counted)
    wanted = max(fitting.STAYERS_PER_CHURNER * churners, fitting.ENOUGH_ROWS)
    room = max(min(wanted, fitting.MAXIMUM_ROWS - churners), churners)
    return Plan(
        all_months=months,
        fit=months[:-1] if is_out_of_time else months,
        judge=months[-1:] if is_out_of_time else months,
        factors=examples.common_factors(lake, [each.month for each in months]),
        kept_share=min(1.0, room / max(stayers, 1)),
        nthread=nthread,
    )


def _version(lake: Lake, campaign: str, plan: Plan, horizon: int) -> str:
    """The name of what training on these data with this recipe gives; the same tomorrow and elsewhere."""
    made_of = {
        "recipe": [RECIPE, campaign, horizon, _recipes(), plan.kept_share],
        "months": [
            [each.month, labels.fingerprint(lake, each.month, horizon), each.weights.rows()]
            for each in plan.all_months
        ],
        "judge": [each.month for each in plan.judge],
        "factors": plan.factors,
    }
    digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
    return f"xgb-{plan.all_months[-1].month}-{digest[:8]}"


def _recipes() -> dict[str, Any]:
    return {kind: recipe.told() for kind, recipe in fitting.RECIPES.items()}


def _stored(db: Connection, lake: Lake, version: str, plan: Plan, as_of: datetime) -> dict[str, Any] | None:
    """The result of an earlier training on the same data, when everything it left is still there."""
    queries = load("training")
    with db.begin():
        row = db.execute(queries["model"], {"model_version": version}).mappings().one_or_none()
        if row is None or champions.out_of_fold(lake, row["trained_for"], version) is None:
            return None
        db.execute(queries["known_earlier"], {"model_version": version, "as_of": as_of})
    models.load(lake, version, row["sha256"])
    return _result(version, row["state"], plan, row["metrics"])


def _trained(
    db: Connection, lake: Lake, campaign: str, plan: Plan, version: str, as_of: datetime, now: datetime
) -> dict[str, Any]:
    fitted = fitting.fit(lake, plan)
    figures = {**fitting.figures(lake, plan, fitted), "rows": fitted.rows}
    card = _card(version, campaign, plan, fitted, figures)
    registration = {
        "model_version": version,
        "campaign": campaign,
        "cluster": champions.POOLED,
        "kind": fitted.kind,
        "trained_for": card["trained_for"],
        "trained_at": now,
        "as_of": as_of,
        "window_months": card["months"],
        "sha256": models.save(lake, version, fitted.booster, fitted.calibration, card),
        "metrics": figures,
        "base_rate": figures["base_rate"],
    }
    _publish_out_of_fold(db, lake, version, plan, fitted)
    newest = plan.all_months[-1]
    state = champions.settle(db, lake, registration, newest, _newest_loss(fitted, newest.month), now)
    return _result(version, state, plan, figures)


def _card(version: str, campaign: str, plan: Plan, fitted: Fitted, figures: dict[str, Any]) -> dict[str, Any]:
    """The model card: what it learned from, how it was judged, how well it did; nothing that a clock says."""
    return {
        "version": version,
        "campaign": campaign,
        "cluster": champions.POOLED,
        "kind": fitted.kind,
        "log_loss_of_candidates": dict(fitted.candidates),
        "trained_for": plan.all_months[-1].month,
        "months": [each.month for each in plan.all_months],
        "judged_on": [each.month for each in plan.judge],
        "judged_by": "older months" if len(plan.fit) < len(plan.all_months) else "folds of subscribers",
        "factors": list(plan.factors),
        "parameters": fitting.RECIPES[fitted.kind].told(),
        "kept_share_of_stayers": plan.kept_share,
        "contacted_dropped": sum(_contacted(each) for each in plan.all_months),
        "figures": figures,
    }


def _contacted(month: LabelledMonth) -> int:
    return month.weights.filter(pl.col("weight") == 0).height


def _newest_loss(fitted: Fitted, month: str) -> float:
    rows = fitted.judged.filter((pl.col("month") == month) & (pl.col("weight") > 0))
    happened, weights = rows["has_churned"].to_numpy(), rows["weight"].to_numpy()
    return quality.log_loss(rows["probability"].to_numpy(), happened, weights)


def _publish_out_of_fold(db: Connection, lake: Lake, version: str, plan: Plan, fitted: Fitted) -> None:
    """Keep the scores of the newest month made by models that did not learn from the person, per version."""
    month = plan.all_months[-1].month
    scores = fitted.judged.filter(pl.col("month") == month).select(
        "subscriber_id", "probability", pl.lit(version).alias("model_version"), "cluster"
    )
    shard = lake.shard_of(scores["subscriber_id"])
    with db.begin():
        lock(db, champions.OUT_OF_FOLD, month)
        others = _other_versions(lake, month, version)
        parts = []
        for number in range(lake.shards):
            kept = [scores.filter(shard == number)]
            kept += [other for each in others if (other := _of_version(lake, month, each, number)).height]
            frame = pl.concat(kept).sort("subscriber_id", "model_version")
            parts.append(lake.write_part(champions.OUT_OF_FOLD, month, number, frame, version))
        lake.publish(champions.OUT_OF_FOLD, month, parts, facts={"model_versions": [*others, version]})


def _other_versions(lake: Lake, month: str, version: str) -> list[str]:
    if not lake.has(champions.OUT_OF_FOLD, month):
        return []
    stored: list[str] = lake.manifest(champions.OUT_OF_FOLD, month).facts["model_versions"]
    return [each for each in stored if each != version]


def _of_version(lake: Lake, month: str, version: str, shard: int) -> pl.DataFrame:
    scores = lake.scan(champions.OUT_OF_FOLD, month, shard)
    return scores.filter(pl.col("model_version") == version).collect()


def _result(version: str, state: str, plan: Plan, figures: dict[str, Any]) -> dict[str, Any]:
    return {
        "stage": "training",
        "trained": True,
        "model_version": version,
        "state": state,
        "months": [each.month for each in plan.all_months],
        "judged_on": [each.month for each in plan.judge],
        "rows_in": figures["rows"],
        "rows_out": figures["n"],
        "quarantined": 0,
        **{name: value for name, value in figures.items() if name != "rows"},
    }
