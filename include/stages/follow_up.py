"""Follow-up: once a month's churn is complete, label it, note outcomes, judge the warnings and the arms."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
from sqlalchemy import Connection

from include.config import Config
from include.database import lock
from include.domain.assignment import HELD_OUT, TREATED
from include.domain.months import month_start, shift
from include.lake import Lake
from include.lake.campaigns import LABELS, grades_of, of_campaign
from include.queries import load
from include.stages import examples, labels, quality, training
from include.stages.effect import Arm, Effect, effect_of
from include.stages.examples import LabelledMonth


@dataclass(frozen=True)
class Figure:
    """One figure of a slice: `subscribers` is how many people stand behind it."""

    slice: str
    slice_value: str
    metric: str
    value: float | None
    subscribers: int


def follow_up(
    *, db: Connection, lake: Lake, config: Config, campaign: str, as_of: datetime, now: datetime
) -> dict[str, Any]:
    """Label every month with factors whose churn is complete at `as_of`; evaluate its cycles and revisions.

    Replaces what it wrote before, so that running it again changes nothing. `labelled` names the months
    whose label is new or changed; `untaught` those no training has seen yet, until one has, so that no kill
    and no earlier run loses them; `months` holds the figures of every cycle and revision judged.
    """
    horizon = config.campaign(campaign).horizon_months
    known = [month for month in lake.months("factors") if labels.is_labelled(lake, month, horizon, as_of)]
    labelled = [month for month in known if _write_labels(db, lake, campaign, month, horizon)]
    judged = []
    for cycle, revisions in _cycles(db, campaign, set(known)):
        month = examples.labelled_month(db, lake, campaign, cycle["month"], horizon, as_of)
        _record_outcomes(db, campaign, cycle["cycle"], month, horizon, now)
        judged += [
            evaluated
            for revision in revisions
            if (evaluated := _evaluate(db, lake, campaign, cycle["cycle"], revision, month, horizon, now))
        ]
    return {
        "stage": "follow_up",
        "rows_in": sum(each["subscribers"] for each in judged),
        "rows_out": sum(each.pop("figures") for each in judged),
        "quarantined": 0,
        "labelled": labelled,
        "untaught": _untaught(db, lake, campaign, known, horizon, as_of),
        "months": judged,
    }


def _untaught(
    db: Connection, lake: Lake, campaign: str, known: list[str], horizon: int, as_of: datetime
) -> list[str]:
    """The months of `known` training would look at whose label no recorded training has seen as it stands."""
    if not known:
        return []
    taught = training.months_looked_at(lake, known[-1], horizon, as_of)
    with db.begin():
        rows = db.execute(load("follow_up")["labels_seen"], {"campaign": campaign})
        seen = {row.month: row.fingerprint for row in rows}
    wanted = [month for month in known if month in taught]
    return [month for month in wanted if seen.get(month) != labels.fingerprint(lake, month, horizon)]


def _write_labels(db: Connection, lake: Lake, campaign: str, month: str, horizon: int) -> bool:
    """Publish the labels of a month unless they stand already; whether anything was written."""
    made_of, table = labels.fingerprint(lake, month, horizon), of_campaign(LABELS, campaign)
    with db.begin():
        lock(db, table, month)
        if (stands := lake.standing(table, month)) and stands.fingerprint == made_of:
            return False
        left = labels.leavers(lake, month, horizon)
        parts = []
        for shard in range(lake.shards):
            people = lake.scan("factors", month, shard).select("subscriber_id")
            frame = labels.with_labels(people, left)
            parts.append(lake.write_part(table, month, shard, frame, f"labels-{made_of[:8]}"))
        lake.publish(table, month, parts, fingerprint=made_of, facts={"horizon_months": horizon})
    return True


def _cycles(db: Connection, campaign: str, known: set[str]) -> Iterator[tuple[dict[str, str], list[int]]]:
    """The cycles of the labelled months with their revisions."""
    with db.begin():
        rows = db.execute(load("follow_up")["revisions"], {"campaign": campaign}).all()
    by_cycle: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        by_cycle.setdefault((row.cycle, row.month), []).append(row.revision)
    for (cycle, month), revisions in by_cycle.items():
        if month in known:
            yield {"cycle": cycle, "month": month}, revisions


def _record_outcomes(
    db: Connection, campaign: str, cycle: str, month: LabelledMonth, horizon: int, now: datetime
) -> None:
    queries, key = load("follow_up"), {"campaign": campaign, "cycle": cycle}
    with db.begin():
        lock(db, "follow_up", campaign, cycle)
        assigned = pl.Series(db.execute(queries["assigned"], key).scalars().all(), dtype=pl.String)
        left = month.left.filter(pl.col("subscriber_id").is_in(assigned.implode()))
        facts = {
            "month_observed": shift(month.month, horizon),
            "subscribers": left["subscriber_id"].to_list(),
            "days": left["churned_on"].to_list(),
            "reasons": left["reason"].to_list(),
            "now": now,
        }
        db.execute(queries["record_outcomes"], {**key, **facts})


def _evaluate(
    db: Connection,
    lake: Lake,
    campaign: str,
    cycle: str,
    revision: int,
    month: LabelledMonth,
    horizon: int,
    now: datetime,
) -> dict[str, Any] | None:
    """Judge one revision and replace its figures; None when the lake holds no grades of it any more."""
    queries, key = load("follow_up"), {"campaign": campaign, "cycle": cycle, "revision": revision}
    people = _graded(lake, month, key)
    if people is None:
        return None
    with db.begin():
        lock(db, "follow_up", campaign, cycle)
        ends_at = month_start(shift(month.month, horizon + 1))
        arms = db.execute(queries["arms"], {**key, "horizon_ends_at": ends_at}).all() if revision == 0 else []
        figures = [*_of_people(people), *_of_arms(arms)]
        db.execute(queries["forget_evaluations"], key)
        db.execute(queries["write_evaluation"], [{**key, **vars(figure), "now": now} for figure in figures])
    return {"cycle": cycle, "month": month.month, "revision": revision, **_told(figures)}


def _graded(lake: Lake, month: LabelledMonth, key: Mapping[str, Any]) -> pl.DataFrame | None:
    """The grades of a cycle's revision with has_churned (Float64) and weight; only the newest re-run is kept."""
    table, cycle = grades_of(key["campaign"], key["revision"]), key["cycle"]
    if not lake.has(table, cycle):
        return None
    facts = lake.manifest(table, cycle).facts
    if any(facts.get(name, value) != value for name, value in key.items()):
        return None
    wanted = ("subscriber_id", "grade", "tier", "cluster", "probability")
    people = month.labelled(lake.scan(table, cycle).select(wanted))
    # sorted: weights are summed, and floats in another order give another sum
    judged = people.with_columns(pl.col("has_churned").cast(pl.Float64))
    return judged.collect(engine="streaming").sort("subscriber_id")


