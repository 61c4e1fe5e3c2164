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
    "tickets_at_most": 3000,
    "before": "2026-09",
    "may_rescore": True,
    "last_champion": ["m-1"],
    "figures": {"region": [("R01", 40, 30), ("R|2", 5, 9)], "reason": [("arpu_change", 60, 20)]},
}


def gate() -> DispatchApproval:
    return DispatchApproval(
        task_id="approve", asks_for="dispatch.plan_size", subject="Dispatch?", params=approval.FORM
    )


def context(size: dict[str, Any]) -> Any:
    return {"ti": SimpleNamespace(xcom_pull=lambda task_ids: size), "task_instance": SimpleNamespace(id=1)}


def answered(option: str, **params: Any) -> dict[str, Any]:
    return {
        "chosen_options": [option],
        "params_input": params,
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


@pytest.mark.parametrize(
    ("option", "params", "result"),
    [
        (approval.ALL, {}, {"choice": "all", "most": 3000}),
        (approval.TOP, {"tickets": 120}, {"choice": "top", "most": 120}),
        (approval.TOP, {"tickets": 9000}, {"choice": "top", "most": 3000}),
        (approval.LAST, {"tickets": 0}, {"choice": "last_champion", "most": 3000}),
        (approval.RULES, {}, {"choice": "rules_only", "most": 3000}),
    ],
)
def test_an_answer_says_what_goes_out_and_never_more_than_was_shown(option, params, result):
    told = gate().execute_complete(context(LARGE), answered(option, **params))
    assert told == {**result, "by": "Li Na"}


def test_a_rejection_fails_at_once_and_names_who_rejected():
    with pytest.raises(AirflowFailException, match=r"^Nothing was dispatched: Li Na rejected it\."):
        gate().execute_complete(context(LARGE), answered(approval.REJECT))


def test_the_top_of_no_number_is_not_a_dispatch_of_everything():
    for params in ({}, {"tickets": 0}):
        with pytest.raises(AirflowFailException, match="Li Na chose the top N without a number"):
            gate().execute_complete(context(LARGE), answered(approval.TOP, **params))


def test_no_answer_in_time_fails_at_once():
    late = {"error": "The response timeout has passed.", "error_type": "timeout"}
    with pytest.raises(AirflowFailException, match="nobody answered within one working day"):
        gate().execute_complete(context(LARGE), late)


def test_nothing_answers_by_itself():
    assert gate().defaults is None


def test_scoring_again_is_offered_only_where_it_can_be_done():
    assert approval.offered(LARGE) == [*approval.CHOICES, approval.REJECT]
    assert approval.LAST not in approval.offered({**LARGE, "last_champion": []})
    # a top-up of a fixed cycle: its scores stay
    assert approval.offered({**LARGE, "may_rescore": False}) == [approval.ALL, approval.TOP, approval.REJECT]


def test_the_question_shows_the_splits_against_the_cycle_before_as_tables():
    lines = approval.question(LARGE).splitlines()
    assert "| Region 区域 | This cycle 本期 | 2026-09 | Change 变化 |" in lines
    assert "| R01 | 40 | 30 | +10 |" in lines
    assert "| R/2 | 5 | 9 | -4 |" in lines  # a bar would end the cell
    assert "| arpu_change | 60 | 20 | +40 |" in lines
    assert "| R01 | 40 | – | – |" in approval.question({**LARGE, "before": None}).splitlines()
