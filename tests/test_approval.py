"""The gate before a large dispatch: whom it asks, until when, and how it ends."""

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskAwaitingInput

from include import approval
from include.approval import DispatchApproval, next_working_evening
from include.domain.months import ZONE

LARGE = {
    "ask": True,
    "why": "Up to 3,000 tickets; more than 2,000 need approval.",
    "high": 9,
    "scored": 500_000,
}


def gate() -> DispatchApproval:
    return DispatchApproval(task_id="approve", asks_for="dispatch.plan_size", subject="Dispatch?")


def context(size: dict[str, Any]) -> Any:
    return {"ti": SimpleNamespace(xcom_pull=lambda task_ids: size), "task_instance": SimpleNamespace(id=1)}


def answered(option: str) -> dict[str, Any]:
    return {
        "chosen_options": [option],
        "params_input": {},
        "responded_at": datetime(2026, 11, 5, 9, tzinfo=ZONE),
        "responded_by_user": {"id": "7", "name": "Li Na"},
    }


def test_a_usual_dispatch_is_not_asked_about():
    with pytest.raises(AirflowSkipException):
        gate().execute(context({"ask": False, "why": ""}))


def test_a_large_one_waits_for_an_answer_until_the_next_working_evening(monkeypatch):
    asked: dict[str, Any] = {}
    monkeypatch.setattr(
        "airflow.providers.standard.operators.hitl.upsert_hitl_detail", lambda **told: asked.update(told)
    )
    saturday = datetime(2026, 9, 5, 6, 0, tzinfo=ZONE)
    monkeypatch.setattr(approval, "right_now", lambda: saturday)
    with pytest.raises(TaskAwaitingInput) as waiting:
        gate().execute(context(LARGE))
    assert saturday + waiting.value.timeout == datetime(2026, 9, 7, 18, 0, tzinfo=ZONE)
    assert "3,000 tickets" in asked["body"]
    assert "2026-09-07 18:00" in asked["body"]


@pytest.mark.parametrize(
    ("asked_at", "answer_by"),
    [
        (datetime(2026, 11, 5, 6, tzinfo=ZONE), datetime(2026, 11, 6, 18, tzinfo=ZONE)),
        # the fifth of October lies within the National Day holiday
        (datetime(2026, 10, 5, 6, tzinfo=ZONE), datetime(2026, 10, 8, 18, tzinfo=ZONE)),
    ],
)
def test_a_whole_working_day_is_left_to_answer(asked_at, answer_by):
    assert next_working_evening(asked_at) == answer_by


def test_an_approval_lets_the_run_go_on():
    assert gate().execute_complete({}, answered("Approve"))["chosen_options"] == ["Approve"]


def test_a_rejection_fails_at_once_and_names_who_rejected():
    with pytest.raises(AirflowFailException, match=r"^Nothing was dispatched: Li Na rejected it\."):
        gate().execute_complete({}, answered("Reject"))


def test_no_answer_in_time_fails_at_once():
    late = {"error": "The response timeout has passed.", "error_type": "timeout"}
    with pytest.raises(AirflowFailException, match="nobody answered within one working day"):
        gate().execute_complete({}, late)
