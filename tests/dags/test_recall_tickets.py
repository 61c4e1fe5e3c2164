"""The manual DAG that takes a wrong batch back."""

import pytest
import sqlalchemy as sa

from tests.fixtures.graded import graded_cycle
from tests.fixtures.runs import run_of
from tests.stages.dispatch.test_dispatch import NOW, people


def test_it_runs_by_hand_alone_and_one_at_a_time(parse):
    dag = parse("recall_tickets")
    assert not dag.timetable.can_be_scheduled
    assert dag.max_active_runs == 1


@pytest.mark.parametrize("missing", ["cycle", "because", "by"])
def test_the_form_asks_for_cycle_reason_and_name(parse, missing):
    from airflow.sdk.exceptions import ParamValidationError

    params = parse("recall_tickets").params
    with pytest.raises(ParamValidationError):
        params[missing] = ""


def test_a_batch_is_taken_back_from_the_form(run_dag, db, lake, config):
    from include.stages.dispatch import dispatch

    treated = dispatch(run_of(**graded_cycle(db, lake, config, people(10)), now=NOW))["treated"]
    run = run_dag(
        "recall_tickets", campaign="churn_warning", cycle="2026-10", because="wrong rule", by="Li Na"
    )
    assert (run.state, run.result("recall")["recalled"]) == ("success", treated)
    with db.begin():
        assert db.execute(sa.text("select count(*) from tickets where not is_recalled")).scalar() == 0


def test_a_cycle_never_dispatched_fails_in_a_sentence(run_dag, caplog):
    run = run_dag("recall_tickets", cycle="2020-01", because="wrong rule", by="Li Na")
    assert run.state == "failed"
    assert any("there is nothing to recall" in message for message in caplog.messages)
