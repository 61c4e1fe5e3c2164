"""The small DAGs: when they run, and one run of each on a real PostgreSQL."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.domain.periods.months import ZONE
from include.orchestration import LABELS
from tests.fixtures.work import fill_cycle, hire


def ticks(dag: Any, count: int) -> list[datetime]:
    """The next `count` times a DAG would run, in Shanghai."""
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import DataInterval, TimeRestriction

    timetable = coerce_to_core_timetable(dag.timetable)
    restriction = TimeRestriction(earliest=None, latest=None, catchup=False)
    found: list[datetime] = []
    last = None
    while len(found) < count:
        info = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        found.append(info.run_after.astimezone(ZONE))
        last = DataInterval.exact(info.run_after)
    return found


@pytest.mark.parametrize(("name", "clock"), [("release_tickets", "08:30"), ("follow_up", "07:00")])
def test_a_daily_dag_runs_every_day_rest_days_too(parse, name, clock):
    found = ticks(parse(name), 8)
    assert {f"{tick:%H:%M}" for tick in found} == {clock}
    assert [tick.date() for tick in found] == [found[0].date() + timedelta(days=n) for n in range(8)]


def test_clocks_are_watched_every_quarter_of_an_hour_of_working_time(parse):
    found = ticks(parse("watch_sla"), 2 * 38)
    times = sorted({f"{tick:%H:%M}" for tick in found})
    assert (times[0], times[-1], len(times)) == ("09:00", "18:15", 38)
    assert {tick.minute for tick in found} == {0, 15, 30, 45}


def test_the_landing_folder_is_looked_at_every_five_minutes_of_the_calling_day_rest_days_too(parse):
    found = ticks(parse("take_in_changes"), 3 * 156)
    times = sorted({f"{tick:%H:%M}" for tick in found})
    assert (times[0], times[-1], len(times)) == ("08:00", "20:55", 156)
    assert {tick.minute % 5 for tick in found} == {0}
    assert len({tick.date() for tick in found}) >= 3


@pytest.mark.parametrize("name", ["release_tickets", "follow_up", "watch_sla", "take_in_changes"])
def test_unpausing_starts_nothing_that_is_over(parse, name):
    # Airflow still runs a tick missed by less than a tenth of its interval
    assert ticks(parse(name), 1)[0] > datetime.now(UTC) - timedelta(days=1) / 10


@pytest.mark.parametrize(
    "name", ["release_tickets", "follow_up", "watch_sla", "take_in_changes", "train_models"]
)
def test_one_run_at_a_time(parse, name):
    assert parse(name).max_active_runs == 1


def test_training_is_started_by_labels_alone(parse):
    assert parse("train_models").timetable.asset_condition.objects == (LABELS,)
    for name, task in (("follow_up", "followed.announce"), ("churn_warning", "follow_up.announce")):
        assert parse(name).get_task(task).outlets == [LABELS]


def test_release_offers_rest_days_and_leaves_them_out_unasked(parse):
    assert parse("release_tickets").params.dump() == {"on_rest_days": False}


def test_release_and_watch_run_green_when_there_is_nothing_to_do(run_dag):
    released = run_dag("release_tickets")
    assert (released.state, released.result("release")["stage"]) == ("success", "release")
    assert "There is no lake yet" in released.result("limits")["message"]
    watched = run_dag("watch_sla")
    assert (watched.state, watched.result("sla")["stage"]) == ("success", "sla")


def deliver(root: Path, feed: str, *rows: str) -> None:
    folder = root / "landing" / feed / "day=2026-11-04"
    folder.mkdir(parents=True)
    (folder / "part-1.csv").write_text("\n".join(rows), "utf-8")


def test_the_morning_brings_day_feeds_to_the_tickets_before_it_hands_them_out(
    run_dag, lake, airflow_environment, db
):
    fill_cycle(db, 3)
    hire(db)
    deliver(
        airflow_environment, "subscriber_changes", "subscriber_id,occurred_at,kind",
        "S0001,2026-11-04T09:00:00+08:00,left", "S0002,2026-11-04T09:00:00+08:00,port_out_applied",
    )  # fmt: skip
    run = run_dag("release_tickets")
    assert (run.state, run.result("collection")["rows_in"]) == ("success", 2)
    told = run.result("limits")
    assert (told["cancelled"], told["frozen"], run.result("release")["released"]) == (1, 1, 1)


def test_a_day_feed_nobody_can_read_holds_the_release_but_not_what_else_is_known(
    run_dag, lake, airflow_environment, db, caplog
):
    fill_cycle(db, 2)
    hire(db)
    deliver(airflow_environment, "contact_limits", "subscriber_id,kind", "S0002,refused")
    deliver(
        airflow_environment, "subscriber_changes", "subscriber_id,occurred_at,kind",
        "S0001,2026-11-04T09:00:00+08:00,left",
    )  # fmt: skip
    run = run_dag("release_tickets")
    states = {"collection": "failed", "limits": "success", "release": "upstream_failed"}
    assert run.states == states | {"heartbeats": "success"}
    assert run.result("limits")["cancelled"] == 1
    assert any(
        "has no column valid_from" in told and "nothing is released" in told for told in caplog.messages
    )


def test_follow_up_without_a_complete_month_announces_nothing(run_dag, lake):
    run = run_dag("follow_up")
    assert run.state == "success"
    states = dict.fromkeys(("campaigns", "followed.evaluate", "retain", "heartbeats"), "success")
    assert run.states == states | {"followed.announce": "skipped"}
    assert run.labels("followed.evaluate") == ["churn_warning", "contract_renewal"]


def test_training_without_factors_says_what_to_do(run_dag, lake, caplog):
    assert run_dag("train_models").state == "failed"
    assert any("Run a campaign for a month first." in message for message in caplog.messages)


def test_the_watcher_tells_its_notices_after_each_tick_also_when_it_failed(run_dag, parse):
    dag = parse("watch_sla")
    assert dag.get_task("sla").downstream_task_ids == {"notices"}
    assert dag.get_task("notices").trigger_rule == "all_done"
    assert run_dag("watch_sla").result("notices")["stage"] == "notices"


@pytest.mark.parametrize("name", ["release_tickets", "follow_up"])
def test_another_dag_looks_whether_the_watcher_is_alive(run_dag, lake, name):
    run = run_dag(name)
    assert run.result("heartbeats")["stage"] == "heartbeats"


def test_a_failed_stage_pages_operations_with_where_why_and_a_link(run_dag, airflow_environment, lake):
    assert run_dag("train_models").state == "failed"
    (file,) = (airflow_environment / "notices").glob("*.jsonl")
    told = json.loads(file.read_text("utf-8").splitlines()[0])
    assert (told["channel"], told["severity"]) == ("operations", "page")
    assert "Task train_models training [0]" in told["body"]
    assert "Run a campaign for a month first." in told["body"]


def test_operations_that_cannot_be_told_do_not_hide_the_failure(run_dag, lake, monkeypatch, caplog):
    monkeypatch.setenv("CHURN_CONFIG", "/nowhere")
    assert run_dag("train_models").state == "failed"
    assert any("Operations could not be told of stage_failed" in message for message in caplog.messages)
