"""Service levels: what a ticket goes by, what overrides what, and mistakes told with their entry."""

from datetime import time

import pytest
import yaml

from include.config import config_from
from include.config.readers import sla
from include.domain.errors import ConfigError
from tests.conftest import ROOT

DEFAULT = yaml.safe_load((ROOT / "include" / "config" / "sla.yaml").read_text("utf-8"))


def parsed(**changes):
    return sla.parse(DEFAULT | changes, "sla.yaml")


def test_the_default_is_as_fixed_for_every_ticket():
    rules = parsed().rules("churn_warning", "priority", "vip")
    assert (rules.plan_days, rules.contact_days, rules.max_pause_days) == (3, 1, 5)
    assert (rules.opens, rules.closes, rules.early_warning) == (time(9), time(18), time(15))
    assert (rules.unreachable_attempts, rules.unreachable_days) == (3, 2)
    assert parsed().layers_of("vip", ("45",)) == ("cn",)


def test_the_more_an_override_names_the_more_it_counts():
    known = parsed(
        overrides=[
            {"campaign": "audit", "tier": "priority", "team": "vip", "plan_days": 1, "contact_days": 2},
            {"team": "vip", "plan_days": 2},
            {"campaign": "audit", "tier": "priority", "plan_days": 6, "max_pause_days": 7},
            {"tier": "priority", "plan_days": 4},
            {"campaign": "audit", "plan_days": 5, "closes": "19:00"},
        ]
    )
    days = {
        asked: known.rules(*asked).plan_days
        for asked in (
            (None, None, None),
            ("audit", None, None),
            ("other", "priority", None),
            ("other", "priority", "vip"),
            ("audit", "monitoring", "vip"),
            ("audit", "priority", "mid_high"),
            ("audit", "priority", "vip"),
        )
    }
    assert list(days.values()) == [3, 5, 4, 2, 2, 6, 1]
    all_named = known.rules("audit", "priority", "vip")
    assert (all_named.contact_days, all_named.max_pause_days, all_named.closes) == (2, 7, time(19))


def test_layers_are_put_on_one_another_all_then_branches_then_team():
    known = parsed(
        branch_layers={"45": ["guangxi"], "4501": ["nanning", "guangxi"]}, team_layers={"vip": ["vip"]}
    )
    assert known.layers_of("vip", ("45", "4501")) == ("cn", "guangxi", "nanning", "vip")
    assert known.layers_of("mid_high", ("44",)) == ("cn",)
    assert known.every_layer == ("cn", "guangxi", "nanning", "vip")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"overrides": [{"plan_days": 2}]}, "an override names campaign, tier, team"),
        ({"overrides": [{"team": "vip"}]}, "and what differs"),
        ({"overrides": [{"team": "vip", "plan_days": 0}]}, "greater than or equal to 1"),
        ({"overrides": [{"tier": "gold", "plan_days": 2}]}, "overrides.0.tier"),
        ({"overrides": [{"team": "vip", "plan_days": 2}] * 2}, "two overrides hold for vip"),
        ({"overrides": [{"team": "vip", "closes": "14:00"}]}, "opens, early_warning and closes must follow"),
        (
            {
                "overrides": [
                    {"team": "vip", "early_warning": "12:00"},
                    {"tier": "priority", "opens": "13:00"},
                ]
            },
            "opens, early_warning and closes must follow",
        ),
        ({"layers": []}, "entry 'layers'"),
        ({"plan_weeks": 1}, "entry 'plan_weeks'"),
    ],
)
def test_a_mistake_is_told_with_file_and_entry(changes, told):
    with pytest.raises(ConfigError, match=r"sla\.yaml") as caught:
        parsed(**changes)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"overrides": [{"team": "nobody", "plan_days": 2}]}, "the team 'nobody'"),
        ({"team_layers": {"nobody": ["x"]}}, "the team 'nobody'"),
    ],
)
def test_a_name_that_is_not_configured_is_refused(config, changes, told):
    with pytest.raises(ConfigError, match=told):
        config_from(config.texts | {"sla.yaml": yaml.safe_dump(DEFAULT | changes)})


def test_an_override_for_a_campaign_without_a_file_is_refused_where_all_files_lie_together(config):
    """A cycle keeps its own campaign's file alone, and reads again whatever the others are called by then."""
    changed = DEFAULT | {"overrides": [{"campaign": "nowhere", "plan_days": 2}]}
    kept = config_from(config.texts | {"sla.yaml": yaml.safe_dump(changed)})
    with pytest.raises(ConfigError, match="the campaign 'nowhere'; known are churn_warning"):
        sla.check_campaigns(kept.sla, set(kept.campaigns))


def test_a_configuration_stored_before_overrides_existed_still_reads(config):
    old = {
        name: DEFAULT[name] for name in DEFAULT if name not in ("overrides", "branch_layers", "team_layers")
    }
    assert config_from(config.texts | {"sla.yaml": yaml.safe_dump(old)}).sla == config.sla
