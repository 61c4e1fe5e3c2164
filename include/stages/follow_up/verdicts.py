"""What a followed-up cycle is judged by: figures of its people, of its arms, and of both for a summary."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict, cast

import polars as pl

from include.domain.dispatch.assignment import HELD_OUT, TREATED
from include.models import quality
from include.models.labels import HAPPENED
from include.stages.follow_up.effect import Arm, difference, effect_of

#: What a label's truth is counted as: leaving has the name it always had.
LEAVING, OTHER = ("churned", "churn_rate"), ("happened", "happened_rate")
_WARNED = ("grade", "tier")
_AGAINST = "treated_against_held_out"


@dataclass(frozen=True)
class Figure:
    """One figure of a slice: `subscribers` is how many people stand behind it."""

    slice: str
    slice_value: str
    metric: str
    value: float | None
    subscribers: int


def of_people(people: pl.DataFrame, names: tuple[str, str]) -> Iterator[Figure]:
    """Figures of everybody and by grade, tier and cluster, the label's truth (Float64) counted by `names`.

    These count what was seen; precision, recall, lift and the figures of the probability are weighted like
    training: without the contacted, with the held-out in their place.
    """
    everybody = people.with_columns(all=pl.lit("all"))
    for kind in ("all", "grade", "tier", "cluster"):
        # whom no grade was given is counted among everybody alone
        groups = (everybody.drop_nulls(kind) if kind in _WARNED else everybody).group_by(kind)
        for (value,), rows in sorted(groups, key=lambda each: str(each[0])):
            yield from _of_slice(kind, str(value), rows, people, names)


def _of_slice(
    kind: str, value: str, rows: pl.DataFrame, people: pl.DataFrame, names: tuple[str, str]
) -> Iterator[Figure]:
    happened = float(rows[HAPPENED].sum())
    found: dict[str, float | None] = dict(zip(names, (happened, happened / rows.height), strict=True))
    if kind in _WARNED:
        found |= _warning_figures(rows, people)
    elif rows["probability"].null_count() < rows.height:
        found |= _score_figures(rows.filter(pl.col("probability").is_not_null()))
    for metric, figure in found.items():
        yield Figure(kind, value, metric, figure, rows.height)


def _warning_figures(rows: pl.DataFrame, people: pl.DataFrame) -> dict[str, float | None]:
    total, happened = _weighed(people)
    slice_total, slice_happened = _weighed(rows)
    precision = slice_happened / slice_total if slice_total else None
    return {
        "precision": precision,
        "recall": slice_happened / happened if happened else None,
        "lift": precision / (happened / total) if happened and precision is not None else None,
    }


def _weighed(rows: pl.DataFrame) -> tuple[float, float]:
    return float(rows["weight"].sum()), float((rows["weight"] * rows[HAPPENED]).sum())


def _score_figures(rows: pl.DataFrame) -> dict[str, float | None]:
    arrays = (rows[name].to_numpy() for name in ("probability", HAPPENED, "weight"))
    found = quality.figures(*arrays)
    return {name: value for name, value in found.items() if name not in ("n", "churners")}


def of_arms(rows: Iterable[Any]) -> Iterator[Figure]:
    """Churn and success of the arms as assigned, and their differences; churn of the treated by contact as well.

    Of each arm those count of whom it is known. Without anybody held out nothing is said of an effect.
    """
    counted = list(rows)
    arms = {arm: [row for row in counted if row.arm == arm] for arm in (TREATED, HELD_OUT)}
    reached = {
        name: [row for row in arms[TREATED] if row.is_reached == is_reached]
        for name, is_reached in (("reached", True), ("not_reached", False))
    }
    churn, success = (_arms(arms, count) for count in (_churn, _success))
    yield from _rates("arm", churn, LEAVING)
    yield from _rates("contact", _arms(reached, _churn), LEAVING)
    yield from _rates("arm", success, ("succeeded", "success_rate"))
    yield from _avoided(churn)
    yield from _gained(success)


def _churn(row: Any) -> Arm:
    return Arm(row.subscribers, row.churned)


def _success(row: Any) -> Arm:
    return Arm(row.judged, row.succeeded)


def _arms(groups: dict[str, list[Any]], count: Callable[[Any], Arm]) -> dict[str, Arm]:
    counted = {name: [count(row) for row in rows] for name, rows in groups.items()}
    return {
        name: Arm(sum(each.subscribers for each in arms), sum(each.happened for each in arms))
        for name, arms in counted.items()
    }


def _rates(kind: str, arms: dict[str, Arm], names: tuple[str, str]) -> Iterator[Figure]:
    for name, arm in arms.items():
        if arm.subscribers:
            for metric, value in zip(names, (arm.happened, arm.rate), strict=True):
                yield Figure(kind, name, metric, value, arm.subscribers)


def _avoided(arms: dict[str, Arm]) -> Iterator[Figure]:
    effect = effect_of(arms[TREATED], arms[HELD_OUT])
    if effect is None:
        return
    saves, saves_low, saves_high = effect.saves
    found = {
        "churn_avoided": effect.avoided,
        "churn_avoided_low": effect.low,
        "churn_avoided_high": effect.high,
        "incremental_saves": saves,
        "incremental_saves_low": saves_low,
        "incremental_saves_high": saves_high,
    }
    yield from _against(found, arms)


def _gained(arms: dict[str, Arm]) -> Iterator[Figure]:
    gained = difference(arms[TREATED], arms[HELD_OUT])
    if gained is None:
        return
    found = {
        "success_gained": gained.value,
        "success_gained_low": gained.low,
        "success_gained_high": gained.high,
    }
    yield from _against(found, arms)


def _against(found: dict[str, float], arms: dict[str, Arm]) -> Iterator[Figure]:
    subscribers = sum(arm.subscribers for arm in arms.values())
    for metric, value in found.items():
        yield Figure("arm", _AGAINST, metric, value, subscribers)


class Summary(TypedDict):
    """A judged revision: its people, the metrics of everybody beside them by name, and those of each group.

    figures: how many were found, for the one who counts them.
    """

    subscribers: int
    figures: NotRequired[int]
    grades: dict[str, dict[str, float]]
    arms: dict[str, dict[str, float]]
    contacts: dict[str, dict[str, float]]


def summary_of(figures: list[Figure]) -> Summary:
    """What a summary shows of a judged revision: everybody, grades and arms, as nested JSON."""
    everybody = [figure for figure in figures if figure.slice == "all"]
    kinds = {kind: _groups_of(kind, figures) for kind in ("grade", "arm", "contact")}
    arms = {each.slice_value: each.subscribers for each in figures if each.slice == "arm"}
    people = everybody[0].subscribers if everybody else sum(arms.get(arm, 0) for arm in (TREATED, HELD_OUT))
    found: dict[str, Any] = {"figures": len(figures), "subscribers": people}
    found |= {figure.metric: figure.value for figure in everybody}
    return cast(Summary, found | {f"{kind}s": groups for kind, groups in kinds.items()})


def _groups_of(kind: str, figures: list[Figure]) -> dict[str, dict[str, Any]]:
    groups: dict[str, dict[str, Any]] = {}
    for figure in figures:
        if figure.slice == kind:
            group = groups.setdefault(figure.slice_value, {"subscribers": figure.subscribers})
            group[figure.metric] = figure.value
    return groups
