"""How a task calls a stage: what is given, what is opened and closed, what is logged, what is retried."""

import errno
import json
import logging
import shutil
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import psycopg2
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include import orchestration, settings
from include.domain.errors import BadInput, ConfigError, Damaged, NotReady, Refused
from include.domain.periods.months import ZONE
from include.orchestration import (
    FACTORS,
    LABELS,
    Workplace,
    announce_drift,
    announce_labels,
    campaign,
    notices,
    run_stage,
    run_task,
    tell_failure,
    workplace,
    write_part,
)
from include.run.results import described, new_name
from tests.fixtures.runs import run_of

CYCLE = {
    "campaign": "churn_warning",
    "cycle": "2026-10",
    "month": "2026-10",
    "as_of": "2026-11-05T06:00:00+08:00",
    "revision": 2,
    "is_fixed": True,
}


@pytest.fixture
def nothing_opened(monkeypatch):
    """A workplace whose run works with nothing at all."""
    run = run_of(lake=None, config=None, campaign="churn_warning", month="2026-10", revision=2)
    monkeypatch.setattr(Workplace, "run", run)
    return run


def test_a_stage_is_given_the_run_of_its_cycle_and_arguments_of_its_own(airflow_environment, config):
    campaign.open_cycle("churn_warning", {"month": "2026-10", "as_of": None}, None)

    def stage(run, *, shard):
        found = [run.campaign, run.cycle, run.month, run.as_of, run.revision, shard]
        return found, run.now, run.lake.shards, run.config.texts.keys()

    found, now, shards, texts = run_stage(stage, CYCLE, shard=3)
    instant = datetime(2026, 11, 5, 6, tzinfo=ZONE)
    assert found == ["churn_warning", "2026-10", "2026-10", instant, 2, 3]
    assert abs((datetime.now(ZONE) - now).total_seconds()) < 60
    assert (shards, texts) == (1, config.texts.keys())


def test_now_is_the_real_time_in_shanghai():
    now = run_task(lambda at: at.now)
    assert abs((datetime.now(ZONE) - now).total_seconds()) < 5
    assert now.tzinfo is ZONE


def test_files_of_two_attempts_never_share_a_name():
    assert new_name() != new_name()


def test_a_stage_that_lacks_an_argument_says_so(nothing_opened):
    with pytest.raises(TypeError, match="shard"):
        run_stage(lambda _run, *, shard: shard, CYCLE)


def test_the_database_is_opened_with_the_rights_of_the_stages_and_closed(airflow_environment):
    from sqlalchemy import text

    def task(at):
        with at.db.begin():
            return at.db, at.db.execute(text("select current_user")).scalar()

    db, user = run_task(task)
    assert user == "churn_loop"
    assert db.closed


def test_the_database_is_closed_when_the_stage_fails(airflow_environment):
    seen = []

    def task(at):
        seen.append(at.db)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        run_task(task)
    assert seen[0].closed


def test_a_damaged_file_fails_at_once_for_a_retry_finds_it_as_it_is():
    def task(_at):
        raise Damaged("factors of 2026-10: a.parquet is gone", "Run the cure.")

    with pytest.raises(
        AirflowFailException, match=r"^factors of 2026-10: a\.parquet is gone\. Run the cure\.$"
    ):
        run_task(task)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/lake/a"),
            r"^No space left on device: /lake/a\. Mend",
        ),
        (
            psycopg2.OperationalError("server closed\nDETAIL: a row"),
            r"^The database failed: server closed\. Then",
        ),
    ],
)
def test_a_full_disk_or_a_database_that_went_away_is_a_sentence_and_retried(error, told):
    def task(_at):
        raise error

    with pytest.raises(NotReady, match=told):
        run_task(task)


@pytest.mark.parametrize("error", [BadInput, ConfigError, Refused])
def test_what_no_retry_cures_fails_at_once_with_its_sentence(error):
    def task(_at):
        raise error("Deliver it again.")

    with pytest.raises(AirflowFailException, match=r"^Deliver it again\.$"):
        run_task(task)


def test_what_may_come_later_is_retried():
    def task(_at):
        raise NotReady("No usage rows yet.")

    with pytest.raises(NotReady):
        run_task(task)


