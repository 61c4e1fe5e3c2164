"""Reasons in human words: the contributions of factors summed by what they speak of."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

import polars as pl

from include.config import Config
from include.config.expressions import compile_row
from include.config.expressions.arithmetic import sum_across
from include.config.expressions.grammar import ROW
from include.config.readers.factors import OTHER_REASON, Factors, Reason
from include.words import named

#: What a hit of a rule that names a cause adds to the evidence for it.
POINTS_OF_A_HIT = 1.0
#: What a point of evidence counts beside log-odds in the order reasons are told: of two causes that add as
#: good as nothing, the one that something speaks for comes first.
WORTH_OF_A_POINT = 0.1

_OTHER = Reason(**named("causes.other"), symptom=True)

Evidence = Mapping[str, float]


class HumanReason(TypedDict):
    """A reason with its words, the log-odds it adds, and the points of evidence for it."""

    reason: str
    zh: str
    en: str
    is_symptom: bool
    contribution: float
    evidence: float


def grouped(
    contributions: Iterable[Mapping[str, Any]], library: Factors, evidence: Evidence | None = None
) -> list[HumanReason]:
    """Human reasons with the summed log-odds of their factors, in the order to tell them.

    `contributions` hold factor and contribution (all factors of one person); the sum over the result is the
    sum over them. What a symptom adds goes to the causes it may come from, by the `evidence` (points by
    cause) for each; without any it stays a symptom. Causes that raise the risk or have evidence come first,
    then symptoms that raise it, then what lowers it.
    """
    sums: dict[str, float] = {}
    for each in contributions:
        reason = library.reason_of.get(each["factor"], OTHER_REASON)
        sums[reason] = sums.get(reason, 0.0) + float(each["contribution"])
    signs = evidence or {}
    shared = {
        **{cause: 0.0 for cause, points in signs.items() if points > 0},
        **_shared(sums, library, signs),
    }
    named = [
        _named(reason, contribution, signs.get(reason, 0.0), library)
        for reason, contribution in shared.items()
    ]
    return sorted(named, key=_order)


def evidence_for(
    people: pl.DataFrame, hits: Mapping[str, Sequence[str]], config: Config
) -> Mapping[str, Evidence]:
    """Points for every cause by subscriber_id: the signs of factors.yaml, and the rules hit that name a cause.

    `people` are rows of the factors table; a factor it lacks is unknown and adds nothing.
    """
    library = config.factors
    points = [_points(library.reasons[cause], people.columns).alias(cause) for cause in library.causes]
    rows = people.select("subscriber_id", *points).iter_rows(named=True)
    found: dict[str, dict[str, float]] = {row.pop("subscriber_id"): row for row in rows}
    speaks_for = {rule.name: rule.reason for rule in config.rules.rules if rule.reason}
    for subscriber, names in hits.items():
        for cause in (speaks_for[name] for name in names if name in speaks_for):
            if subscriber in found:
                found[subscriber][cause] += POINTS_OF_A_HIT
    return found


def _points(cause: Reason, there: Iterable[str]) -> pl.Expr:
    signs = []
    for sign in cause.signs:
        unknown = {name: pl.lit(None, pl.Float64) for name in sign.needs(ROW) - set(there)}
        value = compile_row(sign, unknown).cast(pl.Float64)
        signs.append(pl.when(value.is_finite()).then(value).fill_null(0.0).clip(lower_bound=0.0))
    return sum_across(signs) if signs else pl.lit(0.0)


def _shared(sums: Mapping[str, float], library: Factors, evidence: Evidence) -> dict[str, float]:
    """`sums` with what each symptom adds given to the causes that share it; the total stays."""
    found = dict(sums)
    for reason, contribution in sums.items():
        causes = library.reasons[reason].shared_by if reason in library.reasons else ()
        weights = {cause: evidence.get(cause, 0.0) for cause in causes}
        total = sum(weights.values())
        if contribution > 0 and total > 0:
            del found[reason]
            for cause, weight in weights.items():
                if weight:
                    found[cause] = found.get(cause, 0.0) + contribution * (weight / total)
    return found


def _named(reason: str, contribution: float, points: float, library: Factors) -> HumanReason:
    words = library.reasons.get(reason, _OTHER)
    return {
        "reason": reason,
        "zh": words.zh,
        "en": words.en,
        "is_symptom": words.symptom,
        "contribution": contribution,
        "evidence": points,
    }


def _order(reason: HumanReason) -> tuple[bool, bool, float, str]:
    weight = reason["contribution"] + WORTH_OF_A_POINT * reason["evidence"]
    lowers = weight <= 0
    return (lowers, reason["is_symptom"] and not lowers, -weight, reason["reason"])
