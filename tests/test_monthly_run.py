"""Which month and cycle a run works on, and how its deliveries become tasks."""

import shutil

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include import monthly_run, settings
from include.domain.errors import BadInput
from include.monthly_run import by_feed_and_month, month_of_run
from include.orchestration import run_stage

PARAMS = {"month": "2026-10", "as_of": None}


@pytest.mark.parametrize(("param", "key"), [("2026-10", None), (None, "2026-10"), ("", "2026-10")])
def test_the_month_comes_from_the_param_or_the_partition_key(param, key):
    assert month_of_run(param, key) == "2026-10"


def test_both_at_once_are_refused_even_when_they_agree():
    with pytest.raises(BadInput, match="partition key 2026-10 and the Param month 2026-10"):
        month_of_run("2026-10", "2026-10")


def test_neither_is_refused_with_an_example():
    with pytest.raises(BadInput, match="Trigger it with the Param month"):
        month_of_run(None, None)


def test_a_partition_key_of_a_day_is_refused():
    with pytest.raises(BadInput, match="2026-10-05"):
        month_of_run(None, "2026-10-05")


def test_the_days_of_a_month_become_one_task():
    days = [{"feed": "changes", "period": f"2026-10-{day:02d}"} for day in (3, 1, 2)]
    others = [{"feed": "usage_months", "period": "2026-10"}, {"feed": "changes", "period": "2026-11-01"}]
    assert by_feed_and_month([*days, *others]) == [
        {"feed": "changes", "periods": ["2026-10-01", "2026-10-02", "2026-10-03"]},
        {"feed": "changes", "periods": ["2026-11-01"]},
        {"feed": "usage_months", "periods": ["2026-10"]},
    ]


def test_ten_years_of_days_stay_far_below_what_airflow_maps():
    days = [
        {"feed": feed, "period": f"{year}-{month:02d}-{day:02d}"}
        for feed in ("service_events", "market_events", "subscriber_changes", "contact_limits")
        for year in range(2016, 2026)
        for month in range(1, 13)
        for day in range(1, 29)
    ]
    assert len(by_feed_and_month(days)) == 480


def test_opening_lays_down_the_lake_and_opens_the_cycle_once(airflow_environment):
    first = monthly_run.open_cycle(PARAMS, None)
    assert (airflow_environment / "lake" / "lake.json").exists()
    assert first == monthly_run.open_cycle(PARAMS, None)
    assert (first["as_of"], first["revision"]) == ("2026-11-05T06:00:00+08:00", 0)


@pytest.mark.parametrize("edited", ["base_rate: 0.5\n", "not: [yaml"])
def test_an_edit_while_a_run_waits_does_not_mix_two_configurations(
    airflow_environment, tmp_path, monkeypatch, edited
):
    folder = tmp_path / "edited"
    shutil.copytree(settings.config_folder(), folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    monkeypatch.setenv("CHURN_CONFIG", str(folder))
    opened = monthly_run.open_cycle(PARAMS, None)
    before = (folder / "grading.yaml").read_text("utf-8")
    (folder / "grading.yaml").write_text(before + edited, "utf-8")
    used = run_stage(lambda *, config: config, opened)
    assert used.hash == opened["config_hash"]
    assert used.texts["grading.yaml"] == before
    assert monthly_run.reopen_cycle(opened) == opened


def test_a_cycle_dispatched_meanwhile_is_reopened_as_a_revision(airflow_environment, db):
    from sqlalchemy import text

    opened = monthly_run.open_cycle(PARAMS, None)
    assert monthly_run.reopen_cycle(opened)["revision"] == 0
    with db.begin():
        db.execute(text("update cycles set fixed_at = now(), fixed_facts = '{}'"))
    reopened = monthly_run.reopen_cycle(opened)
    assert reopened["revision"] == 1
    assert reopened["as_of"] == opened["as_of"]


SIZE = {"ask": True, "tickets_unasked": 2000, "fingerprint": "8f0e"}


@pytest.mark.parametrize(
    ("size", "approved", "rescored", "given"),
    [
        (SIZE | {"ask": False}, None, None, {"most": 2000, "planned": "8f0e"}),
        # of tries before: Airflow keeps the results of tasks that are skipped when they are cleared
        (
            SIZE | {"ask": False},
            {"choice": "all", "most": 9, "fingerprint": "old"},
            {"fingerprint": "old"},
            {"most": 2000, "planned": "8f0e"},
        ),
        (
            SIZE,
            {"choice": "top", "most": 9, "fingerprint": "8f0e"},
            {"fingerprint": "old"},
            {"most": 9, "planned": "8f0e"},
        ),
        (
            SIZE,
            {"choice": "rules_only", "most": 9, "fingerprint": "8f0e"},
            {"fingerprint": "made"},
            {"most": 9, "planned": "made"},
        ),
    ],
)
def test_only_the_plan_that_was_approved_or_what_it_made_may_go(size, approved, rescored, given):
    assert monthly_run.may_go(size, approved, rescored) == given


def test_a_plan_made_since_the_last_answer_may_not_go():
    with pytest.raises(
        AirflowFailException, match=r"nobody approved plan 8f0e, .* Clear dispatch\.approve to ask"
    ):
        monthly_run.may_go(SIZE, None, None)
