"""rules.yaml: the ten indicators as shipped, one entry adds a rule, and errors name file, entry, cause."""

import pytest
import yaml

from include.config.readers.rules import check_factors, parse
from include.domain.errors import ConfigError
from include.settings import OWN_CONFIG

SHIPPED = OWN_CONFIG / "rules.yaml"
ENTRY = {
    "name": "new_rule",
    "zh": "新规则",
    "en": "New rule",
    "group": "service",
    "expression": "complaints_3m >= often",
    "points": 1,
    "owner": "analysts",
    "valid_from": "2026-01-01",
}


def library(*entries):
    groups = {"service": {"zh": "服务", "en": "Service"}}
    return parse({"benchmarks": {"often": 2}, "groups": groups, "rules": list(entries)}, "rules.yaml")


@pytest.fixture(scope="module")
def shipped():
    return parse(yaml.safe_load(SHIPPED.read_text("utf-8")), "rules.yaml")


def test_the_ten_indicators_are_shipped(shipped):
    assert [rule.name for rule in shipped.rules] == [
        "arpu_falling", "data_usage_down", "out_of_bundle_data_rising", "repeated_complaints",
        "unsatisfied_after_fault", "long_agent_calls", "competitor_plan_lookups", "competitor_event",
        "port_out_words", "known_pattern",
    ]  # fmt: skip


def test_only_port_out_words_and_the_known_pattern_guarantee_high(shipped):
    assert {rule.name for rule in shipped.rules if rule.floor == "high"} == {
        "port_out_words",
        "known_pattern",
    }


def test_every_factor_of_a_rule_is_in_the_library(shipped, config):
    check_factors(shipped, config.factors)


def test_two_indicators_reach_the_points_high_needs(shipped, config):
    assert 2 * min(rule.points for rule in shipped.rules) >= config.grading.rules_only_high_points


def test_an_unknown_factor_is_refused_by_name(config):
    wrong = library(ENTRY | {"expression": "complaints_9m >= often"})
    with pytest.raises(
        ConfigError, match=r"rules.yaml, rule 'new_rule': there is no factor or benchmark 'complaints_9m'"
    ):
        check_factors(wrong, config.factors)


def test_a_benchmark_is_not_a_factor():
    made = library(ENTRY)
    assert made.factors_of(made.rules[0]) == {"complaints_3m"}


@pytest.mark.parametrize(
    ("month", "is_valid"), [("2025-12", False), ("2026-01", True), ("2026-06", True), ("2026-07", False)]
)
def test_a_rule_is_valid_in_the_months_it_touches(month, is_valid):
    made = library(ENTRY | {"valid_from": "2026-01-31", "valid_to": "2026-06-01"})
    assert made.rules[0].is_valid_in(month) is is_valid


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"expression": "complaints_3m"}, "a rule must compare"),
        ({"expression": "count(kind == 'complaint') > 2"}, "no function 'count'"),
        ({"expression": "complaints_3m >"}, "cannot be read"),
        ({"expression": "complaints_3m > 1 and 3"}, "cannot be computed"),
        ({"expression": "mentions(complaints_3m, 'dear')"}, "there is no word list 'dear'"),
        ({"expression": "peers(complaints_3m) > 1"}, "no function 'peers'"),
        ({"expression": "complaints_3m > 1; 2"}, "cannot be read"),
        ({"expression": "complaints_3m in often"}, "'in' needs a list written out"),
        ({"owner": ""}, "owner: String should have at least 1 character"),
        ({"needs": "most"}, "needs: Input should be 'all' or 'any'"),
        ({"reason": "Bad Service"}, "reason: String should match"),
        ({"floor": "low"}, "floor: Input should be 'high' or 'mid'"),
        ({"group": "moods"}, "group 'moods' is not among service"),
        ({"points": 0}, "points 0.0 must be above 0"),
        ({"valid_to": "2025-01-01"}, "lies before valid_from"),
        ({"valid_from": "soon"}, "valid_from"),
        ({"class": "risk"}, "class: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_entry_is_refused_with_file_entry_and_cause(change, cause):
    with pytest.raises(ConfigError, match=r"rules.yaml, rule 'new_rule': ") as told:
        library(ENTRY | change)
    assert cause in str(told.value)


def test_a_name_given_twice_is_refused():
    with pytest.raises(ConfigError, match="rule 'new_rule': the name stands twice"):
        library(ENTRY, ENTRY)
