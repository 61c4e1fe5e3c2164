"""What make run runs: every enabled monthly campaign, one after the other, whatever befalls another."""

from pathlib import Path

import pytest

from include.domain.errors import NotReady
from include.local import airflow
from include.local.progress import RunFailed
from tests.fixtures.campaign_folder import CARE, copied_config, put_campaign


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = copied_config(tmp_path)
    monkeypatch.setenv("CHURN_CONFIG", str(made))
    put_campaign(made, "care")
    put_campaign(made, "idle", CARE + "enabled: false\n")
    put_campaign(made, "audit", cadence="daily")
    return made


def test_the_month_is_run_for_enabled_monthly_campaigns_by_precedence(folder: Path) -> None:
    told = airflow.run_campaigns({"month": "2026-10"}, lambda dag, conf: [dag, conf["month"]])
    assert told == {"churn_warning": ["churn_warning", "2026-10"], "care": ["care", "2026-10"]}
    assert list(told) == ["churn_warning", "care"]


def test_daily_ones_are_switched_on_with_them_and_recalling_stays_by_hand(folder: Path) -> None:
    named = airflow.dags()
    assert named[:3] == ["churn_warning", "audit", "care"]
    assert "release_tickets" in named
    assert not {"idle", "recall_tickets"} & set(named)


def test_a_campaign_that_ends_red_holds_up_no_other_and_is_told_at_the_end(folder: Path) -> None:
    ran = []

    def run(dag: str, conf: dict[str, str]) -> list[str]:
        ran.append(dag)
        if dag == "churn_warning":
            raise RunFailed("churn_warning, task grading failed: no scores")
        return []

    with pytest.raises(RunFailed, match="churn_warning, task grading failed"):
        airflow.run_campaigns({}, run)
    assert ran == ["churn_warning", "care"]


def test_a_wrong_file_is_told_and_the_others_are_run(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_campaign(folder, "care", "zh: [")
    assert airflow.monthly_campaigns() == ["churn_warning"]
    assert "a campaign cannot run: campaigns/monthly/care.yaml is not valid YAML" in capsys.readouterr().out


def test_without_an_enabled_campaign_there_is_nothing_to_run(folder: Path) -> None:
    for name in ("care", "churn_warning"):
        put_campaign(folder, name, CARE + "enabled: false\n")
    with pytest.raises(NotReady, match="No monthly campaign is enabled"):
        airflow.monthly_campaigns()
