"""Why this subscriber: what was known at dispatch, frozen as one JSON text per assignment."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import polars as pl

from include.config import Config
from include.domain.periods.months import shift
from include.models.reasons import evidence_for, grouped
from include.run import Run
from include.stages.grading.sources import events_of
from include.stages.prediction import Contribution
from include.subscribers.facts import choosing, events_of_people, open_faults, other_numbers, splits_of
from include.subscribers.histories import Histories
from include.subscribers.last_profiles import profiles_of

HISTORY = 6
TOP = 10
_SERIES = ("bill_yuan", "data_mb", "voice_out_minutes")
_PROFILE = (
    "plan_code",
    "plan_fee_yuan",
    "tenure_months",
    "cluster",
    "region_code",
    "branch_code",
    "value_yuan",
)
_DIGITS = 6


def evidence_of(
    run: Run, *, warnings: Sequence[Mapping[str, Any]], reasons: Mapping[str, list[Contribution]]
) -> dict[str, str]:
    """Canonical JSON evidence by subscriber_id for the rows of `warnings` (as dispatch reads them).

    `reasons`: all factors of each subscriber, top first; the first ten are told one by one, all of them
    summed by human reason, symptoms by the evidence for each cause. Who has left is told of by their last profile.

    The same inputs give the same bytes: no clock, no run id, numbers to six significant digits.
    """
    rows = {row["subscriber_id"]: row for row in warnings}
    found: dict[str, str] = {}
    for month, theirs in profiles_of(run.rules, run.lake, run.month, list(rows)).items():
        found |= _of_month(replace(run, month=month), [rows[subscriber] for subscriber in theirs], reasons)
    return found


def _of_month(
    run: Run, warnings: Sequence[Mapping[str, Any]], reasons: Mapping[str, list[Contribution]]
) -> dict[str, str]:
    """The evidence of those whose profile is of the run's month."""
    lake, config, month, as_of = run.lake, run.config, run.month, run.as_of
    wanted = [row["subscriber_id"] for row in warnings]
    people = _rows_of(lake.scan("factors", month), wanted)
    profiles = {row["subscriber_id"]: row for row in people.iter_rows(named=True)}
    signs = evidence_for(people, {row["subscriber_id"]: row["rule_hits"] for row in warnings}, config)
    named = lake.manifest("factors", month).facts["factors"]
    histories = Histories.of(lake, month)
    series = _series(histories, month, wanted)
    chosen = choosing(lake, config, month, run.campaign, wanted)
    # facts of the days between the month's end and as_of stand in the month after
    faults = open_faults(histories, [*_months(month), shift(month, 1)], as_of, wanted)
    numbers = other_numbers(lake, month, wanted)
    asked = _asked_for(run, wanted)
    found = {}
    for row in warnings:
        subscriber = row["subscriber_id"]
        profile = profiles.get(subscriber, {})
        found[subscriber] = _canonical(
            {
                "as_of": as_of.isoformat(),
                "month": month,
                "subscriber": {name: profile.get(name) for name in _PROFILE},
                "score": _score(row),
                "rules": _rules(row["rule_hits"], config),
                "reasons": [_named_reason(each, config) for each in reasons.get(subscriber, [])[:TOP]],
                "human_reasons": grouped(reasons.get(subscriber, []), config.factors, signs.get(subscriber)),
                "factors": {name: profile[name] for name in named if profile.get(name) is not None},
                "history": {"months": _months(month), **series.get(subscriber, {})},
                "other_numbers": numbers.get(subscriber, [])[:TOP],
            }
            | ({} if faults is None else {"open_faults": faults.get(subscriber, [])[:TOP]})
            | {name: facts.get(subscriber) for name, facts in asked.items()},
            partial(chosen, subscriber),
        )
    return found


def _asked_for(run: Run, wanted: list[str]) -> dict[str, Mapping[str, Any]]:
    """By entry and subscriber what this campaign asks for: what its list is split by, the events it is about."""
    found: dict[str, Mapping[str, Any]] = {}
    if run.rules.splits:
        found["splits"] = splits_of(run.lake, run.month, run.rules.splits, wanted)
    if run.rules.source.event is not None and wanted:
        events = events_of_people(events_of(run, run.rules.source.event), wanted)
        found["events"] = {subscriber: newest[:TOP] for subscriber, newest in events.items()}
    return found


def sha256_of(evidence: str) -> str:
    """The hash stored beside the evidence."""
    return hashlib.sha256(evidence.encode()).hexdigest()


def _score(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: row[name] for name in ("probability", "model_version", "grade", "tier", "rank", "rule_points")
    }


def _rules(hits: Sequence[str], config: Config) -> list[dict[str, Any]]:
    named = {rule.name: rule for rule in config.rules.rules}
    return [{"rule": hit, "zh": named[hit].zh, "en": named[hit].en} for hit in sorted(hits) if hit in named]


def _named_reason(reason: Mapping[str, Any], config: Config) -> dict[str, Any]:
    named = {factor.name: factor for factor in config.factors.factors}
    factor = named.get(reason["factor"])
    return dict(reason) | ({"zh": factor.zh, "en": factor.en, "unit": factor.unit} if factor else {})


def _months(month: str) -> list[str]:
    return [shift(month, -back) for back in range(HISTORY - 1, -1, -1)]


def _series(histories: Histories, month: str, wanted: list[str]) -> dict[str, dict[str, list[Any]]]:
    """Six values a metric and subscriber, oldest first; a month without a row is null, never zero."""
    found: dict[str, dict[str, list[Any]]] = {}
    for position, each in enumerate(_months(month)):
        if not histories.lake.has("usage_months", each):
            continue
        for subscriber, row in _by_subscriber(histories.usage(each), wanted).items():
            mine = found.setdefault(
                subscriber, {metric: [None] * HISTORY for metric in _SERIES if metric in row}
            )
            for metric in mine:
                mine[metric][position] = row.get(metric)
    return found


def _by_subscriber(rows: pl.LazyFrame, wanted: list[str]) -> dict[str, dict[str, Any]]:
    return {row["subscriber_id"]: row for row in _rows_of(rows, wanted).iter_rows(named=True)}


def _rows_of(rows: pl.LazyFrame, wanted: list[str]) -> pl.DataFrame:
    ids = pl.LazyFrame({"subscriber_id": wanted}, schema={"subscriber_id": pl.String})
    return rows.join(ids, on="subscriber_id", how="semi").collect(engine="streaming")


def _canonical(evidence: dict[str, Any], *parts: Callable[[dict[str, Any]], Mapping[str, Any]]) -> str:
    """`evidence` and what each of `parts` adds to it, as JSON with sorted names."""
    for part in parts:
        evidence = {**evidence, **part(evidence)}
    return json.dumps(_plain(evidence), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, bool | str | int):
        return value
    number = float(value)  # floats and Decimals
    return float(f"{number:.{_DIGITS}g}") if math.isfinite(number) else None
