"""Which campaigns the DAGs of every day work for, and when each is trained."""

from types import SimpleNamespace

import pytest

from include.domain.errors import NotReady
from include.orchestration import all_campaigns
from tests.fixtures.campaign_folder import CARE, copied_config, put_campaign


@pytest.fixture
def folder(tmp_path, monkeypatch):
    made = copied_config(tmp_path)
    monkeypatch.setenv("CHURN_CONFIG", str(made))
    return made


def event(**extra):
    return SimpleNamespace(extra=extra)


def test_enabled_campaigns_are_followed_up_by_precedence_and_a_wrong_one_is_told_after_them(folder):
    put_campaign(folder, "care")
    put_campaign(folder, "audit", CARE.replace("20", "5", 1), cadence="daily")
    put_campaign(folder, "idle", CARE + "enabled: false\n")
    put_campaign(folder, "broken", "zh: [")
    assert all_campaigns.to_follow_up() == ["audit", "churn_warning", "care", "broken"]


def test_those_whose_labels_are_new_are_trained_and_all_when_a_person_asks(folder):
    put_campaign(folder, "care")
    put_campaign(folder, "audit", CARE + "model: none\n", cadence="daily")
    assert all_campaigns.to_train([event(campaign="care", months=["2026-09"])]) == ["care"]
    both = [event(campaign="care", months=["2026-09"]), event(campaign="churn_warning", months=["2026-09"])]
    assert all_campaigns.to_train(both) == ["churn_warning", "care"]
    assert all_campaigns.to_train([event(campaign="audit", months=["2026-09"])]) == []
    # a person started it, or an event of a version that knew one campaign
    assert all_campaigns.to_train([]) == all_campaigns.to_train([event(months=["2026-09"])])
    assert all_campaigns.to_train([]) == ["churn_warning", "care"]


def test_training_without_factors_says_what_to_do(folder, airflow_environment, lake):
    with pytest.raises(NotReady, match="Run a campaign for a month first"):
        all_campaigns.train("churn_warning")


def test_a_training_is_kept_with_the_newest_cycle_of_its_cadence(
    airflow_environment, folder, lake, monkeypatch
):
    put_campaign(folder, "audit", cadence="daily")
    monkeypatch.setattr("include.lake.Lake.months", lambda _lake, table: ["2026-09", "2026-10"])
    kept = []
    monkeypatch.setattr(all_campaigns, "finish_stage", lambda _stage, cycle: kept.append(cycle) or {})
    all_campaigns.train("churn_warning")
    all_campaigns.train("audit")
    assert [each["month"] for each in kept] == ["2026-10", "2026-10"]
    assert (kept[0]["cycle"], kept[1]["cycle"]) == ("2026-10", kept[1]["as_of"][:10])
