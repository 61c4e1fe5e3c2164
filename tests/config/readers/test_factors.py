"""factors.yaml: the library as shipped, one entry adds a factor, and errors name file, entry, cause."""

import pytest
import yaml

from include.config.readers.factors import IDENTITY, check_metrics, parse
from include.domain.errors import ConfigError
from include.settings import OWN_CONFIG

SHIPPED = OWN_CONFIG / "factors.yaml"
ENTRY = {
    "name": "new_factor",
    "zh": "新因子",
    "en": "New factor",
    "class": "risk",
    "group": "usage",
    "unit": "MB",
    "expression": "last(data_mb)",
}


def library(*entries, **more):
    raw = {
        "words": {"port_out": ["转网"]},
        "groups": {"usage": {"zh": "用量", "en": "Usage"}},
        "factors": list(entries),
    }
    return parse(raw | more, "factors.yaml")


@pytest.fixture(scope="module")
def shipped():
    return parse(yaml.safe_load(SHIPPED.read_text("utf-8")), "factors.yaml")


def test_the_library_has_ten_groups_all_in_use(shipped):
    assert len(shipped.groups) == 10
    assert {factor.group for factor in shipped.factors} == set(shipped.groups)


def test_the_library_has_both_classes_and_at_least_forty_factors(shipped):
    assert {factor.kind for factor in shipped.factors} == {"risk", "value"}
    assert len(shipped.factors) >= 40


def test_no_factor_hides_an_identity_column(shipped):
    """tenure_months is both: the same column under the same meaning."""
    assert set(shipped.names) & set(IDENTITY) == {"tenure_months"}


def test_every_metric_of_the_library_is_declared_in_sources(shipped, config):
    check_metrics(shipped, config.sources.feeds["usage_months"].columns)


def test_an_undeclared_metric_is_refused_by_name(config):
    wrong = library(ENTRY | {"expression": "last(data_gb)"})
    with pytest.raises(
        ConfigError, match=r"factors.yaml, factor 'new_factor': usage_months has no column 'data_gb'"
    ):
        check_metrics(wrong, config.sources.feeds["usage_months"].columns)


def test_one_entry_adds_a_factor():
    assert library(ENTRY).names == ("new_factor",)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"expression": "last(data_mb"}, "cannot be read"),
        ({"expression": "median(data_mb)"}, "no function 'median'"),
        ({"expression": "kind + 1"}, "subscribers has no column 'kind'"),
        ({"expression": "count(mood == 'bad')"}, "service_events has no column 'mood'"),
        ({"expression": "count(kind == 'left', feed='churned')"}, "churned has no column 'kind'"),
        ({"expression": "count(True, feed='churned')"}, "'churned' is not a feed of events"),
        ({"expression": "count(mentions(text, 'rude'))"}, "no word list 'rude'"),
        ({"expression": "mean(data_mb, 6, before=1)"}, "outside the 6 months"),
        ({"expression": "plan_code + 1"}, "cannot be computed"),
        ({"expression": "count(kind)"}, "cannot be computed"),
        ({"expression": "median(data_mb, 3)"}, "no function 'median'"),
        ({"expression": "peers(mean(data_mb, 3))"}, "'mean' cannot stand inside another window"),
        ({"expression": "last(data_mb) / peers()"}, "lacks the argument 'x'"),
        ({"expression": "since(data_mb, 6)"}, "cannot be computed"),
        ({"expression": "slope(data_mb, 7)"}, "must be a whole number from 0 to 6"),
        ({"expression": "rises(data_mb, 6)"}, "outside the 6 months"),
        ({"expression": "count(kind == 'sale', months=soon)"}, "written out"),
        (
            {"expression": "count(product == 'mobile', feed='market_events')"},
            "market_events has no column 'product'",
        ),
        (
            {"expression": "mean_of(text, kind == 'sentiment', feed='market_events')", "unit": ""},
            "unit: String",
        ),
        ({"expression": "market_mood"}, "subscribers has no column 'market_mood'"),
        ({"expression": "data_mb"}, "subscribers has no column 'data_mb'"),
        ({"expression": "last(data_mb) if True else 0"}, "is not allowed"),
        ({"expression": "__import__('os')"}, "no function '__import__'"),
        ({"expression": "plan_code.upper()"}, "no function 'plan_code.upper'"),
        ({"expression": "last(data_mb) ** 9"}, "is not allowed"),
        ({"expression": "(last)(data_mb)[0]"}, "is not allowed"),
        ({"expression": "mentions(channel_code, words)"}, "written out"),
        ({"expression": "count(mentions(text, 3))"}, "must be a quoted name"),
        ({"expression": ""}, "expression: String should have at least 1 character"),
        ({"reason": "weather"}, "there is no reason 'weather'"),
        ({"name": None}, "name: Input should be a valid string"),
        ({"expression": 7}, "expression: Input should be a valid string"),
        ({"class": "danger"}, "class: Input should be 'risk' or 'value'"),
        ({"group": "moods"}, "group 'moods' is not among usage"),
        ({"zh": ""}, "zh: String should have at least 1 character"),
        ({"owner": "me"}, "owner: Extra inputs are not permitted"),
        ({"name": "New Factor"}, "name: String should match"),
        ({"name": "value_yuan"}, "column of the factors table"),
    ],
)
def test_a_wrong_entry_is_refused_with_file_entry_and_cause(change, cause):
    entry = ENTRY | change
    with pytest.raises(ConfigError, match=r"factors\.yaml, factor ") as told:
        library(entry)
    assert f"'{entry['name']}'" in str(told.value)
    assert cause in str(told.value)


