"""Training: when months have labels, fit models, judge them out of sample, keep them, perhaps promote them.

One model is pooled over everybody; tenure clusters with churners enough get one of their own.
With several labelled months the newest judges what the older ones taught, then the serving model learns
from all months and keeps that calibration; with one month five folds of subscribers judge one another.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from include.config import Config
from include.database.queries import load
from include.domain.periods.months import default_as_of, shift
from include.lake import Lake
from include.models import champions, fitting, labels, store, training_sets, trees
from include.models.champions import POOLED
from include.models.fitting import Fitted, Plan
from include.models.labels import Label
from include.models.training_sets import LabelledMonth
from include.stages.training.card import card_of
from include.stages.training.out_of_fold import publish_out_of_fold

#: At most so many of the newest labelled months teach.
WINDOW_MONTHS = 6
CLUSTERS = ("under_6", "6_to_12", "over_12")
#: Raised when the recipe changes in a way the parameters do not show.
RECIPE = 4


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

    A month is labelled over the horizon from its end, whatever the campaign's cadence. Without a model to train,
    without a labelled month, or with too few churners, nothing is trained and the result says why.
    `labels_seen` names the labels looked at, by which follow_up knows what to announce.
    """
    rules, label = config.campaign(campaign), labels.label_of(config, campaign)
    if label is None:
        return _untrained("The campaign has no model: its order comes from elsewhere.")
    known = months_looked_at(lake, month, label, as_of)
    if not known:
        return _untrained(
            f"No month up to {month} has its {_wanted(label)} complete at {as_of:%Y-%m-%d %H:%M}."
        )
    _build_factors(db, lake, config, [shift(known[-1], -1), *known])
    seen = {"labels_seen": {each: labels.fingerprint(lake, each, label) for each in known}}
    counted = [_counted(db, lake, campaign, each, label, as_of) for each in known]
    churners = sum(each.churners for each in counted)
    if churners < rules.training.minimum_churners:
        minimum = rules.training.minimum_churners
        return (
            _untrained(f"{churners} churners in {known[0]} to {known[-1]} are too few: {minimum} are needed.")
            | seen
        )
    learning = Learning(db, lake, campaign, rules.training.minimum_churners, label, as_of, now)
    pooled = _learned(learning, _plan(learning, counted, nthread))
    enough = rules.training.minimum_cluster_churners
    return {**pooled, "clusters": _by_cluster(learning, counted, enough, pooled["kind"], nthread)} | seen


def months_looked_at(lake: Lake, month: str, label: Label, as_of: datetime) -> list[str]:
    """The newest labelled months up to `month`, oldest first: those a training at `as_of` learns from."""
    return labels.labelled_months(lake, month, label, as_of)[-WINDOW_MONTHS:]


def _wanted(label: Label) -> str:
    """What a label reads, as people call it."""
    return "churn" if labels.is_leaving(label) else f"label '{label.text}'"


@dataclass(frozen=True)
class Learning:
    """What all models of one training share."""

    db: Connection
    lake: Lake
    campaign: str
    minimum_churners: int
    label: Label
    as_of: datetime
    now: datetime


def _by_cluster(
    learning: Learning, counted: list[Counted], enough: int, kind: str, nthread: int | None
) -> dict[str, dict[str, Any]]:
    """A model per tenure cluster with churners enough; elsewhere the pooled model serves, and it says so.

    The kind of trees is chosen once, on everybody.
    """
    told: dict[str, dict[str, Any]] = {}
    for cluster in CLUSTERS:
        own = [_recounted(learning.lake, each.month.of_cluster(cluster)) for each in counted]
        churners = sum(each.churners for each in own)
        if churners >= enough:
            plan = _plan(learning, own, nthread)
            told[cluster] = _learned(learning, replace(plan, cluster=cluster, kind=kind))
        else:
            reason = f"{churners} churners are too few for a model of its own: {enough} are needed."
            told[cluster] = {"trained": False, "reason": f"{reason} The pooled model serves."}
    return told


def _learned(learning: Learning, plan: Plan) -> dict[str, Any]:
    """The result of training one model, or of the training that left it on the same data before."""
    version = _version(learning, plan)
    return _stored(learning, version, plan) or _trained(learning, plan, version)


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


def _counted(db: Connection, lake: Lake, campaign: str, month: str, label: Label, as_of: datetime) -> Counted:
    return _recounted(lake, training_sets.labelled_month(db, lake, campaign, month, label, as_of))


def _recounted(lake: Lake, month: LabelledMonth) -> Counted:
    return Counted(month, *training_sets.churners_and_stayers(lake, month))


