"""Drift: how the month's factors and scores differ from the month before, and which factors tell most.

Kept with the cycle, for people to look at; nothing of the loop depends on it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl

from include.config import Config
from include.config.expressions.grammar import EVENT, REGIONAL_FEEDS
from include.database.queries import load
from include.domain.periods.months import shift
from include.lake import Lake
from include.lake.campaigns import scores_of
from include.models import bins, labels
from include.models.training_sets import LabelledMonth, Labelling
from include.run import Run
from include.run.results import Counts

SCORE = "probability"
POOLED = "pooled"
#: So many subscribers of a month are looked at, drawn by a hash; the figures change by less than they say.
PEOPLE = 200_000
#: A cluster with fewer churners is not ranked: chance would lead.
LEAST_CHURNERS = 30
_TOLD = 5
_FACTORS = "factors"


@dataclass(frozen=True)
class Shift:
    """How one factor, or the score, moved against the month before; coverage is the share known."""

    subject: str
    psi: float
    coverage: float
    baseline_coverage: float
    level: str


@dataclass(frozen=True)
class Strength:
    """How much a factor tells about churn in one cluster; rank 1 tells most by information value."""

    cluster: str
    factor: str
    information_value: float
    mutual_information: float
    rank: int


@dataclass(frozen=True)
class Found:
    """What was measured: how far things moved, and what tells most on the labelled month `ranked_on` (None: none)."""

    shifts: Sequence[Shift]
    strengths: Sequence[Strength]
    ranked_on: str | None


class Drifted(Counts):
    """What moved against `baseline_month` (null: the lake lacks it), the farthest first; ranked_on: whose label."""

    month: str
    baseline_month: str | None
    shifted: list[str]
    watch: list[str]
    largest: dict[str, float]
    score_psi: float | None
    ranked_on: str | None
    strongest: list[str]


def measure(run: Run) -> Drifted:
    """Drift of the month against the month before, and the ranking on the newest labelled month; both stored.

    Replaces what the cycle held before; a re-run of a fixed cycle (`revision` above 0) only tells. Where the
    lake lacks the month before, or a label, that part is empty and the message says so.
    """
    label = labels.label_of(run.config, run.campaign)
    labelling = label and Labelling(run.db, run.lake, run.campaign, label, run.as_of)
    people = newest_labelled(labelling, run.month) if labelling else None
    shifts = shifts_of(run.lake, run.config, run.campaign, run.month)
    found = Found(shifts, strengths_of(run.lake, run.config, people), people.month if people else None)
    if run.revision == 0:
        _keep(run, found)
    return result_of(run.lake, run.month, found, has_model=label is not None)


def newest_labelled(labelling: Labelling, month: str) -> LabelledMonth | None:
    """The newest month up to `month` whose label is known and whose factors stand."""
    months = labels.labelled_months(labelling.lake, month, labelling.label, labelling.as_of)
    found = [each for each in months if labelling.lake.has("factors", each)]
    return labelling.of_month(found[-1]) if found else None


def shifts_of(lake: Lake, config: Config, campaign: str, month: str) -> list[Shift]:
    """Every factor and the campaign's score of `month` against the month before, the farthest first."""
    tables = (_FACTORS, scores_of(campaign))
    found = [shifted for table in tables for shifted in _shifts(lake, config, table, month)]
    return sorted(found, key=lambda each: (-each.psi, each.subject))


def strengths_of(lake: Lake, config: Config, month: LabelledMonth | None) -> list[Strength]:
    """The factors of a labelled month ranked over everybody and in each cluster with churners enough."""
    if month is None:
        return []
    factors = _factors(lake, config, month.month)
    wanted = ("subscriber_id", "cluster", "happened", "weight")
    people = _drawn(lake, "factors", month.month, month.people(lake)).select(
        *wanted, *(pl.col(name).cast(pl.Float32) for name in factors if name not in wanted)
    )
    # sorted: weights are summed, and floats in another order give another sum
    frame = people.filter(pl.col("weight") > 0).collect(engine="streaming").sort("subscriber_id")
    coded = {name: _coded(frame[name]) for name in factors}
    clusters = [POOLED, *frame["cluster"].unique().drop_nulls().sort().to_list()]
    return [each for cluster in clusters for each in _ranked(frame, coded, cluster)]


def result_of(lake: Lake, month: str, found: Found, *, has_model: bool) -> Drifted:
    """The result of the stage: counts, what shifted, the strongest factors; without a model none are asked for."""
    shifts, strengths = found.shifts, found.strengths
    shifted, watched = (
        [each.subject for each in shifts if each.level == level] for level in ("shifted", "watch")
    )
    return {
        "stage": "drift",
        "month": month,
        "rows_in": lake.manifest("factors", month).rows,
        "rows_out": len(shifts) + len(strengths),
        "quarantined": 0,
        "baseline_month": shift(month, -1) if shifts else None,
        "shifted": shifted,
        "watch": watched,
        "largest": {each.subject: round(each.psi, 4) for each in shifts[:_TOLD]},
        "score_psi": next((round(each.psi, 4) for each in shifts if each.subject == SCORE), None),
        "ranked_on": found.ranked_on,
        "strongest": [each.factor for each in strengths if each.cluster == POOLED][:_TOLD],
        "message": _message(month, shifts, shifted, is_ranked=bool(found.ranked_on) or not has_model),
    }