def test_a_missing_key_is_named():
    with pytest.raises(ConfigError, match="factor 'new_factor': unit: Field required"):
        library({key: value for key, value in ENTRY.items() if key != "unit"})


def test_a_name_given_twice_is_refused():
    with pytest.raises(ConfigError, match="factor 'new_factor': the name stands twice"):
        library(ENTRY, ENTRY)


@pytest.mark.parametrize(
    "raw", [None, [], "text", {"factors": {}}, {"factors": None}, {"factors": ["text"]}, {"factors": [1]}]
)
def test_a_file_of_another_shape_is_refused(raw):
    with pytest.raises(ConfigError, match=r"factors\.yaml"):
        parse(raw, "factors.yaml")


# ---------------------------------------------------------------- metrics

METRIC = {
    "name": "onnet_minutes",
    "zh": "网内分钟",
    "en": "On-net minutes",
    "class": "risk",
    "group": "usage",
    "unit": "minutes",
}


def test_one_entry_makes_a_further_usage_column_several_factors():
    made = library(metrics=[METRIC])
    assert made.names == tuple(
        f"onnet_minutes_{name}" for name in ("level", "mean_3m", "change_3m", "difference_1m")
    )
    assert [factor.unit for factor in made.factors] == ["minutes", "minutes", "ratio", "minutes"]
    assert made.factors[2].expression == "change(onnet_minutes, 3)"
    assert made.factors[2].zh == "网内分钟较前三月均值变化"


def test_a_metric_may_choose_its_transforms():
    made = library(ENTRY, metrics=[METRIC | {"transforms": ["falls", "zeros_6m", "spread_6m"]}])
    assert made.names == (
        "new_factor",
        "onnet_minutes_falls",
        "onnet_minutes_zeros_6m",
        "onnet_minutes_spread_6m",
    )


def test_a_wrong_metric_is_told_by_name():
    with pytest.raises(
        ConfigError, match=r"factors.yaml, metric 'onnet_minutes': transforms: .*no transform 'cube'"
    ):
        library(metrics=[METRIC | {"transforms": ["cube"]}])
    with pytest.raises(ConfigError, match=r"factor 'onnet_minutes_level': group 'moon' is not among"):
        library(metrics=[METRIC | {"group": "moon"}])


def test_a_metric_sources_does_not_declare_is_refused(config):
    with pytest.raises(ConfigError, match="usage_months has no column 'onnet_minutes'"):
        check_metrics(library(metrics=[METRIC]), config.sources.feeds["usage_months"].columns)