def _of_people(people: pl.DataFrame) -> Iterator[Figure]:
    """Figures of everybody and by grade, tier and cluster.

    churned and churn_rate count what was seen; precision, recall, lift and the figures of the
    probability are weighted like training: without the contacted, with the held-out in their place.
    """
    everybody = people.with_columns(all=pl.lit("all"))
    for kind in ("all", "grade", "tier", "cluster"):
        for (value,), rows in sorted(everybody.group_by(kind), key=lambda each: str(each[0])):
            yield from _of_slice(kind, str(value), rows, people)


def _of_slice(kind: str, value: str, rows: pl.DataFrame, people: pl.DataFrame) -> Iterator[Figure]:
    churned = float(rows["has_churned"].sum())
    found: dict[str, float | None] = {"churned": churned, "churn_rate": churned / rows.height}
    if kind in ("grade", "tier"):
        found |= _warning_figures(rows, people)
    elif rows["probability"].null_count() < rows.height:
        found |= _score_figures(rows.filter(pl.col("probability").is_not_null()))
    for metric, figure in found.items():
        yield Figure(kind, value, metric, figure, rows.height)


def _warning_figures(rows: pl.DataFrame, people: pl.DataFrame) -> dict[str, float | None]:
    total, churned = _weighed(people)
    slice_total, slice_churned = _weighed(rows)
    precision = slice_churned / slice_total if slice_total else None
    return {
        "precision": precision,
        "recall": slice_churned / churned if churned else None,
        "lift": precision / (churned / total) if churned and precision is not None else None,
    }


def _weighed(rows: pl.DataFrame) -> tuple[float, float]:
    return float(rows["weight"].sum()), float((rows["weight"] * rows["has_churned"]).sum())


def _score_figures(rows: pl.DataFrame) -> dict[str, float | None]:
    arrays = (rows[name].to_numpy() for name in ("probability", "has_churned", "weight"))
    found = quality.figures(*arrays)
    return {name: value for name, value in found.items() if name not in ("n", "churners")}


def _of_arms(rows: Iterable[Any]) -> Iterator[Figure]:
    """Churn of the arms as assigned, reached or not, and their difference; then the treated by contact."""
    counted = list(rows)
    arms = {arm: _together(row for row in counted if row.arm == arm) for arm in (TREATED, HELD_OUT)}
    reached = {
        name: _together(row for row in counted if row.arm == TREATED and row.is_reached == is_reached)
        for name, is_reached in (("reached", True), ("not_reached", False))
    }
    for kind, groups in (("arm", arms), ("contact", reached)):
        for name, group in groups.items():
            if group.subscribers:
                yield Figure(kind, name, "churned", group.churned, group.subscribers)
                yield Figure(kind, name, "churn_rate", group.churn_rate, group.subscribers)
    effect = effect_of(arms[TREATED], arms[HELD_OUT])
    if effect:
        yield from _of_effect(effect, sum(arm.subscribers for arm in arms.values()))


def _together(rows: Iterable[Any]) -> Arm:
    taken = list(rows)
    return Arm(sum(row.subscribers for row in taken), sum(row.churned for row in taken))


def _of_effect(effect: Effect, subscribers: int) -> Iterator[Figure]:
    saves, saves_low, saves_high = effect.saves
    found = {
        "churn_avoided": effect.avoided,
        "churn_avoided_low": effect.low,
        "churn_avoided_high": effect.high,
        "incremental_saves": saves,
        "incremental_saves_low": saves_low,
        "incremental_saves_high": saves_high,
    }
    for metric, value in found.items():
        yield Figure("arm", "treated_against_held_out", metric, value, subscribers)


def _told(figures: list[Figure]) -> dict[str, Any]:
    """What a summary shows of a judged revision: everybody, grades and arms, as nested JSON."""
    everybody = [figure for figure in figures if figure.slice == "all"]
    told: dict[str, Any] = {"figures": len(figures), "subscribers": everybody[0].subscribers}
    told |= {figure.metric: figure.value for figure in everybody}
    for kind in ("grade", "arm", "contact"):
        groups: dict[str, dict[str, Any]] = {}
        for figure in figures:
            if figure.slice == kind:
                group = groups.setdefault(figure.slice_value, {"subscribers": figure.subscribers})
                group[figure.metric] = figure.value
        told[f"{kind}s"] = groups
    return told