def _plan(learning: Learning, counted: list[Counted], nthread: int | None) -> Plan:
    """Judge by the newest month where it and the older ones have churners enough, else by all months."""
    months = tuple(each.month for each in counted)
    older = sum(each.churners for each in counted[:-1])
    is_out_of_time = min(older, counted[-1].churners) >= learning.minimum_churners
    churners, stayers = sum(each.churners for each in counted), sum(each.stayers for each in counted)
    wanted = max(fitting.STAYERS_PER_CHURNER * churners, fitting.ENOUGH_ROWS)
    room = max(min(wanted, fitting.MAXIMUM_ROWS - churners), churners)
    return Plan(
        all_months=months,
        fit=months[:-1] if is_out_of_time else months,
        judge=months[-1:] if is_out_of_time else months,
        factors=training_sets.common_factors(learning.lake, [each.month for each in months]),
        kept_share=min(1.0, room / max(stayers, 1)),
        nthread=nthread,
    )


def _version(learning: Learning, plan: Plan) -> str:
    """The name of what training on these data with this recipe gives."""
    import xgboost

    made_of = {
        "recipe": [
            RECIPE,
            xgboost.__version__,
            learning.campaign,
            learning.label.horizon.told,
            _recipes(),
            plan.kept_share,
        ],
        "cluster": [plan.cluster, plan.kind],
        "months": [
            [
                each.month,
                labels.fingerprint(learning.lake, each.month, learning.label),
                each.weights.rows(),
            ]
            for each in plan.all_months
        ],
        "judge": [each.month for each in plan.judge],
        "factors": plan.factors,
    }
    digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
    own = "" if plan.cluster == POOLED else f"{plan.cluster}-"
    return f"xgb-{plan.all_months[-1].month}-{own}{digest[:8]}"


def _recipes() -> dict[str, Any]:
    return {kind: recipe.told() for kind, recipe in trees.RECIPES.items()}


def _stored(learning: Learning, version: str, plan: Plan) -> dict[str, Any] | None:
    """The result of an earlier training on the same data, when everything it left is still there."""
    queries, db, lake = load("stages/training"), learning.db, learning.lake
    with db.begin():
        row = db.execute(queries["model"], {"model_version": version}).mappings().one_or_none()
        if row is None or champions.out_of_fold(lake, learning.campaign, row["trained_for"], version) is None:
            return None
        if not store.is_intact(lake, version, row["sha256"]):
            return None
        db.execute(queries["known_earlier"], {"model_version": version, "as_of": learning.as_of})
    return _result(version, row["kind"], row["state"], plan, row["metrics"])


def _trained(learning: Learning, plan: Plan, version: str) -> dict[str, Any]:
    db, lake = learning.db, learning.lake
    fitted = fitting.fit(lake, plan)
    figures = {**fitting.figures(lake, plan, fitted), "rows": fitted.rows}
    card = card_of(version, learning.campaign, plan, fitted, figures)
    registration = {
        "model_version": version,
        "campaign": learning.campaign,
        "cluster": plan.cluster,
        "kind": fitted.kind,
        "trained_for": card["trained_for"],
        "trained_at": learning.now,
        "as_of": learning.as_of,
        "window_months": card["months"],
        "sha256": _kept(learning, version, fitted, card),
        "metrics": figures,
        "base_rate": fitted.base_rate,
    }
    publish_out_of_fold(db, lake, learning.campaign, version, plan.all_months[-1].month, fitted.judged)
    settled = champions.settle(db, lake, registration, plan.all_months[-1], fitted.judged, learning.now)
    return _result(version, fitted.kind, settled.state, plan, {**figures, "comparison": settled.comparison})


def _kept(learning: Learning, version: str, fitted: Fitted, card: dict[str, Any]) -> str:
    """The hash of the version's files; those that stand as registered stay, for scores name their hash.

    Trees grown again are the same but for rounding, which hangs on the number of threads.
    """
    with learning.db.begin():
        asked = {"model_version": version}
        row = learning.db.execute(load("stages/training")["model"], asked).mappings().one_or_none()
    if row is not None and store.is_intact(learning.lake, version, row["sha256"]):
        return str(row["sha256"])
    return store.save(learning.lake, version, fitted.booster, fitted.calibration, card)


def _result(version: str, kind: str, state: str, plan: Plan, figures: dict[str, Any]) -> dict[str, Any]:
    return {
        "stage": "training",
        "trained": True,
        "model_version": version,
        "kind": kind,
        "state": state,
        "months": [each.month for each in plan.all_months],
        "judged_on": [each.month for each in plan.judge],
        "rows_in": figures["rows"],
        "rows_out": figures["n"],
        "quarantined": 0,
        **{name: value for name, value in figures.items() if name != "rows"},
    }
