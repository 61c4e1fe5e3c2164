"""What a label or a success may name, and what is told of one that is wrong."""

import pytest

from include.config import Config, config_from
from include.config.readers.campaign.later import check_later, facts_in
from include.domain.errors import ConfigError

FILE = "campaigns/monthly/churn_warning.yaml"


@pytest.mark.parametrize(
    "text",
    [
        "left",
        "not left",
        "later_contract_ends_on > contract_ends_on",
        "later_contract_ends_on == contract_ends_on or left",
        "later_complaint > 0",
        "later_complaint + later_fault_report == 0 and not left",
        "later_plan_fee_yuan >= plan_fee_yuan * 1.1",
        "coalesce(later_data_mb, 0) < data_mb / 2",
        "later_plan_code != plan_code",
        "later_is_student",
        "missing(later_status)",
        "later_status in ('active', 'suspended')",
    ],
)
def test_what_is_delivered_later_may_be_named(config: Config, text):
    check_later(text, config.sources, FILE, "success")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "later_complain > 0",
            r"there is no 'later_complain'; there are left, the columns of subscribers.*later_complaint",
        ),
        ("bill_fall > 0 and left", r"there is no 'bill_fall'"),
        ("later_msisdn == '1'", r"there is no 'later_msisdn'"),
        ("later_subscriber_id == '1'", r"there is no 'later_subscriber_id'"),
        ("later_complaint", r"gives no true or false; it must compare"),
        ("later_contract_ends_on - contract_ends_on", r"gives no true or false"),
        ("plan_fee_yuan > 3", r"names nothing delivered later than the cycle"),
        ("1 > 0", r"names nothing delivered later"),
        ("later_contract_ends_on > 3", r"compares what is no date with a date"),
        ("later_contract_ends_on - contract_ends_on > 30", r"compares what is no date with a date"),
        ("later_contract_ends_on > plan_code", r"compares what is no date with a date"),
        ("later_plan_code > 3", r"cannot be computed"),
        ("left >", r"cannot be read"),
        ("__import__('os')", r"no function '__import__'"),
        ("mentions(later_plan_code, 'port_out')", r"no word list 'port_out'"),
    ],
)
def test_a_wrong_one_is_told_with_file_entry_and_cause(config: Config, text, told):
    with pytest.raises(ConfigError, match=rf"^{FILE}, entry 'success': .*{told}"):
        check_later(text, config.sources, FILE, "success")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("model: {label: left}", "model: {label: later_complaint}", r"entry 'model.label': .*must compare"),
        ("success: not left", "success: not gone", r"entry 'success': there is no 'gone'"),
    ],
)
def test_a_wrong_one_stops_its_own_campaign(config: Config, old, new, told):
    assert old in config.texts[FILE]
    read = config_from(config.texts | {FILE: config.texts[FILE].replace(old, new)})
    with pytest.raises(ConfigError, match=told):
        read.campaign("churn_warning")


def test_a_column_an_operator_declares_may_be_named(config: Config):
    declared = config.texts["sources.yaml"].replace(
        "      dropped_calls:", "      onnet_minutes: {type: number}\n      dropped_calls:"
    )
    read = config_from(config.texts | {"sources.yaml": declared})
    _, facts = facts_in("later_onnet_minutes > onnet_minutes", read.sources)
    assert [(fact.name, fact.feed, fact.is_later) for fact in facts] == [
        ("later_onnet_minutes", "usage_months", True),
        ("onnet_minutes", "usage_months", False),
    ]
