"""Which cycle of which campaign a run works on, what it needs and what may go out."""

import shutil

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include import settings
from include.domain.errors import BadInput
from include.orchestration import campaign, run_stage
from include.orchestration.campaign import key_of_run

PARAMS = {"month": "2026-10", "as_of": None}


@pytest.mark.parametrize(
    ("params", "partition", "cadence", "key"),
    [
        ({"month": "2026-10"}, None, "monthly", "2026-10"),
        ({"month": None}, "2026-10", "monthly", "2026-10"),
        ({"month": ""}, "2026-10", "monthly", "2026-10"),
        ({"day": "2026-10-17"}, None, "daily", "2026-10-17"),
        ({"day": None}, "2026-10-17", "daily", "2026-10-17"),
    ],
)
def test_the_key_comes_from_the_param_of_the_cadence_or_the_partition_key(params, partition, cadence, key):
    assert key_of_run(params, partition, cadence) == key


@pytest.mark.parametrize(
    ("params", "partition", "cadence", "told"),
    [
        ({"month": "2026-10"}, "2026-10", "monthly", "partition key 2026-10 and the Param month 2026-10"),
        ({"month": None}, None, "monthly", "This run has no month. Trigger it with the Param month"),
        ({}, None, "daily", 'This run has no day. .* like {"day": "2026-10-17"}'),
        ({}, "2026-10-05", "monthly", "'2026-10-05' is not a month"),
        ({}, "2026-10", "daily", "'2026-10' is not a day"),
        ({"day": "2026-02-30"}, None, "daily", "'2026-02-30' is not a day"),
    ],
)
def test_both_at_once_none_or_another_cadences_key_is_refused_in_a_sentence(params, partition, cadence, told):
    with pytest.raises(BadInput, match=told):
        key_of_run(params, partition, cadence)


def test_opening_lays_down_the_lake_and_opens_the_cycle_once(airflow_environment):
    first = campaign.open_cycle("churn_warning", PARAMS, None)
    assert (airflow_environment / "lake" / "lake.json").exists()
    assert first == campaign.open_cycle("churn_warning", PARAMS, None)
    assert (first["as_of"], first["revision"]) == ("2026-11-05T06:00:00+08:00", 0)


@pytest.mark.parametrize("edited", ["base_rate: 0.5\n", "not: [yaml"])
def test_an_edit_while_a_run_waits_does_not_mix_two_configurations(
    airflow_environment, tmp_path, monkeypatch, edited
):
    folder = tmp_path / "edited"
    shutil.copytree(settings.config_folder(), folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    monkeypatch.setenv("CHURN_CONFIG", str(folder))
    opened = campaign.open_cycle("churn_warning", PARAMS, None)
    before = (folder / "grading.yaml").read_text("utf-8")
    (folder / "grading.yaml").write_text(before + edited, "utf-8")
    used = run_stage(lambda run: run.config, opened)
    assert used.hash == opened["config_hash"]
    assert used.texts["grading.yaml"] == before
    assert campaign.reopen_cycle(opened) == opened


def test_a_cycle_dispatched_meanwhile_is_reopened_as_a_revision(airflow_environment, db):
    from sqlalchemy import text

    opened = campaign.open_cycle("churn_warning", PARAMS, None)
    assert campaign.reopen_cycle(opened)["revision"] == 0
    with db.begin():
        db.execute(text("update cycles set fixed_at = now(), fixed_facts = '{}'"))
    reopened = campaign.reopen_cycle(opened)
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
    assert campaign.may_go(campaign.Answer(size, approved, rescored)) == given


def test_a_plan_made_since_the_last_answer_may_not_go():
    with pytest.raises(
        AirflowFailException, match=r"nobody approved plan 8f0e, .* Clear dispatch\.approve to ask"
    ):
        campaign.may_go(campaign.Answer(SIZE, None, None))
