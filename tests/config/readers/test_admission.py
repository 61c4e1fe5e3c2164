"""What a campaign may say of whom it is for: wrong expressions, feeds, outcomes and splits are told with place."""

from pathlib import Path

import pytest

from include.config import Config, load_config
from include.domain.errors import ConfigError
from tests.fixtures.campaign_folder import copied_config
from tests.fixtures.campaigns import PLAIN, with_campaign

EVENT = "source: {event: {feed: service_events, where: "


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("population: shoe_size > 3", "entry 'population': .*names 'shoe_size', which is not a factor and none of"),
        ("population: plan_code", "entry 'population': 'plan_code' gives no true or false"),
        ("population: plan_code > 3", "entry 'population': .*cannot be computed"),
        ("admission: {by: all, where: value_yuan}", "entry 'admission.where': 'value_yuan' gives no true or false"),
        ("rank: region_code", "entry 'rank': 'region_code' gives no number"),
        ("rank: days_ago", "entry 'rank': .*names 'days_ago', which is not a factor"),
        ("splits: [plan_code, msisdn]", "entry 'splits': there is no 'msisdn' to split by; known: plan_code"),
        (
            "source: {event: {feed: market_events}}",
            "entry 'source.event.feed': 'market_events' is no feed whose events befall one subscriber; known: service_",
        ),
        (f"{EVENT}occurred_at > 3}}}}", "entry 'source.event.where': service_events has no column 'occurred_at'"),
        (f"{EVENT}satisfaction}}}}", "entry 'source.event.where': 'satisfaction' gives no true or false"),
        (f"{EVENT}kind > 3}}}}", "entry 'source.event.where': 'kind > 3' cannot be computed"),
        (f"{EVENT}kind ==}}}}", "entry 'source.event.where': .*cannot be read"),
        (f'{EVENT}"mentions(text, \'slang\')"}}}}', "entry 'source.event.where': there is no word list 'slang'"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_told_with_file_entry_and_cause(config: Config, text, told):
    with pytest.raises(ConfigError, match=rf"campaigns/monthly/renewal\.yaml, {told}"):
        with_campaign(config, "renewal", f"{text}\n").campaign("renewal")


@pytest.mark.parametrize(
    "text",
    [
        "population: channel_code in ('shop', 'web') and is_student == False and consents_to_marketing == True",
        "admission: {by: all, where: probability > 0.1 or cluster == 'under_6'}",
        f"{EVENT}kind == 'complaint' and satisfaction < 3 and repair_hours > 24}}}}\nrank: times - days_ago",
        "source: {event: {feed: subscriber_changes}}\npopulation: times > 1",
        "splits: [channel_code, status, device_code, plan_code]",
    ],
)
def test_facts_of_the_profile_the_score_and_the_source_may_be_read(config: Config, text):
    assert with_campaign(config, "renewal", f"{text}\n").campaign("renewal").zh == "甲"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (
            "{campaign: audit_of, outcomes: [declined]}",
            "there is no campaign 'audit_of'; known: churn_warning, renewal",
        ),
        (
            "{campaign: churn_warning, outcomes: [sold]}",
            "'churn_warning' has no outcome 'sold'; known: retained, ",
        ),
    ],
)
def test_an_outcome_nobody_knows_stops_the_campaign_that_names_it_alone(tmp_path: Path, source, told):
    folder = copied_config(tmp_path)
    file = folder / "campaigns" / "monthly" / "renewal.yaml"
    file.write_text(f"{PLAIN}source: {{outcome: {source}}}\n", "utf-8")
    config = load_config(folder)
    assert list(config.campaigns) == ["churn_warning"]
    with pytest.raises(
        ConfigError, match=rf"campaigns/monthly/renewal\.yaml, entry 'source\.outcome': {told}"
    ):
        config.campaign("renewal")
    file.write_text(
        f"{PLAIN}source: {{outcome: {{campaign: churn_warning, outcomes: [declined]}}}}\n", "utf-8"
    )
    own = load_config(folder).of("renewal")
    assert list(own.campaigns) == ["renewal"]
