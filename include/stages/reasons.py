"""Reasons in human words: the contributions of factors summed by what they speak of."""

from collections.abc import Iterable, Mapping
from typing import Any

from include.config.factors import OTHER_REASON, Factors, Reason

_OTHER = Reason(zh="其他", en="Other", symptom=True)


def grouped(contributions: Iterable[Mapping[str, Any]], library: Factors) -> list[dict[str, Any]]:
    """Human reasons with the summed log-odds of their factors, in the order to tell them.

    `contributions` hold factor and contribution (all factors of one person); the sum over the result is the
    sum over them. Causes that raise the risk come first, then symptoms that do, then what lowers it.
    """
    sums: dict[str, float] = {}
    for each in contributions:
        reason = library.reason_of.get(each["factor"], OTHER_REASON)
        sums[reason] = sums.get(reason, 0.0) + float(each["contribution"])
    named = [_named(reason, contribution, library) for reason, contribution in sums.items()]
    return sorted(named, key=_order)


def _named(reason: str, contribution: float, library: Factors) -> dict[str, Any]:
    words = library.reasons.get(reason, _OTHER)
    return {
        "reason": reason,
        "zh": words.zh,
        "en": words.en,
        "is_symptom": words.symptom,
        "contribution": contribution,
    }


def _order(told: Mapping[str, Any]) -> tuple[bool, bool, float, str]:
    lowers = told["contribution"] <= 0
    return (lowers, told["is_symptom"] and not lowers, -told["contribution"], told["reason"])
