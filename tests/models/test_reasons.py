"""Reasons in human words: everything a factor adds to the score is told under one reason, causes first."""

from dataclasses import replace
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
import yaml
from hypothesis import given
from hypothesis import strategies as st

from include.config import Config
from include.config.readers import factors
from include.config.readers.factors import parse
from include.config.readers.rules import check_factors
from include.domain.errors import ConfigError
from include.domain.periods.months import default_as_of
from include.lake import Lake
from include.models import store, trees
from include.models.reasons import evidence_for, grouped
from include.settings import OWN_CONFIG
from include.stages import features, prediction, training
from tests.fixtures.runs import run_of
from tests.stages.province import Province, quick_recipes
from tests.stages.worked_cycle import CAMPAIGN

SHIPPED = OWN_CONFIG / "factors.yaml"
AS_OF = default_as_of("2026-10")


def library(*entries: dict[str, Any], **more: Any) -> factors.Factors:
    raw = {
        "words": {},
        "reasons": {
            "price": {"zh": "资费", "en": "Price"},
            "less_use": {"zh": "使用减少", "en": "Less use", "symptom": True},
        },
        "groups": {"usage": {"zh": "用量", "en": "Usage", "reason": "less_use"}},
        "factors": list(entries),
    }
    return parse(raw | more, "factors.yaml")


def entry(name: str, **more: Any) -> dict[str, Any]:
    said = {"name": name, "zh": "某", "en": "Some", "class": "risk", "group": "usage", "unit": "MB"}
    return {**said, "expression": "last(data_mb)", **more}


def contribution(factor: str, value: float) -> dict[str, Any]:
    return {"factor": factor, "value": 1.0, "contribution": value}


LIBRARY = library(entry("data_fall"), entry("bill_level", reason="price"))


def test_a_factor_speaks_of_its_own_reason_else_of_its_groups() -> None:
    assert LIBRARY.reason_of == {"data_fall": "less_use", "bill_level": "price"}


def test_a_cause_is_told_before_a_larger_symptom_and_what_lowers_the_risk_last() -> None:
    told = grouped([contribution("data_fall", 2.0), contribution("bill_level", 0.5)], LIBRARY)
    assert [each["reason"] for each in told] == ["price", "less_use"]
    told = grouped([contribution("data_fall", 2.0), contribution("bill_level", -0.5)], LIBRARY)
    assert [each["reason"] for each in told] == ["less_use", "price"]
    assert told[0]["zh"] == "使用减少"
    assert told[0]["is_symptom"] is True


def test_a_factor_the_library_no_longer_has_counts_under_other() -> None:
    told = grouped([contribution("old_factor", 0.3)], LIBRARY)
    assert [(each["reason"], each["contribution"]) for each in told] == [("other", 0.3)]


SHARED = library(
    entry("complaints", reason="discontent"), entry("price_talk", reason="price"), entry("drops", reason="network"),
    reasons={
        "price": {"zh": "资费", "en": "Price", "evidence": ["price_talk", "price_talk - 1"]},
        "network": {"zh": "网络", "en": "Network", "evidence": ["drops > 2"]},
        "discontent": {"zh": "不满", "en": "Discontent", "symptom": True, "shared_by": ["price", "network"]},
        "less_use": {"zh": "使用减少", "en": "Less use", "symptom": True},
    },
)  # fmt: skip


def told(
    contributions: dict[str, float], evidence: dict[str, float] | None = None
) -> list[tuple[str, float]]:
    given = [contribution(factor, value) for factor, value in contributions.items()]
    return [(each["reason"], each["contribution"]) for each in grouped(given, SHARED, evidence)]


def test_a_shared_symptom_goes_to_its_causes_by_the_evidence_for_each() -> None:
    assert told({"complaints": 0.8, "drops": 0.1}, {"price": 3.0, "network": 1.0}) == [
        ("price", pytest.approx(0.6)), ("network", pytest.approx(0.3))
    ]  # fmt: skip


def test_without_evidence_a_shared_symptom_stays_one() -> None:
    assert told({"complaints": 0.8}, {"price": 0.0}) == [("discontent", 0.8)]
    assert told({"complaints": 0.8}) == [("discontent", 0.8)]


def test_a_symptom_that_lowers_the_risk_is_nobodys_cause() -> None:
    assert told({"complaints": -0.5, "drops": 0.1}, {"price": 3.0})[-1] == ("discontent", -0.5)


def test_of_two_causes_that_add_nothing_the_one_with_evidence_comes_first() -> None:
    assert told({"price_talk": 0.01, "drops": 0.02}, {"price": 2.0})[0] == ("price", 0.01)
    assert told({"price_talk": 0.01, "drops": 0.9}, {"price": 2.0})[0] == ("network", 0.9)


@given(
    st.dictionaries(st.sampled_from(["complaints", "price_talk", "drops", "old"]), st.floats(-3, 3)),
    st.dictionaries(st.sampled_from(["price", "network", "unknown"]), st.floats(0, 9)),
)
def test_the_sum_over_reasons_is_always_the_sum_over_factors(
    contributions: dict[str, float], evidence: dict[str, float]
) -> None:
    assert sum(each for _, each in told(contributions, evidence)) == pytest.approx(
        sum(contributions.values())
    )