def test_a_result_is_told_in_one_line(caplog):
    caplog.set_level(logging.INFO, "churn")
    counts = {"stage": "collection", "feed": "usage_months", "period": "2026-10"}
    counts |= {"rows_in": 20_000, "rows_out": 19_996, "quarantined": 4, "missing": ["a"], "is_new": True}
    run_task(lambda _at: counts)
    told = caplog.messages[-1]
    assert told.startswith(
        "collection usage_months 2026-10: 20,000 read, 19,996 accepted, 4 quarantined, seconds"
    )
    assert "missing" not in told


def test_a_message_ends_the_line():
    told = described({"stage": "dispatch", "month": "2014-08", "rows_out": 0, "message": "2014-08 is over."})
    assert told == "dispatch 2014-08: 0 accepted. 2014-08 is over."


def test_a_part_carries_what_it_cost(nothing_opened):
    made = write_part(lambda _run, *, shard: {"name": "p", "shard": shard, "rows": 7}, CYCLE, shard=1)
    assert made["part"] == {"name": "p", "shard": 1, "rows": 7}
    assert made["rows"] == 7
    assert made["seconds"] >= 0
    assert made["peak_mb"] > 0


def test_a_finished_stage_is_kept_with_the_cost_of_its_parts(monkeypatch, nothing_opened):
    kept: list[dict[str, Any]] = []
    monkeypatch.setattr(orchestration, "_keep", lambda _place, result: kept.append(result))
    made = [{"part": {"shard": n}, "rows": 1, "seconds": 10.0 + n, "peak_mb": 90_000 + n} for n in (0, 1)]

    def publish(_run, *, parts):
        return {"stage": "features", "rows_out": len(parts), "shards": [part["shard"] for part in parts]}

    result = orchestration.finish_parts(publish, CYCLE, made)
    assert result["shards"] == [0, 1]
    assert result["seconds"] == pytest.approx(21, abs=0.5)
    assert result["peak_mb"] == 90_001
    assert kept == [result]


def test_a_failure_is_one_line_with_place_run_and_cause_and_an_alarm(caplog, monkeypatch):
    alarms: list[tuple[str, str, dict[str, str]]] = []
    monkeypatch.setattr(orchestration, "alarm", lambda *given: alarms.append(given))
    ti = SimpleNamespace(dag_id="churn_warning", task_id="features.compute", map_index=3, run_id="manual__1")
    tell_failure({"ti": ti, "exception": NotReady("No usage rows\nfor 2026-10.")})
    expected = "FAILED churn_warning features.compute [3], run manual__1: No usage rows for 2026-10."
    assert caplog.messages[-1] == expected
    ((kind, _, told),) = alarms
    where = "churn_warning features.compute [3], run manual__1"
    assert (kind, told) == ("stage_failed", {"where": where, "why": "No usage rows for 2026-10.", "link": ""})


def test_what_fails_again_for_the_same_cause_has_the_same_key_whichever_run_it_is(monkeypatch):
    keys: list[str] = []
    monkeypatch.setattr(orchestration, "alarm", lambda _kind, key, _details: keys.append(key))
    for run, cause in (("1", "No rows."), ("2", "No rows."), ("2", "No column."), ("3", "No column.")):
        ti = SimpleNamespace(dag_id="take_in_changes", task_id="collection", map_index=-1, run_id=run)
        tell_failure({"ti": ti, "exception": NotReady(cause)})
    assert [keys.index(key) for key in keys] == [0, 0, 2, 2]


def test_an_alarm_goes_out_at_once_by_the_configured_channel_and_once_a_day(airflow_environment):
    details = {"where": "churn_warning grading", "why": "No scores.", "link": "http://here"}
    for _ in range(2):
        orchestration.alarm("stage_failed", "churn_warning grading", details)
    (file,) = (airflow_environment / "notices").glob("*.jsonl")
    (line,) = file.read_text("utf-8").splitlines()
    told = json.loads(line)
    assert (told["channel"], told["severity"]) == ("operations", "page")
    assert "Task churn_warning grading failed: No scores." in told["body"]


