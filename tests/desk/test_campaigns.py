"""Which campaign is meant where none is named, and which there are to look at."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from include.desk.campaigns import campaign_named, known_campaigns
from include.domain.errors import BadInput
from tests.fixtures.work import fill_cycle


@pytest.fixture
def two(config):
    """A campaign first by alphabet that goes after the other, and a file that cannot be read."""
    warning = config.campaigns["churn_warning"]
    return replace(
        config,
        campaigns={"audit": warning.model_copy(update={"precedence": 500}), "churn_warning": warning},
        broken={"torn": "torn.yaml: no campaign"},
    )


def test_where_none_is_named_the_one_that_goes_before_all_others_is_meant(two):
    assert campaign_named(two, None) == campaign_named(two, "") == "churn_warning"
    assert campaign_named(two, "audit") == "audit"
    with pytest.raises(BadInput, match="'torn' is not a campaign"):
        campaign_named(two, "torn")
    with pytest.raises(BadInput, match="'' is not a campaign"):
        campaign_named(replace(two, campaigns={}), None)


def test_campaigns_of_the_files_and_of_the_database_are_known(db, two):
    with db.begin():
        assert known_campaigns(db, two) == {"audit": False, "churn_warning": False, "torn": False}
    fill_cycle(db, 1)
    with db.begin():
        db.execute(sa.text("update cycles set is_shadow = true"))
        assert known_campaigns(db, two)["churn_warning"] is True
    with db.begin():
        db.execute(
            sa.text(
                "insert into cycles (campaign, cycle, month, as_of, config_hash, opened_at)"
                " select campaign, '2026-11', '2026-11', as_of, config_hash, opened_at from cycles"
            )
        )
        # it called somebody once: its tickets are of the house
        assert known_campaigns(db, two)["churn_warning"] is False


def test_what_wins_a_customer_is_known_of_every_campaign_even_without_its_file(two):
    assert two.willing(["churn_warning", "torn"]) == ["churn_warning/retained", "torn/retained"]