def _message(month: str, shifts: Sequence[Shift], shifted: Sequence[str], *, is_ranked: bool) -> str:
    before = shift(month, -1)
    if not shifts:
        moved = f"The lake has no factors of {before} to compare with."
    elif shifted:
        named = ", ".join(shifted)
        moved = f"Against {before} these have shifted: {named}. Look at their feeds before trusting scores."
    else:
        moved = f"Against {before} nothing has shifted."
    return moved if is_ranked else f"{moved} No month has both factors and a label: nothing is ranked."


# ---------------------------------------------------------------- month against month


def _shifts(lake: Lake, config: Config, table: str, month: str) -> Iterator[Shift]:
    before = shift(month, -1)
    if not (lake.has(table, month) and lake.has(table, before)):
        return
    # a factor the month lost has shifted, to unknown; a new one has nothing to shift from
    names = _factors(lake, config, before) if table == _FACTORS else [SCORE]
    then, now = (_values(lake, table, each, names) for each in (before, month))
    for name in names:
        if then[name].null_count() < then.height or now[name].null_count() < now.height:
            yield _shift(name, then[name], now[name], config)


def _shift(name: str, then: pl.Series, now: pl.Series, config: Config) -> Shift:
    old, new = _numbers(then), _numbers(now)
    bounds = bins.edges(old)
    psi = bins.stability(
        bins.shares(bins.codes(old, bounds), bounds), bins.shares(bins.codes(new, bounds), bounds)
    )
    limits = config.factors.drift
    known = [float(1 - np.isnan(values).mean()) if len(values) else 0.0 for values in (new, old)]
    level = "shifted" if psi >= limits.warn else "watch" if psi >= limits.watch else "stable"
    if level == "shifted" and known[0] and name in _regional(config):
        level = "watch"  # a price cut in a large region moves half the province: that is its nature
    return Shift(name, psi, known[0], known[1], level)


def _regional(config: Config) -> set[str]:
    """The factors over events that befall whole regions."""
    return {
        factor.name
        for factor in config.factors.factors
        if any(name.partition(".")[0] in REGIONAL_FEEDS for name in factor.parsed.needs(EVENT))
    }


def _values(lake: Lake, table: str, month: str, names: Sequence[str]) -> pl.DataFrame:
    rows = _drawn(lake, table, month, lake.scan(table, month))
    there = set(rows.collect_schema().names())
    absent = [pl.lit(None, pl.Float32).alias(name) for name in names if name not in there]
    known = rows.with_columns(absent).select(pl.col(name).cast(pl.Float32) for name in names)
    return known.collect(engine="streaming")


def _drawn(lake: Lake, table: str, month: str, rows: pl.LazyFrame) -> pl.LazyFrame:
    """At most about PEOPLE of the rows, the same people every time."""
    step = -(-lake.manifest(table, month).rows // PEOPLE)
    return rows if step <= 1 else rows.filter(pl.col("subscriber_id").hash(20) % step == 0)


def _factors(lake: Lake, config: Config, month: str) -> list[str]:
    there = set(lake.manifest("factors", month).facts.get("factors", ()))
    return [name for name in config.factors.names if name in there]


def _numbers(column: pl.Series) -> bins.Values:
    finite = column.to_frame().select(pl.when(pl.all().is_finite()).then(pl.all())).to_series()
    return np.asarray(finite.fill_null(float("nan")).to_numpy(), dtype=np.float32)


# ---------------------------------------------------------------- what tells most


def _coded(column: pl.Series) -> bins.Codes:
    values = _numbers(column)
    return bins.codes(values, bins.edges(values))


def _ranked(frame: pl.DataFrame, coded: Mapping[str, bins.Codes], cluster: str) -> list[Strength]:
    inside = np.ones(frame.height, bool) if cluster == POOLED else (frame["cluster"] == cluster).to_numpy()
    happened = frame["happened"].cast(pl.Float64).to_numpy()[inside]
    weights = frame["weight"].to_numpy()[inside]
    if happened.sum() < LEAST_CHURNERS:
        return []
    measured = {name: bins.information(code[inside], happened, weights) for name, code in coded.items()}
    order = sorted(measured, key=lambda name: (-measured[name][0], name))
    return [Strength(cluster, name, *measured[name], rank) for rank, name in enumerate(order, start=1)]


# ---------------------------------------------------------------- kept with the cycle


def _keep(run: Run, found: Found) -> None:
    queries, baseline = load("stages/drift"), shift(run.month, -1)
    with run.db.begin():
        for name in ("delete_drift", "delete_ranking"):
            run.db.execute(queries[name], run.key)
        stamped = {**run.key, "now": run.now}
        rows = _json(found.shifts)
        run.db.execute(queries["insert_drift"], {**stamped, "baseline": baseline, "rows": rows})
        if found.ranked_on:
            rows = _json(found.strengths)
            run.db.execute(queries["insert_ranking"], {**stamped, "known": found.ranked_on, "rows": rows})


def _json(rows: Sequence[Shift] | Sequence[Strength]) -> str:
    return json.dumps([asdict(each) for each in rows])
