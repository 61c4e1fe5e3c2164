"""A month scored again before it is fixed: by the rules alone, or by the model of the cycle before."""

import json

import polars as pl
import pytest
import sqlalchemy as sa
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.domain.periods.months import default_as_of
from include.lake.campaigns import scores_of
from include.models import trees
from include.orchestration import campaign
from include.stages import prediction, training
from tests.fixtures.runs import run_of
from tests.stages.province import FACTORS, Province, quick_recipes
from tests.stages.worked_cycle import CAMPAIGN

MONTH = "2026-09"
AS_OF = default_as_of(MONTH)


@pytest.fixture
def champion(db, lake, config, monkeypatch):
    """A province whose August is labelled, September to be scored; the model that was trained on it."""
    monkeypatch.setattr(trees, "RECIPES", quick_recipes(20))
    province = Province(lake, 1500, base=-2.5)
    province.live_through("2026-08")
    people = province.factors().with_columns(
        customer_id=pl.lit(None, pl.String), region_code=pl.lit("R01"), branch_code=pl.lit("R01-B01")
    )
    province.publish("factors", MONTH, people, facts={"factors": list(FACTORS), "left_out": {}})
    given = {"db": db, "lake": lake, "config": config, "campaign": CAMPAIGN, "as_of": AS_OF}
    monkeypatch.setattr("include.stages.features.build", lambda _run: {})
    training.train(run_of(**given, month="2026-08", now=AS_OF), nthread=1)
    return prediction.champions(run_of(**given, month=MONTH))["pooled"]


@pytest.fixture
def cycle(airflow_environment, champion):
    return campaign.open_cycle(CAMPAIGN, {"month": MONTH, "as_of": None}, None)


def dispatched_before(db, champions):
    with db.begin():
        db.execute(
            sa.text(
                "insert into cycles (campaign, cycle, month, as_of, config_hash, opened_at, fixed_at, fixed_facts)"
                " select campaign, '2026-08', '2026-08', as_of, config_hash, now(), now(),"
                " jsonb_build_object('champions', cast(:champions as jsonb)) from cycles"
            ),
            {"champions": json.dumps(champions)},
        )


def versions(lake):
    return set(lake.scan(scores_of(CAMPAIGN), MONTH).collect()["model_version"])


def test_the_rules_and_then_the_last_champion_score_the_month_again(db, lake, cycle, champion):
    assert campaign.rescore(cycle, "rules_only")["stage"] == "grading"
    assert {version.split("-")[0] for version in versions(lake)} == {"rules"}
    dispatched_before(db, {"pooled": champion})
    assert campaign.rescore(cycle, "last_champion")["stage"] == "grading"
    assert versions(lake) == {champion["version"]}
    with db.begin():
        graded = db.execute(sa.text("select distinct model_version from warnings")).scalars().all()
    assert set(graded) <= {champion["version"]}
    with pytest.raises(AirflowSkipException):
        campaign.rescore(cycle, "all")


def test_without_a_model_before_the_last_champion_is_refused_with_what_to_do(db, cycle):
    with pytest.raises(AirflowFailException, match=r"Clear dispatch\.approve, choose another"):
        campaign.rescore(cycle, "last_champion")
