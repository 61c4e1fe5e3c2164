"""Every campaign has a DAG of its own: it comes and goes with its file, and stops itself alone."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from include.domain.periods.months import ZONE
from tests.conftest import ROOT
from tests.fixtures.campaign_folder import CARE, copied_config, put_campaign
from tests.fixtures.ten_subscribers import MONTH

#: October's factors are due on 5 November; the next day reads them.
DAY, NEXT_DAY = "2026-11-06", "2026-11-07"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, airflow_environment: Path) -> Path:
    """The configuration the DAGs are made from."""
    made = copied_config(tmp_path)
    monkeypatch.setenv("CHURN_CONFIG", str(made))
    return made


@pytest.fixture
def listed(airflow_home: Path) -> Callable[[], dict[str, Any]]:
    """The DAGs of the campaigns by id, as the folder stands."""

    def read() -> dict[str, Any]:
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(str(ROOT / "dags" / "campaigns.py"))
        assert not bag.import_errors
        return dict(bag.dags)

    return read


def rows(db: Connection, statement: str) -> list[tuple[Any, ...]]:
    with db.begin():
        return [tuple(row) for row in db.execute(text(statement))]


def told(messages: list[str], sentence: str) -> bool:
    return any(sentence in message for message in messages)


def test_a_file_put_in_appears_as_a_dag_and_one_taken_away_disappears(folder, listed):
    before = set(listed())
    file = put_campaign(folder, "care")
    put_campaign(folder, "audit", cadence="daily")
    dags = listed()
    assert set(dags) == before | {"care", "audit"}
    assert {*dags["care"].tags, *dags["audit"].tags} == {"churn", "campaign", "monthly", "daily"}
    file.unlink()
    assert set(listed()) == before | {"audit"}


def test_the_page_of_a_campaign_names_it_and_leads_to_its_own_board(folder, listed):
    put_campaign(folder, "care")
    for name, dag in listed().items():
        assert f"The campaign {name}" in dag.doc_md
        assert f"(/desk/board?campaign={name})" in dag.doc_md
        assert "NAME" not in dag.doc_md


def test_beside_every_run_stands_the_board_of_its_dag():
    from plugins.retention_desk import RetentionDesk

    (view,) = [view for view in RetentionDesk.external_views if view["destination"] == "dag_run"]
    assert view["href"] == "/desk/board?dag={DAG_ID}"  # Airflow puts the id in


@pytest.mark.parametrize("name", ["Win Back", "follow_up", "ab"])
def test_a_file_whose_name_no_dag_can_have_takes_no_dag_with_it_and_its_campaign_says_why(
    folder, listed, name
):
    from include.config import load_config

    before = set(listed())
    put_campaign(folder, name)
    assert set(listed()) == before
    assert "Rename the file." in load_config(folder).broken[name]


def test_a_wrong_file_fails_its_own_first_task_at_once_with_file_entry_and_cause(
    folder, run_dag, parse, db, caplog
):
    put_campaign(folder, "care", CARE.replace("horizon_months: 1", "horizon_months: soon"))
    assert parse("care").get_task("open_cycle").retries > 0
    run = run_dag("care", retried="open_cycle", month=MONTH)
    assert (run.state, run.states["open_cycle"], run.tries["open_cycle"]) == ("failed", "failed", 1)
    assert {state for task, state in run.states.items() if task != "open_cycle"} == {"upstream_failed"}
    assert told(caplog.messages, "campaigns/monthly/care.yaml, entry 'horizon_months'")
    assert rows(db, "select count(*) from cycles") == [(0,)]


def test_a_campaign_that_is_not_enabled_does_nothing_and_says_so(folder, run_dag, db, caplog):
    put_campaign(folder, "care", CARE + "enabled: false\n")
    run = run_dag("care", month=MONTH)
    assert (run.state, run.states.pop("open_cycle")) == ("success", "success")
    assert {state for task, state in run.states.items() if task != "open_cycle"} == {"skipped"}
    assert told(caplog.messages, "The campaign care is not enabled, so nothing is done.")
    assert rows(db, "select count(*) from cycles") == [(0,)]


@pytest.mark.timeout(300)
def test_two_campaigns_of_a_month_collect_and_compute_once_and_grade_on_their_own(
    folder, ten_collected, run_dag, db, clock
):
    put_campaign(folder, "care")
    clock(datetime(2027, 3, 1, 9, 0, tzinfo=ZONE))  # too late to dispatch: each only grades
    first, second = (run_dag(name, month=MONTH) for name in ("churn_warning", "care"))
    assert (first.state, second.state) == ("success", "success")
    assert second.states["collection.collect"] == "skipped"
    assert (first.result("features.publish")["unchanged"], second.result("features.publish")["unchanged"]) == (
        False,
        True,
    )  # fmt: skip
    graded = "select campaign, count(*) from warnings group by 1 order by 1"
    assert rows(db, graded) == [("care", 9), ("churn_warning", 9)]
    assert rows(db, "select count(distinct config_hash) from cycles") == [(2,)]


@pytest.mark.timeout(300)
def test_a_campaign_without_a_model_skips_what_needs_scores_and_is_graded(
    folder, ten_collected, run_dag, db, clock
):
    put_campaign(folder, "care", CARE + "model: none\n")
    clock(datetime(2027, 3, 1, 9, 0, tzinfo=ZONE))
    run = run_dag("care", month=MONTH, train=True)
    scoring = [task for task in run.states if task.split(".")[0] in ("training", "prediction", "drift")]
    assert {run.states[task] for task in scoring if task != "prediction.shards"} == {"skipped"}
    assert run.states["grading"] != "skipped"


# ---------------------------------------------------------------- daily


@pytest.fixture
def audit(folder: Path) -> str:
    """A daily campaign."""
    put_campaign(folder, "audit", cadence="daily")
    return "audit"


def test_a_daily_campaign_runs_every_day_at_six_for_that_day(audit, parse):
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import TimeRestriction

    timetable = coerce_to_core_timetable(parse(audit).timetable)
    unrestricted = TimeRestriction(earliest=None, latest=None, catchup=False)
    info = timetable.next_dagrun_info_v2(last_dagrun_info=None, restriction=unrestricted)
    local = info.run_after.astimezone(ZONE)
    assert (local.hour, local.minute) == (6, 0)
    assert info.partition_key == f"{local:%Y-%m-%d}"
    # none of days long past; within minutes after six it may be the one that is due
    assert info.run_after > datetime.now(UTC) - timedelta(days=1)


@pytest.mark.parametrize("day", ["2026-11", "2026-13-01", "2026-11-6", "today"])
def test_its_form_refuses_what_is_not_a_day(audit, parse, day):
    from airflow.sdk.exceptions import ParamValidationError

    params = parse(audit).params
    assert params.dump() == dict.fromkeys(["day", "as_of"]) | dict.fromkeys(
        ["dispatch_late", "top_up"], False
    )
    with pytest.raises(ParamValidationError):
        params["day"] = day


@pytest.mark.timeout(300)
def test_a_day_makes_the_factors_nobody_made_and_the_next_day_reads_those(
    audit, ten_collected, run_dag, db, clock
):
    clock(datetime(2026, 11, 6, 6, 30, tzinfo=ZONE))
    first = run_dag(audit, day=DAY)
    assert (first.state, first.states["features"]) == ("success", "success")
    clock(datetime(2026, 11, 7, 6, 30, tzinfo=ZONE))
    second = run_dag(audit, day=NEXT_DAY)
    assert (second.state, second.states["features"]) == ("success", "skipped")
    assert second.result("collection.required")["rows_in"] == 0
    known = "select cycle, month, cadence from cycles order by 1"
    assert rows(db, known) == [(DAY, MONTH, "daily"), (NEXT_DAY, MONTH, "daily")]


# ---------------------------------------------------------------- the DAGs of all


def test_a_wrong_campaign_is_told_every_morning_and_the_others_are_followed_up(folder, run_dag, lake, caplog):
    put_campaign(folder, "care", "zh: [")
    run = run_dag("follow_up")
    assert run.state == "failed"
    assert run.labels("followed.evaluate") == ["care", "churn_warning"]
    assert run.states["followed.evaluate"] == "failed success"
    assert run.states["retain"] == "success"
    assert told(caplog.messages, "care.yaml is not valid YAML")


def test_a_recall_offers_every_campaign_of_the_folder(folder, parse):
    put_campaign(folder, "care")
    param = parse("recall_tickets").params.get_param("campaign")
    assert (param.value, param.schema["enum"]) == ("care", ["care", "churn_warning"])
