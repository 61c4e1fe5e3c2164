"""Who the customer is and why they may leave, in words, from the evidence frozen at dispatch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypedDict

from include.config.readers.factors import Factors

#: Facts of the profile worth telling, in the order to tell them, when they are known.
_PROFILE = ("plan_data_mb", "plan_voice_minutes", "balance_yuan", "arrears_yuan", "numbers_on_account")
#: Factors about trouble with the service, told when there was any.
_TROUBLE = ("faults_3m", "complaints_3m", "complaints_6m", "agent_calls_3m")
_TOP = 5


@dataclass(frozen=True)
class Fact:
    """One line about the customer: the name of a fact, or its own label in both languages, and the value."""

    key: str
    value: Any
    label: Any = None


def facts_of_customer(evidence: Mapping[str, Any], factors: Factors) -> list[Fact]:
    """What an agent has to know at a glance: plan, fee, use against allowance, contract end, bill, trouble."""
    subscriber, profile = evidence.get("subscriber", {}), evidence.get("profile", {})
    found = [Fact(name, value) for name, value in subscriber.items()]
    found += [Fact(name, profile[name]) for name in _PROFILE if profile.get(name) is not None]
    found += _bill(evidence) + _use(evidence, profile) + _contract(evidence, profile)
    named = {factor.name: factor for factor in factors.factors}
    return found + [
        Fact(name, value, named[name])
        for name in _TROUBLE
        if name in named and (value := evidence.get("factors", {}).get(name))
    ]


def _bill(evidence: Mapping[str, Any]) -> list[Fact]:
    """The last month's bill; the six months before stand in the picture."""
    last = (evidence.get("history", {}).get("bill_yuan") or [None])[-1]
    return [] if last is None else [Fact("bill_yuan", last)]


def _use(evidence: Mapping[str, Any], profile: Mapping[str, Any]) -> list[Fact]:
    """The last month's use as a share of what the plan includes."""
    history = evidence.get("history", {})
    pairs = (
        ("data_use", "data_mb", "plan_data_mb"),
        ("voice_use", "voice_out_minutes", "plan_voice_minutes"),
    )
    found = []
    for key, used, allowed in pairs:
        last, allowance = (history.get(used) or [None])[-1], profile.get(allowed)
        if last is not None and allowance:
            found.append(Fact(key, f"{100 * last / allowance:,.0f} %"))
    return found


def _contract(evidence: Mapping[str, Any], profile: Mapping[str, Any]) -> list[Fact]:
    days, as_of = profile.get("days_to_contract_end"), evidence.get("as_of")
    if days is None or as_of is None:
        return []
    ends = datetime.fromisoformat(as_of).date() + timedelta(days=round(days))
    return [Fact("contract_ends", ends.isoformat())]


@dataclass(frozen=True)
class Why:
    """A reason to leave in both languages, and the measurement that speaks for it with its unit."""

    zh: str
    en: str
    value: Any = None
    unit: str = ""
    is_rule: bool = False


def reasons_of(evidence: Mapping[str, Any], factors: Factors) -> list[Why]:
    """The likeliest reasons in human words first, then the measurements behind them, then the rules that fired."""
    human = [Why(each["zh"], each["en"]) for each in evidence.get("human_reasons", []) if _speaks(each)]
    units = {factor.name: factor.unit for factor in factors.factors}
    measured = [_measured(each, units) for each in evidence.get("reasons", [])[:_TOP]]
    fired = [Why(rule["zh"], rule["en"], is_rule=True) for rule in evidence.get("rules", [])]
    return human[:_TOP] + measured + fired


def _speaks(reason: Mapping[str, Any]) -> bool:
    return float(reason.get("contribution", 0)) > 0 or float(reason.get("evidence", 0) or 0) > 0


def _measured(reason: Mapping[str, Any], units: Mapping[str, str]) -> Why:
    name = reason["factor"]
    # tickets of before the unit was frozen have that of today
    unit = reason.get("unit", units.get(name, ""))
    return Why(reason.get("zh", name), reason.get("en", name), reason.get("value"), unit)


class FrozenOffer(TypedDict):
    """An offer as dispatch froze it in the evidence: the names of it and of its strategy."""

    strategy: str
    offer: str


def strategies_of(evidence: Mapping[str, Any]) -> Sequence[FrozenOffer]:
    """The strategy chosen at dispatch and its runner-up, those that are there."""
    frozen = evidence.get("strategy") or {}
    return [frozen[name] for name in ("chosen", "runner_up") if frozen.get(name)]
