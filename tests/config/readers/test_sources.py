"""sources.yaml: the landing contract is declared whole, and a wrong declaration is told by its entry."""

from typing import Any

import pytest
import yaml

from include.config.readers.sources import FEEDS, Sources, parse
from include.domain.errors import ConfigError
from include.settings import OWN_CONFIG

SOURCES = OWN_CONFIG / "sources.yaml"


@pytest.fixture
def raw() -> Any:
    return yaml.safe_load(SOURCES.read_text("utf-8"))


def refused(raw: Any) -> str:
    with pytest.raises(ConfigError) as raised:
        parse(raw, "sources.yaml")
    return str(raised.value)


def test_every_feed_of_the_contract_is_declared_with_its_required_columns(raw: Any) -> None:
    sources = parse(raw, "sources.yaml")
    assert set(sources.feeds) == set(FEEDS)
    assert {name: feed.required_columns for name, feed in sources.feeds.items()} == {
        "subscribers": ("subscriber_id", "joined_on"),
        "usage_months": ("subscriber_id", "bill_yuan"),
        "service_events": ("event_id", "subscriber_id", "occurred_at", "kind"),
        "market_events": ("event_id", "occurred_on", "kind"),
        "subscriber_changes": ("subscriber_id", "occurred_at", "kind"),
        "contact_limits": ("subscriber_id", "kind", "valid_from"),
        "churned": ("subscriber_id", "churned_on"),
    }
    assert {len(feed.columns) for feed in sources.feeds.values()} == {24, 17, 10, 7, 3, 5}
    assert sources.quarantine_share == 0.05
    assert sources.contract("service_events").zone == "Asia/Shanghai"


def test_a_missing_feed_is_named(raw: Any) -> None:
    del raw["feeds"]["churned"]
    assert "feeds absent: ['churned']" in refused(raw)


def test_a_type_that_does_not_exist_is_named_with_its_column(raw: Any) -> None:
    raw["feeds"]["churned"]["columns"]["reason"] = {"type": "money"}
    assert "feeds.churned.columns.reason.type" in refused(raw)


def test_a_choice_without_values_is_refused(raw: Any) -> None:
    raw["feeds"]["churned"]["columns"]["reason"] = {"type": "choice"}
    assert "lists its values" in refused(raw)


def test_a_text_with_bounds_is_refused(raw: Any) -> None:
    raw["feeds"]["churned"]["columns"]["reason"] = {"type": "text", "min": 3}
    assert "a text has no min or max" in refused(raw)


def test_a_key_of_an_undeclared_column_is_refused(raw: Any) -> None:
    raw["feeds"]["churned"]["key"] = ["msisdn"]
    assert "msisdn is used but not declared" in refused(raw)


def test_the_column_that_dates_a_row_must_be_a_date(raw: Any) -> None:
    raw["feeds"]["churned"]["within"] = "reason"
    assert "must be a date or an instant" in refused(raw)


@pytest.mark.parametrize("zone", ["Asia/Atlantis", "../etc/passwd"])
def test_a_time_zone_that_does_not_exist_is_refused(raw: Any, zone: str) -> None:
    raw["feeds"]["churned"]["time_zone"] = zone
    assert "is not a time zone" in refused(raw)


def test_the_hash_of_a_feed_changes_with_what_its_files_mean_and_with_nothing_else(raw: Any) -> None:
    before = parse(raw, "sources.yaml")
    raw["quarantine_share"] = 0.2
    raw["feeds"]["churned"]["quarantine_share"] = 0.3
    raw["feeds"]["churned"]["when_absent"] = "so be it"
    assert parse(raw, "sources.yaml").contract("churned").hash == before.contract("churned").hash
    raw["feeds"]["churned"]["columns"]["note"] = {"type": "text"}
    after = parse(raw, "sources.yaml")
    assert after.contract("churned").hash != before.contract("churned").hash
    assert after.contract("subscribers").hash == before.contract("subscribers").hash


def test_a_feed_may_bear_more_broken_rows_than_the_others(raw: Any) -> None:
    raw["feeds"]["contact_limits"]["quarantine_share"] = 0.5
    sources = parse(raw, "sources.yaml")
    assert sources.contract("contact_limits").quarantine_share == 0.5
    assert sources.contract("churned").quarantine_share == 0.05


@pytest.mark.parametrize(
    ("dialect", "cause"),
    [
        ({"encoding": "big5"}, "feeds.churned.dialect.encoding"),
        ({"separator": "||"}, "one ASCII sign"),
        ({"separator": '"'}, "one ASCII sign"),
        ({"headers": {"离网日": "left_on"}}, "the dialect names left_on"),
        ({"headers": {"A": "reason", " a": "churned_on"}}, "the same but for capitals"),
        ({"codes": {"reason": {"01": "moved"}}}, "makes moved of reason, which is no choice"),
        ({"date_format": "%d/%m"}, "a format has %Y, %m and %d"),
        ({"units": {"reason": "厘"}}, "cannot deliver reason in 厘"),
        ({"units": {"churned_on": "KB"}}, "cannot deliver churned_on in KB"),
    ],
)
def test_a_dialect_that_cannot_be_meant_is_refused(raw: Any, dialect: Any, cause: str) -> None:
    raw["feeds"]["churned"]["dialect"] = dialect
    assert cause in refused(raw)


def test_a_feed_in_the_contracts_own_dialect_is_known_by_its_declaration_alone(raw: Any) -> None:
    """So that a new word of dialects does not have every month read again where nobody uses it."""
    before = parse(raw, "sources.yaml").contract("churned").hash
    assert before == "4122b9a54f5f0ccbe6355e52651fd9224bdfcc7f89041a8d14214ddcb2ef0518"
    raw["feeds"]["churned"]["dialect"] = {"separator": ";"}
    assert parse(raw, "sources.yaml").contract("churned").hash != before


def test_an_unknown_key_is_refused(raw: Any) -> None:
    raw["feeds"]["churned"]["separator"] = "|"
    assert "feeds.churned.separator" in refused(raw)
    assert Sources.model_config["extra"] == "forbid"
