"""Training: when months have labels, fit models, judge them out of sample, keep them, perhaps promote them.

One model is pooled over everybody; tenure clusters with churners enough get one of their own.
With several labelled months the newest judges what the older ones taught, then the serving model learns
from all months and keeps that calibration; with one month five folds of subscribers judge one another.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NotRequired, TypedDict, cast

from sqlalchemy import Connection

from include.database.queries import load
from include.domain.periods.months import default_as_of, shift
from include.lake import Lake
from include.lake.campaigns import OUT_OF_FOLD, of_campaign
from include.models import champions, fitting, labels, store, training_sets, trees
from include.models.champions import POOLED
from include.models.fitting import Fitted, Plan
from include.models.labels import Label
from include.models.training_sets import LabelledMonth, Labelling
from include.run import Run
from include.run.results import Counts
from include.stages.training.card import Card, card_of
from include.stages.training.out_of_fold import Unseen, publish_out_of_fold

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


class NotTrained(TypedDict):
    """Why a cluster has no model of its own."""

    trained: bool
    reason: str


class Trained(Counts):
    """What a training left, with the figures of `fitting.figures`; `reason`: why nothing was trained."""

    trained: bool
    reason: NotRequired[str]
    model_version: NotRequired[str]
    kind: NotRequired[str]
    state: NotRequired[str]
    months: NotRequired[list[str]]
    judged_on: NotRequired[list[str]]
    clusters: NotRequired["dict[str, Trained | NotTrained]"]
    labels_seen: NotRequired[dict[str, str]]
    comparison: NotRequired[dict[str, Any] | None]


def train(run: Run, *, nthread: int | None = None) -> Trained:
    """Train on the months up to the run's that are labelled at `as_of`; again with the same data changes nothing.

    A month is labelled over the horizon from its end, whatever the campaign's cadence. Without a model to train,
    without a labelled month, or with too few churners, nothing is trained and the result says why.
    `labels_seen` names the labels looked at, by which follow_up knows what to announce.
    """
    rules, label = run.rules.training, labels.label_of(run.config, run.campaign)
    if label is None:
        return _untrained("The campaign has no model: its order comes from elsewhere.")
    known = months_looked_at(run.lake, run.month, label, run.as_of)
    if not known:
        return _untrained(
            f"No month up to {run.month} has its {_wanted(label)} complete at {run.as_of:%Y-%m-%d %H:%M}."
        )
    _build_factors(run, [shift(known[-1], -1), *known])
    labelling = Labelling(run.db, run.lake, run.campaign, label, run.as_of)
    seen = {each: labels.fingerprint(run.lake, each, label) for each in known}
    counted = [_recounted(run.lake, labelling.of_month(each)) for each in known]
    churners = sum(each.churners for each in counted)
    if churners < rules.minimum_churners:
        minimum = rules.minimum_churners
        reason = f"{churners} churners in {known[0]} to {known[-1]} are too few: {minimum} are needed."
        return {**_untrained(reason), "labels_seen": seen}
    learning = Learning(labelling, run.now, rules.minimum_churners, nthread)
    pooled = _learned(learning, _plan(learning, counted))
    own = _by_cluster(learning, counted, rules.minimum_cluster_churners, pooled["kind"])
    return {**pooled, "clusters": own, "labels_seen": seen}


def months_looked_at(lake: Lake, month: str, label: Label, as_of: datetime) -> list[str]:
    """The newest labelled months up to `month`, oldest first: those a training at `as_of` learns from."""
    return labels.labelled_months(lake, month, label, as_of)[-WINDOW_MONTHS:]


def _wanted(label: Label) -> str:
    """What a label reads, as people call it."""
    return "churn" if labels.is_leaving(label) else f"label '{label.text}'"


@dataclass(frozen=True)
class Learning:
    """What all models of one training share: the label they learn, when, and from how many churners at least."""

    labelling: Labelling
    now: datetime
    minimum_churners: int
    nthread: int | None = None

    @property
    def db(self) -> Connection:
        """The operations database, which a training always has."""
        assert self.labelling.db is not None  # noqa: S101
        return self.labelling.db

    @property
    def lake(self) -> Lake:
        """Where factors, labels and models lie."""
        return self.labelling.lake


def _by_cluster(
    learning: Learning, counted: list[Counted], enough: int, kind: str
) -> dict[str, Trained | NotTrained]:
    """A model per tenure cluster with churners enough; elsewhere the pooled model serves, and it says so.

    The kind of trees is chosen once, on everybody.
    """
    found: dict[str, Trained | NotTrained] = {}
    for cluster in CLUSTERS:
        own = [_recounted(learning.lake, each.month.of_cluster(cluster)) for each in counted]
        churners = sum(each.churners for each in own)
        if churners >= enough:
            found[cluster] = _learned(learning, replace(_plan(learning, own), cluster=cluster, kind=kind))
        else:
            reason = f"{churners} churners are too few for a model of its own: {enough} are needed."
            found[cluster] = {"trained": False, "reason": f"{reason} The pooled model serves."}
    return found


def _learned(learning: Learning, plan: Plan) -> Trained:
    """The result of training one model, or of the training that left it on the same data before."""
    version = _version(learning, plan)
    return _stored(learning, version, plan) or _trained(learning, plan, version)


def _untrained(reason: str) -> Trained:
    return {
        "stage": "training",
        "trained": False,
        "reason": reason,
        "rows_in": 0,
        "rows_out": 0,
        "quarantined": 0,
    }


def _build_factors(run: Run, months: list[str]) -> None:
    """Factors of the labelled months, and of the month before the newest for the early figures."""
    from include.stages import features

    delivered = set(run.lake.months("usage_months")) & set(run.lake.months("subscribers"))
    for month in months:
        if month in delivered:
            features.build(replace(run, month=month, as_of=default_as_of(month)))


def _recounted(lake: Lake, month: LabelledMonth) -> Counted:
    return Counted(month, *training_sets.churners_and_stayers(lake, month))


def _plan(learning: Learning, counted: list[Counted]) -> Plan:
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
        nthread=learning.nthread,
    )


def _version(learning: Learning, plan: Plan) -> str:
    """The name of what training on these data with this recipe gives."""
    import xgboost

    made_of = {
        "recipe": [
            RECIPE,
            xgboost.__version__,
            learning.labelling.campaign,
            learning.labelling.label.horizon.as_fact,
            _recipes(),
            plan.kept_share,
        ],
        "cluster": [plan.cluster, plan.kind],
        "months": [
            [
                each.month,
                labels.fingerprint(learning.lake, each.month, learning.labelling.label),
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
    return {kind: recipe.described() for kind, recipe in trees.RECIPES.items()}


def _stored(learning: Learning, version: str, plan: Plan) -> Trained | None:
    """The result of an earlier training on the same data, when everything it left is still there."""
    queries, db, lake = load("stages/training"), learning.db, learning.lake
    with db.begin():
        row = db.execute(queries["model"], {"model_version": version}).mappings().one_or_none()
        if (
            row is None
            or champions.out_of_fold(lake, learning.labelling.campaign, row["trained_for"], version) is None
        ):
            return None
        if not store.is_intact(lake, version, row["sha256"]):
            return None
        db.execute(queries["known_earlier"], {"model_version": version, "as_of": learning.labelling.as_of})
    return _result(version, row["kind"], row["state"], plan, row["metrics"])


def _trained(learning: Learning, plan: Plan, version: str) -> Trained:
    lake = learning.lake
    fitted = fitting.fit(lake, plan)
    figures = {**fitting.figures(lake, plan, fitted), "rows": fitted.rows}
    card = card_of(version, learning.labelling.campaign, plan, fitted, figures)
    registration = {
        "model_version": version,
        "campaign": learning.labelling.campaign,
        "cluster": plan.cluster,
        "kind": fitted.kind,
        "trained_for": card["trained_for"],
        "trained_at": learning.now,
        "as_of": learning.labelling.as_of,
        "window_months": card["months"],
        "sha256": _kept(learning, version, fitted, card),
        "metrics": figures,
        "base_rate": fitted.base_rate,
    }
    newest = plan.all_months[-1]
    own = of_campaign(OUT_OF_FOLD, learning.labelling.campaign)
    publish_out_of_fold(Unseen(learning.db, lake, own, newest.month), version, fitted.judged)
    settled = champions.settle(learning.db, lake, registration, newest, fitted.judged)
    return _result(version, fitted.kind, settled.state, plan, {**figures, "comparison": settled.comparison})


def _kept(learning: Learning, version: str, fitted: Fitted, card: Card) -> str:
    """The hash of the version's files; those that stand as registered stay, for scores name their hash.

    Trees grown again are the same but for rounding, which hangs on the number of threads.
    """
    with learning.db.begin():
        asked = {"model_version": version}
        row = learning.db.execute(load("stages/training")["model"], asked).mappings().one_or_none()
    if row is not None and store.is_intact(learning.lake, version, row["sha256"]):
        return str(row["sha256"])
    return store.save(learning.lake, version, fitted.booster, fitted.calibration, card)


def _result(version: str, kind: str, state: str, plan: Plan, figures: Mapping[str, Any]) -> Trained:
    result = {
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
    return cast(Trained, result)