def test_what_hinders_an_alarm_is_logged_and_hides_nothing(airflow_environment, monkeypatch, caplog):
    monkeypatch.setenv("CHURN_CONFIG", "/nowhere")
    orchestration.alarm("stage_failed", "x", {"where": "x", "why": "y", "link": ""})
    assert caplog.messages[-1] == "Operations could not be told of stage_failed: ConfigError"


def test_the_stages_of_notices_get_what_they_ask_for(airflow_environment):
    assert notices.tell()["stage"] == "notices"
    assert notices.check()["rows_in"] == 3


def test_a_channel_finds_its_server_in_an_airflow_connection(monkeypatch):
    uri = "http://robot:SECret@chat.example.cn:8443/?path=%2Fsend%3Faccess_token%3Dabc"
    monkeypatch.setenv("AIRFLOW_CONN_ROBOT", uri)
    found = orchestration._endpoint("robot")
    assert (found.host, found.port, found.password) == ("chat.example.cn", 8443, "SECret")
    assert found.extra["path"] == "/send?access_token=abc"


def test_months_awaiting_training_are_told_to_the_asset_whoever_labelled_them():
    events = {LABELS: SimpleNamespace(extra=None)}
    announce_labels({"campaign": "audit", "labelled": [], "untaught": ["2026-09"]}, events)
    assert events[LABELS].extra == {"campaign": "audit", "months": ["2026-09"]}


def test_a_month_training_has_seen_is_not_told_again():
    with pytest.raises(AirflowSkipException):
        announce_labels({"campaign": "audit", "labelled": ["2026-09"], "untaught": []}, {})


MEASURED = {
    "stage": "drift", "campaign": "audit", "month": "2026-10", "baseline_month": "2026-09", "score_psi": 0.01,
    "rows_in": 9, "largest": {"bill": 0.4}, "shifted": ["bill"], "watch": [], "ranked_on": "2026-09",
    "strongest": ["bill"],
    "message": "Against 2026-09 these have shifted: bill.",
}  # fmt: skip


def test_drift_is_shown_as_metadata_of_the_asset_and_operations_are_told(monkeypatch, caplog):
    alarms: list[tuple[str, str, dict[str, str]]] = []
    monkeypatch.setattr(orchestration, "alarm", lambda *given: alarms.append(given))
    events = {FACTORS: SimpleNamespace(extra=None)}
    announce_drift(MEASURED, events)
    assert events[FACTORS].extra == {
        name: MEASURED[name]
        for name in (
            "campaign",
            "month",
            "baseline_month",
            "score_psi",
            "largest",
            "shifted",
            "watch",
            "ranked_on",
            "strongest",
        )
    }
    assert [record.getMessage() for record in caplog.records] == [
        "drift: Against 2026-09 these have shifted: bill."
    ]
    assert alarms == [
        ("drift", "audit 2026-10", {"what": "bill", "why": "PSI bill 0.4 (2026-09 → 2026-10).", "link": ""})
    ]


def test_a_month_like_the_one_before_warns_of_nothing(monkeypatch, caplog):
    monkeypatch.setattr(orchestration, "alarm", lambda *_: pytest.fail("nothing has shifted"))
    announce_drift({**MEASURED, "shifted": []}, {FACTORS: SimpleNamespace(extra=None)})
    assert caplog.records == []


def test_a_feed_is_read_by_its_airflow_connection_and_the_others_from_files(
    empty_database, tmp_path, monkeypatch
):
    folder = tmp_path / "config"
    shutil.copytree(settings.config_folder(), folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    sources = folder / "sources.yaml"
    declared = sources.read_text("utf-8")
    marked = declared.replace("  churned:  ", "  churned:\n    sql: {connection: bss}\n    #", 1)
    assert marked != declared
    sources.write_text(marked, "utf-8")
    monkeypatch.setenv("CHURN_CONFIG", str(folder))
    monkeypatch.setenv("AIRFLOW_CONN_BSS", empty_database())
    with workplace() as place:
        assert place.connections("usage_months") == {}
        cursor = place.connections("churned")["churned"].cursor()
        cursor.execute("select 1")
        assert cursor.fetchone() == (1,)
