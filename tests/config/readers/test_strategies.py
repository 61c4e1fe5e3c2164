"""strategies.yaml: what it holds as delivered, and that every mistake is told with file, entry and cause."""

import copy
from decimal import Decimal
from typing import Any

import pytest
import yaml

from include.config import Config
from include.config.readers.strategies import check_names, parse
from include.domain.contact.offer import fitting_offers
from include.domain.errors import ConfigError
from include.settings import ROOT
from include.subscribers.situation import judged_by, reasons_in, truths_of
from include.words.outcomes import NEEDS


@pytest.fixture(scope="module")
def delivered() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "include/config/strategies.yaml").read_text("utf-8"))


def changed(delivered: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy of the file with one entry ("offers/plan_check/kind") set, or taken out when `value` is None."""
    raw = copy.deepcopy(delivered)
    *way, last = path.split("/")
    entry = raw
    for step in way:
        entry = entry[step]
    if value is None:
        del entry[last]
    else:
        entry[last] = value
    return raw


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("offers/plan_check/kind", "gift", r"entry 'offers.plan_check.kind': Input should be"),
        ("offers/plan_check/cost_yuan", -1, r"entry 'offers.plan_check.cost_yuan'"),
        ("offers/plan_check/price", 1, r"entry 'offers.plan_check.price': Extra inputs"),
        ("offers/plan_check/excluded_by", ["rain"], r"offer 'plan_check', excluded_by: there is no 'rain'"),
        ("offers/plan_check/eligible", "age_years <", r"offer 'plan_check': 'age_years <' cannot be read"),
        ("offers/plan_check/eligible", "age_years + 1", r"offer 'plan_check': it gives a number; it must compare"),
        ("offers/plan_check/eligible", "network_type > 3", r"offer 'plan_check': it cannot be computed"),
        ("offers/plan_check/hints", [{"use": "shout", "zh": "x", "en": "x"}], r"hints.0.use"),
        ("segments/young/expression", "is_student +", r"segment 'young': 'is_student \+' cannot be read"),
        ("strategies/plan_fit/reason", "weather", r"strategy 'plan_fit', reason: there is no 'weather'"),
        ("strategies/plan_fit/offers", ["nothing"], r"strategy 'plan_fit', offers: there is no 'nothing'"),
        ("strategies/plan_fit/segments", ["kings"], r"strategy 'plan_fit', segments: there is no 'kings'"),
        ("strategies/plan_fit/phases", ["later"], r"strategy 'plan_fit', phases: there is no 'later'"),
        ("strategies/referral", None, r"offer 'referral_reward': no strategy makes it"),
        ("campaigns", {"churn_warning": "later"}, r"campaigns: there is no 'later'"),
        ("reasons/price/rules", ["arpu_falling"], r"entry 'reasons.price.rules': Extra inputs"),
        ("authority/lead", 10, r"a lead's 10 yuan must not be below an agent's 60"),
        ("outreach/hold_out/share", 1, r"entry 'outreach.hold_out.share'"),
        ("outreach/channels", ["call"], r"entry 'outreach.channels.0'"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_file_entry_and_cause(delivered, path, value, told):
    with pytest.raises(ConfigError, match=rf"strategies\.yaml, .*{told}"):
        parse(changed(delivered, path, value), "strategies.yaml")


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (
            "segments/young/expression",
            "shoe_size > 40",
            r"segment young: there is no fact or factor 'shoe_size'",
        ),
        (
            "reasons/weather",
            {"zh": "x", "en": "x"},
            r"reason 'weather': it is no cause of factors.yaml and no need",
        ),
        # a symptom explains nothing, so no strategy can answer it
        ("reasons/less_use", {"zh": "x", "en": "x"}, r"reason 'less_use': it is no cause of factors.yaml"),
    ],
)
def test_a_name_nobody_computes_is_told(delivered, config: Config, path, value, told):
    read = parse(changed(delivered, path, value), "strategies.yaml")
    with pytest.raises(ConfigError, match=rf"strategies\.yaml, {told}"):
        check_names(read, config.factors)


def test_every_cause_and_every_need_is_a_reason_and_every_cause_has_a_strategy_for_everybody(config: Config):
    known = config.strategies
    assert set(known.reasons) == {*config.factors.causes, *NEEDS}
    first = {}
    for name, strategy in known.strategies.items():
        if "intervention" in strategy.phases and not strategy.segments:
            first.setdefault(strategy.reason, name)
    assert first == {
        "price": "plan_discount", "bundle_mismatch": "plan_fit", "service": "service_care", "network": "network_cure",
        "competition": "match_competitor", "contract_end": "renew_contract", "device": "device_care",
        "payment": "payment_care",
    }  # fmt: skip


def told(reason: str, contribution: float, evidence: float = 0.0, is_symptom: bool = False) -> dict[str, Any]:
    return {
        "reason": reason, "contribution": contribution, "evidence": evidence, "is_symptom": is_symptom,
    }  # fmt: skip


def test_strategies_answer_the_causes_evidence_tells_in_its_order(config: Config):
    human = [
        told("service", 0.4), told("price", -0.01, evidence=2.0), told("less_use", 3.0, is_symptom=True),
        told("network", -0.2), told("a_cause_no_longer_configured", 0.1),
    ]  # fmt: skip
    assert reasons_in({"human_reasons": human}, config.strategies) == ["service", "price"]
    assert reasons_in({}, config.strategies) == []


def test_every_reason_an_agent_meets_has_an_offer_that_costs_nothing_and_rules_nobody_out(config: Config):
    known = config.strategies
    worst = truths_of(
        known,
        {"arrears_yuan": 99, "days_to_contract_end": 500, "has_applied_to_port_out": True, "age_years": 80},
    )
    judged = fitting_offers(
        judged_by(known, worst, ["intervention"]), list(known.reasons), known.book, "agent", Decimal(0)
    )
    fitting = {each.offer.strategy for each in judged if each.fits}
    wanted = {
        "plan_discount", "plan_fit", "service_care", "network_cure", "match_competitor", "renew_contract",
        "device_care", "payment_care",
    }  # fmt: skip
    assert fitting.issuperset(wanted)


@pytest.mark.parametrize(
    ("facts", "segments"),
    [
        ({"age_years": 25}, {"young"}),
        ({"age_years": 26}, set()),
        ({"is_student": True}, {"young"}),
        ({"age_years": 65}, {"elderly"}),
        ({"value_yuan": 150}, {"high_value", "high_value_before"}),
        ({"network_type": "2g"}, {"device_2g"}),
        ({"tenure_months": 5.9}, {"new_subscriber"}),
        ({"numbers_on_account": 3, "is_enterprise": False}, {"family"}),
        ({"numbers_on_account": 3, "is_enterprise": True}, {"enterprise"}),
        ({}, set()),
    ],
)
def test_segments_are_as_delivered(config: Config, facts, segments):
    known = config.strategies
    assert judged_by(known, truths_of(known, facts), ["intervention"]).segments == segments


def test_every_hint_says_what_it_is_for(config: Config):
    uses = {hint.use for offer in config.strategies.offers.values() for hint in offer.hints}
    assert uses == {"may_be_said", "internal"}
