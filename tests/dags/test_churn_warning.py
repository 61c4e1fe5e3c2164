"""The DAG of a monthly campaign over ten subscribers, from landing files to tickets, on a real PostgreSQL."""

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from include.domain.periods.months import ZONE
from include.orchestration import approval
from tests.conftest import ROOT
from tests.fixtures.ten_subscribers import EXPECTED_GRADES, MONTH
from tests.stages.collection.test_collection import Operator
from tests.stages.collection.test_completeness import REGIONS, of_all, profiles, stand, usage

PRIORITY = {name for name, (_, tier) in EXPECTED_GRADES.items() if tier == "priority"}
STAGES = ["collection", "features", "training", "prediction", "grading", "dispatch", "outreach", "follow_up"]


@pytest.fixture
def asks(ten_collected: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration in which a second ticket needs approval."""
    folder = ten_collected / "config"
    shutil.copytree(ROOT / "include" / "config", folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    campaign = folder / "campaigns" / "monthly" / "churn_warning.yaml"
    changed = campaign.read_text("utf-8").replace("tickets: 2000", "tickets: 1")
    assert "tickets: 1" in changed
    campaign.write_text(changed, "utf-8")
    monkeypatch.setenv("CHURN_CONFIG", str(folder))


def rows(db: Connection, statement: str) -> list[tuple[Any, ...]]:
    with db.begin():
        return [tuple(row) for row in db.execute(text(statement))]


def dispatched(db: Connection) -> list[list[tuple[Any, ...]]]:
    """All a dispatch writes, evidence byte for byte."""
    return [
        rows(db, "select subscriber_id, arm, rank, evidence::text, assigned_at from assignments order by 1"),
        rows(db, "select ticket_id, subscriber_id, state, version from tickets order by 1"),
        rows(db, "select ticket_id, kind, occurred_at from ticket_events order by 1, 3, 2"),
    ]


def test_every_stage_names_a_task_or_a_group_and_they_follow_each_other(parse):
    dag = parse("churn_warning")
    order = [task.task_id for task in dag.topological_sort()]
    firsts = [next(i for i, task in enumerate(order) if task.split(".")[0] == stage) for stage in STAGES]
    lasts = [max(i for i, task in enumerate(order) if task.split(".")[0] == stage) for stage in STAGES]
    assert all(last < first for last, first in zip(lasts[:-1], firsts[1:], strict=True))


def test_drift_follows_the_scores_and_nothing_waits_for_it(parse):
    drift = parse("churn_warning").get_task("drift")
    assert drift.upstream_task_ids >= {"prediction.publish"}
    assert drift.downstream_task_ids == set()


def test_the_means_of_peers_are_made_before_the_shards(parse):
    assert "features.peers" in parse("churn_warning").get_task("features.compute").upstream_task_ids


def test_feeds_and_shards_are_mapped(parse):
    mapped = {task.task_id for task in parse("churn_warning").tasks if task.is_mapped}
    # a question per plan: one that was asked cannot be changed
    assert mapped == {"collection.collect", "features.compute", "prediction.predict", "dispatch.approve"}


def test_two_runs_of_a_month_may_run_at_once(parse):
    assert parse("churn_warning").max_active_runs > 1


def test_it_runs_on_the_fifth_for_the_month_before(timetable):
    info = timetable.next_dagrun_info_v2(last_dagrun_info=None, restriction=_unrestricted())
    local = info.run_after.astimezone(ZONE)
    assert (local.day, local.hour, local.minute) == (5, 6, 0)
    previous = (local.year * 12 + local.month - 1) - 1
    assert info.partition_key == f"{previous // 12:04d}-{previous % 12 + 1:02d}"


def test_unpausing_starts_no_run_for_a_month_that_is_over(timetable):
    info = timetable.next_dagrun_info_v2(last_dagrun_info=None, restriction=_unrestricted())
    assert info.run_after > datetime.now(UTC)


def test_a_scheduler_that_slept_over_the_fifth_makes_up_for_it(timetable):
    from airflow.timetables.base import DagRunInfo

    june = datetime(2026, 6, 4, 22, tzinfo=UTC)
    last = DagRunInfo(run_after=june, data_interval=None, partition_date=june, partition_key="2026-05")
    info = timetable.next_dagrun_info_v2(last_dagrun_info=last, restriction=_unrestricted())
    assert june < info.run_after < datetime.now(UTC)


@pytest.fixture
def timetable(parse):
    from airflow.serialization.encoders import coerce_to_core_timetable

    return coerce_to_core_timetable(parse("churn_warning").timetable)


def _unrestricted():
    from airflow.timetables.base import TimeRestriction

    return TimeRestriction(earliest=None, latest=None, catchup=False)


@pytest.mark.parametrize("month", ["2026-13", "2026-1", "october", "2026-10-01", "26-10"])
def test_the_form_refuses_what_is_not_a_month(parse, month):
    from airflow.sdk.exceptions import ParamValidationError

    params = parse("churn_warning").params
    with pytest.raises(ParamValidationError):
        params["month"] = month


def test_the_form_offers_month_as_of_and_the_choices_of_a_dispatch(parse):
    params = parse("churn_warning").params
    assert params.dump() == dict.fromkeys(["month", "as_of"]) | dict.fromkeys(
        ["dispatch_late", "top_up", "train"], False
    )


def deliver_a_broken_row(landing: Path) -> str:
    """Add an event of no known kind to the month's file; return the file's name."""
    file = next((landing / "service_events" / f"month={MONTH}").glob("*.csv"))
    header = file.read_text("utf-8").splitlines()[0].split(",")
    row = {
        "event_id": "E-x",
        "subscriber_id": "S01",
        "occurred_at": f"{MONTH}-03T10:00:00+08:00",
        "kind": "gossip",
    }
    with file.open("a", encoding="utf-8") as out:
        out.write(",".join(row.get(name, "") for name in header) + "\n")
    return file.name


def assert_an_operator_sees_the_quarantine(run: Any, file: str) -> None:
    """On the page of the asset `collection`, in the result of the report, and beside the mapped task."""
    told = run.result("collection.report")
    (worst,) = told["worst"]
    assert worst.startswith(f"1 rows of service_events {MONTH} are in quarantine: kind ")
    assert worst.endswith(f"of {file}")
    extra = run.asset_extra("collection")
    assert (extra["month"], extra["worst in quarantine"]) == (MONTH, [worst])
    assert extra["rows"]["service_events"].endswith(" accepted, 1 in quarantine")
    labels = run.labels("collection.collect")
    assert any(label.startswith(f"service_events {MONTH}: 1 of ") for label in labels)
    assert f"subscribers {MONTH}" not in " ".join(
        labels
    )  # collected before, by what the month cannot do without


def test_ten_subscribers_pass_from_landing_files_to_tickets_and_again_changes_nothing(
    run_dag, ten_of_one_month, db, partitioned
):
    partitioned(MONTH)
    broken = deliver_a_broken_row(ten_of_one_month / "landing")
    run = run_dag("churn_warning")
    assert run.state == "success"
    assert_an_operator_sees_the_quarantine(run, broken)
    skipped = {task for task, state in run.states.items() if state != "success"}
    assert skipped == {"training", "dispatch.approve", "dispatch.rescore", "follow_up.announce"}
    assert rows(db, "select cycle, month from cycles") == [(MONTH, MONTH)]
    graded = rows(db, "select subscriber_id, grade, tier from warnings where revision = 0")
    warned = {name: expected for name, expected in EXPECTED_GRADES.items() if expected[0] != "low"}
    assert {name: (grade, tier) for name, grade, tier in graded} == warned
    assigned = rows(db, "select subscriber_id, arm from assignments")
    assert {name for name, _ in assigned} == PRIORITY
    tickets = {name for (name,) in rows(db, "select subscriber_id from tickets")}
    assert tickets == {name for name, arm in assigned if arm == "treated"}
    told = run.result("collection.report")
    assert told["rows_in"] == told["rows_out"] + told["quarantined"] > 0
    kept = {stage for (stage,) in rows(db, "select stage from stage_runs where peak_mb > 0")}
    assert kept == {*STAGES, "drift"} - {"training"}
    before = dispatched(db)

    partitioned("")
    again = run_dag("churn_warning", month=MONTH)
    assert again.state == "success"
    assert again.states["collection.collect"] == "skipped"
    assert again.result("dispatch.assign")["already_fixed"]
    assert dispatched(db) == before


def test_a_month_long_over_is_graded_but_dispatched_only_when_a_person_says_so(
    run_dag, ten_collected, db, clock
):
    clock(datetime(2027, 3, 1, 9, 0, tzinfo=ZONE))
    run = run_dag("churn_warning", month=MONTH)
    assert run.state == "success"
    assert rows(db, "select count(*) from warnings") == [(9,)]
    assert dispatched(db) == [[], [], []]

    run_dag("churn_warning", month=MONTH, dispatch_late=True)
    assert {name for (name,) in rows(db, "select subscriber_id from assignments")} == PRIORITY


@pytest.mark.timeout(300)  # a question nobody answers would keep the run waiting
def test_a_rejected_dispatch_fails_the_run_and_the_next_one_is_asked_about_again(
    run_dag, asks, db, answer, clock
):
    clock(datetime.now(ZONE))
    asked = answer(approval.REJECT)
    run = run_dag("churn_warning", month=MONTH, dispatch_late=True)
    assert MONTH in asked[0]
    assert "Up to 3 tickets" in asked[1]
    assert "4 of 10 subscribers are at high risk" in asked[1]
    assert run.state == "failed"
    assert run.states["dispatch.approve"] == "failed"
    assert run.states["dispatch.assign"] == run.states["follow_up.evaluate"] == "upstream_failed"
    assert dispatched(db) == [[], [], []]

    answer(approval.ALL)
    assert run_dag("churn_warning", month=MONTH, dispatch_late=True).state == "success"
    assert {name for (name,) in rows(db, "select subscriber_id from assignments")} == PRIORITY


@pytest.mark.timeout(300)
def test_a_plan_made_anew_is_asked_about_anew_with_its_own_figures_and_deadline(
    run_dag, clear, asks, db, answer, clock
):
    now = datetime.now(ZONE)
    clock(now)
    first = answer(approval.REJECT)
    run = run_dag("churn_warning", month=MONTH, dispatch_late=True)
    assert "Up to 3 tickets" in first[1] and run.states["dispatch.approve"] == "failed"

    with db.begin():
        db.execute(text("delete from warnings where subscriber_id = :who"), {"who": min(PRIORITY)})
    clock(now + timedelta(days=14))
    second = answer(approval.ALL)
    run = clear(run, "churn_warning", "dispatch.plan_size", "dispatch.approve")
    assert "Up to 2 tickets" in second[1]
    answer_by = [re.search(r"Answer by (\S+ \S+)", asked[1])[1] for asked in (first, second)]
    assert answer_by[1] >= f"{now + timedelta(days=14):%Y-%m-%d}" > answer_by[0]
    assert run.state == "success"
    assert run.labels("dispatch.approve") == ["plan 1", "plan 2"]
    assert {name for (name,) in rows(db, "select subscriber_id from assignments")} == PRIORITY - {
        min(PRIORITY)
    }


@pytest.mark.timeout(300)
def test_the_top_of_no_number_is_asked_again(run_dag, asks, db, answer, clock):
    clock(datetime.now(ZONE))
    asked = [answer(approval.TOP), answer(approval.TOP, tickets=1)]
    run = run_dag("churn_warning", month=MONTH, dispatch_late=True, retried="dispatch.approve")
    assert run.state == "success"
    assert asked[0] == asked[1] and asked[0]
    assert rows(db, "select count(*) from tickets") == [(1,)]


@pytest.mark.timeout(300)
def test_the_best_ranked_alone_go_out_when_that_was_approved(run_dag, asks, db, answer, clock):
    clock(datetime.now(ZONE))
    answer(approval.TOP, tickets=1)
    run = run_dag("churn_warning", month=MONTH, dispatch_late=True)
    assert (run.state, run.states["dispatch.rescore"]) == ("success", "skipped")
    assert rows(db, "select count(*) from tickets") == [(1,)]
    last = "select max(rank) from dispatch_decisions where decision = 'treated'"
    assert rows(db, f"select count(*) from assignments where rank > ({last})") == [(0,)]


@pytest.mark.timeout(300)
def test_the_rules_alone_grade_the_month_again_before_it_is_fixed(run_dag, asks, db, answer, clock):
    clock(datetime.now(ZONE))
    asked = answer(approval.RULES)
    run = run_dag("churn_warning", month=MONTH, dispatch_late=True)
    assert (run.state, run.states["dispatch.rescore"]) == ("success", "success")
    assert approval.LAST not in asked[1]  # no cycle before was scored by a model
    assert run.result("dispatch.rescore")["stage"] == "grading"
    kinds = "select fixed_facts -> 'champions' -> 'pooled' ->> 'kind' from cycles"
    assert rows(db, kinds) == [("rules",)]
    assert {name for (name,) in rows(db, "select subscriber_id from assignments")} == PRIORITY


def test_a_run_without_a_month_fails_at_its_first_task(run_dag):
    run = run_dag("churn_warning")
    assert run.state == "failed"
    assert {task for task, state in run.states.items() if state != "upstream_failed"} == {"open_cycle"}


def test_a_missing_required_feed_stops_the_run_before_anything_is_graded(run_dag, airflow_environment, db):
    run = run_dag("churn_warning", month=MONTH)
    assert run.state == "failed"
    assert run.states["collection.required"] == "failed"
    assert run.states["collection.plan"] == run.states["collection.report"] == "upstream_failed"
    assert run.states["features.publish"] == "upstream_failed"


def test_half_a_month_is_waited_for_and_at_the_hour_fails_with_one_alarm(
    run_dag, partitioned, airflow_environment, lake, db, config, monkeypatch, caplog
):
    operator = Operator(airflow_environment / "landing", db, lake, config)
    stand(operator, "2026-09", of_all(REGIONS, 60))
    operator.deliver("subscribers", profiles(of_all(REGIONS, 60)))
    operator.deliver("usage_months", usage(of_all(REGIONS[:13], 60)))
    looks = _times(monkeypatch, [(17, 35), (17, 45), (17, 55), (18, 0)])
    partitioned(MONTH)
    run = run_dag("churn_warning")
    assert run.states["collection.required"] == "failed"
    assert list(looks) == []  # it looked until the hour, and no further
    assert not lake.has("usage_months", MONTH)
    assert lake.has("usage_months", "2026-09")
    (alarm,) = [told for told in caplog.messages if told.startswith("FAILED ")]
    assert "churn_warning collection.required" in alarm
    assert all(f"{region} has 0 rows (60 the month before)" in alarm for region in REGIONS[13:])


def _times(monkeypatch: pytest.MonkeyPatch, times: list[tuple[int, int]]) -> Iterator[datetime]:
    """The times of 5 November at which the wait looks, whatever the real clock says."""
    from include.orchestration import waiting

    looks = iter([datetime(2026, 11, 5, hour, minute, tzinfo=ZONE) for hour, minute in times])
    trigger, passed = waiting.DateTimeTrigger, datetime.now(UTC) - timedelta(minutes=1)
    monkeypatch.setattr(waiting, "right_now", lambda: next(looks))
    monkeypatch.setattr(waiting, "DateTimeTrigger", lambda moment: trigger(min(moment, passed)))
    return looks


def test_a_partition_key_and_a_month_together_are_refused(run_dag, partitioned):
    partitioned(MONTH)
    assert run_dag("churn_warning", month="2026-09").states["open_cycle"] == "failed"


@pytest.fixture
def partitioned(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Give the next run of dag.test() a partition key, as the scheduler does."""
    import airflow.models.dagrun as dagruns

    create = dagruns.get_or_create_dagrun

    def prepare(key: str) -> None:
        def created(*, session: Any, **values: Any) -> Any:
            dag_run = create(session=session, **values)
            dag_run.partition_key = key or None
            session.commit()
            return dag_run

        monkeypatch.setattr(dagruns, "get_or_create_dagrun", created)

    return prepare
