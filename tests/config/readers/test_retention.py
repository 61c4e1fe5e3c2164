"""What a campaign says about working its tickets: ladder, endings, units; what is wrong is named."""

import pytest

from include.config.readers.campaign import parse_campaign
from include.domain.contact.ladder import Rules
from include.domain.errors import ConfigError
from include.words.outcomes import OUTCOMES

FILE = "campaigns/x.yaml"
PLAIN = {
    "zh": "甲",
    "en": "X",
    "horizon_months": 1,
    "measure": "churn_warning",
    "capacity_days": 3,
    "cooling_off_days": 60,
    "approval": {"tickets": 10, "share_warned_times": 2.0},
    "training": {"minimum_churners": 50},
}
WORDS = {"zh": "甲", "en": "x"}


def test_a_campaign_that_says_nothing_gets_the_engines_own():
    campaign = parse_campaign(PLAIN, FILE)
    assert campaign.catalogue == OUTCOMES
    assert campaign.ladder.rules(3, 2) == Rules(attempts=3, day_parts=2, days=2, sms=True)
    assert set(campaign.units) == {"network", "tariff", "complaint"}


def test_the_service_levels_are_the_floor_of_every_ladder():
    campaign = parse_campaign({**PLAIN, "ladder": {"attempts": 1}}, FILE)
    assert campaign.ladder.rules(3, 2).attempts == 3
    campaign = parse_campaign({**PLAIN, "ladder": {"attempts": 5}}, FILE)
    assert campaign.ladder.rules(3, 2).attempts == 5


def test_the_churn_warning_words_every_outcome_and_asks_for_a_detail(config):
    catalogue = config.campaign("churn_warning").catalogue
    assert set(catalogue) == set(OUTCOMES)
    for name, outcome in catalogue.items():
        assert outcome.details, name
        assert outcome.needs == OUTCOMES[name].needs
        assert all(words.zh and words.en for words in outcome.details.values())


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"outcomes": {"retained": {**WORDS, "is_reached": True}}}, "'retained' always needs plan"),
        (
            {"outcomes": {"unreachable": {**WORDS, "is_reached": False, "needs": ["plan"]}}},
            "'unreachable' always needs procedure",
        ),
        (
            {"outcomes": {"declined": {**WORDS, "is_reached": False}}},
            "is_reached of 'declined' must stay True",
        ),
        ({"outcomes": {"declined": {"zh": "甲", "is_reached": True}}}, "outcomes.declined.en"),
        ({"units": {"network": {**WORDS, "days": 5}}}, "unit 'complaint' is missing"),
        ({"ladder": {"day_parts": 4}}, "ladder.day_parts"),
    ],
)
def test_a_wrong_entry_is_named(entry, told):
    with pytest.raises(ConfigError, match=told):
        parse_campaign({**PLAIN, **entry}, FILE)