def test_evidence_is_what_the_signs_add_up_to_each_from_zero_up(config: Config) -> None:
    people = pl.DataFrame(
        {"subscriber_id": ["A", "B", "C"], "price_talk": [3.0, 0.5, None], "drops": [9.0, 1.0, 3.0]}
    )
    found = evidence_for(people, {}, replace(config, factors=SHARED))
    assert found == {
        "A": {"price": 5.0, "network": 1.0}, "B": {"price": 0.5, "network": 0.0}, "C": {"price": 0.0, "network": 1.0}
    }  # fmt: skip


def test_a_factor_that_was_left_out_adds_nothing_and_a_hit_of_a_rule_is_a_point(config: Config) -> None:
    people = pl.DataFrame({"subscriber_id": ["A", "B"]})
    found = evidence_for(
        people, {"A": ["long_agent_calls", "arpu_falling"], "X": ["long_agent_calls"]}, config
    )
    assert found["A"] == {cause: float(cause == "service") for cause in config.factors.causes}
    assert set(found["B"].values()) == {0.0}


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        (
            {"evidence": ["price_talks"]},
            "reason 'price': 'price_talks' names 'price_talks', which is not a factor",
        ),
        ({"evidence": ["last(price_talk)"]}, "reason 'price': there is no function 'last'"),
        ({"evidence": ["price_talk +"]}, "reason 'price': 'price_talk \\+' cannot be read"),
        ({"evidence": ["mentions(price_talk, 'dear')"]}, "reason 'price': there is no word list 'dear'"),
        ({"evidence": ["price_talk"], "symptom": True}, "entry 'reasons.price': .*a symptom has no evidence"),
        ({"shared_by": ["network"]}, "entry 'reasons.price': .*only a symptom can be shared"),
        ({"shared_by": ["moon"], "symptom": True}, "reason 'price': 'moon' under shared_by is not a cause"),
    ],
)
def test_wrong_evidence_is_refused_with_file_reason_and_cause(reason: dict[str, Any], cause: str) -> None:
    reasons = {"price": {"zh": "资费", "en": "Price", **reason}, "network": {"zh": "网", "en": "Network"}}
    groups = {"usage": {"zh": "用量", "en": "Usage"}}
    with pytest.raises(ConfigError, match=rf"factors\.yaml, {cause}"):
        library(entry("price_talk"), reasons=reasons, groups=groups)


def test_a_rule_that_names_no_cause_of_the_library_is_refused(config: Config) -> None:
    one = config.rules.rules[0].model_copy(update={"reason": "less_use"})
    with pytest.raises(ConfigError, match=r"rules\.yaml, rule 'arpu_falling': 'less_use' is not a cause"):
        check_factors(config.rules.model_copy(update={"rules": (one,)}), config.factors)


def test_a_reason_without_words_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="factor 'x_factor': there is no reason 'weather'"):
        library(entry("x_factor", reason="weather"))
    groups = {"usage": {"zh": "用量", "en": "Usage", "reason": "moon"}}
    with pytest.raises(ConfigError, match="group 'usage': there is no reason 'moon'"):
        library(entry("x_factor"), groups=groups)


def test_every_factor_shipped_speaks_of_a_reason_with_words_in_both_languages() -> None:
    shipped = parse(yaml.safe_load(SHIPPED.read_text("utf-8")), "factors.yaml")
    assert set(shipped.reason_of) == set(shipped.names)
    assert set(shipped.reason_of.values()) <= set(shipped.reasons) - {"other"}
    causes = {name for name, reason in shipped.reasons.items() if not reason.symptom}
    assert causes == {
        "price", "bundle_mismatch", "service", "network", "competition", "contract_end", "device", "payment"
    }  # fmt: skip
    assert all(reason.zh != reason.en for reason in shipped.reasons.values())


def test_human_reasons_and_the_base_sum_to_the_margin_of_the_score(
    db: sa.Connection, lake: Lake, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "build", lambda _run: {})
    monkeypatch.setattr(trees, "RECIPES", quick_recipes(30))
    Province(lake, 1500, base=-2.5).live_through("2026-08")
    training.train(
        run_of(db=db, lake=lake, config=config, campaign=CAMPAIGN, month="2026-08", as_of=AS_OF, now=AS_OF),
        nthread=1,
    )
    champions = prediction.champions(
        run_of(db=db, lake=lake, config=config, month="2026-08", as_of=AS_OF, campaign=CAMPAIGN)
    )
    people = lake.scan("factors", "2026-08").collect().head(50)
    found = prediction.reasons(
        lake=lake,
        month="2026-08",
        champions=champions,
        subscriber_ids=people["subscriber_id"].to_list(),
        top=None,
    )
    champion = champions["pooled"]
    model = store.load(lake, champion["version"], champion["sha256"])
    values = store.matrix(people, model.factors)
    base, margins = model.contributions(values)[:, -1], model.margins(values)
    for row, subscriber in enumerate(people["subscriber_id"]):
        told = grouped(found[subscriber], config.factors)
        assert sum(each["contribution"] for each in told) + base[row] == pytest.approx(margins[row], abs=1e-4)
