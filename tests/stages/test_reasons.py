"""Reasons in human words: everything a factor adds to the score is told under one reason, causes first."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from include.config import Config, factors
from include.config.factors import parse
from include.domain.errors import ConfigError
from include.domain.months import default_as_of
from include.lake import Lake
from include.stages import features, fitting, models, prediction, training
from include.stages.reasons import grouped
from tests.stages.province import Province, quick_recipes
from tests.stages.worked_cycle import CAMPAIGN

SHIPPED = Path(factors.__file__).with_name("factors.yaml")
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
    monkeypatch.setattr(features, "build", lambda **_: {})
    monkeypatch.setattr(fitting, "RECIPES", quick_recipes(30))
    Province(lake, 1500, base=-2.5).live_through("2026-08")
    training.train(
        db=db, lake=lake, config=config, campaign=CAMPAIGN, month="2026-08", as_of=AS_OF, now=AS_OF, nthread=1
    )
    champions = prediction.champions(
        db=db, lake=lake, config=config, month="2026-08", as_of=AS_OF, campaign=CAMPAIGN
    )
    people = lake.scan("factors", "2026-08").collect().head(50)
    found = prediction.reasons(
        lake=lake, config=config, month="2026-08", champions=champions,
        subscriber_ids=people["subscriber_id"].to_list(), top=None,
    )  # fmt: skip
    champion = champions["pooled"]
    model = models.load(lake, champion["version"], champion["sha256"])
    values = models.matrix(people, model.factors)
    base, margins = model.contributions(values)[:, -1], model.margins(values)
    for row, subscriber in enumerate(people["subscriber_id"]):
        told = grouped(found[subscriber], config.factors)
        assert sum(each["contribution"] for each in told) + base[row] == pytest.approx(margins[row], abs=1e-4)
