"""The gate before a large dispatch: whom it asks, until when, and how it ends."""

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    ParamValidationError,
    TaskAwaitingInput,
)

from include.domain.periods.months import ZONE
from include.orchestration import approval
from include.orchestration.approval import DispatchApproval, next_working_evening

LARGE = {
    "ask": True,
    "why": "Up to 3,000 tickets; more than 2,000 need approval.",
    "high": 9,
    "scored": 500_000,
    "tickets_at_most": 3000,
    "tickets_unasked": 2000,
    "fingerprint": "8f0eb70bb44e",
    "planned_at": "2026-11-05T06:00:00+08:00",
    "before": "2026-09",
    "may_rescore": True,
    "last_champion": ["m-1"],
    "figures": {"region": [("R01", 40, 30), ("R|2", 5, 9)], "reason": [("arpu_change", 60, 20)]},
}


CONTEXT: Any = {"task_instance": SimpleNamespace(id=1)}


def gate(plan: dict[str, Any] | None = LARGE) -> DispatchApproval:
    return DispatchApproval(task_id="approve", subject="Dispatch?", plan=plan)


def answered(option: str, **params: Any) -> dict[str, Any]:
    return {
        "chosen_options": [option],
        "params_input": params,
        "responded_at": datetime(2026, 11, 5, 9, tzinfo=ZONE),
        "responded_by_user": {"id": "7", "name": "Li Na"},
    }


def test_a_usual_dispatch_is_not_asked_about():
    with pytest.raises(AirflowSkipException):
        gate({"ask": False, "why": ""}).execute(CONTEXT)


def test_a_plan_made_anew_takes_the_place_of_those_before_it():
    assert gate(None).execute(CONTEXT) is None


def test_a_large_one_waits_until_the_working_evening_after_it_was_planned(monkeypatch):
    asked: dict[str, Any] = {}
    monkeypatch.setattr(
        "airflow.providers.standard.operators.hitl.upsert_hitl_detail", lambda **told: asked.update(told)
    )
    saturday = datetime(2026, 9, 5, 6, 0, tzinfo=ZONE)
    friday = "2026-09-04T06:00:00+08:00"
    monkeypatch.setattr(approval, "right_now", lambda: saturday)
    with pytest.raises(TaskAwaitingInput) as waiting:
        gate({**LARGE, "planned_at": friday}).execute(CONTEXT)
    assert saturday + waiting.value.timeout == datetime(2026, 9, 7, 18, 0, tzinfo=ZONE)
    assert "3,000 tickets" in asked["body"]
    assert "2026-09-07 18:00" in asked["body"]
    assert "Plan 8f0eb70bb44e" in asked["body"]
    assert asked["params"]["plan"]["value"] == "8f0eb70bb44e"


def test_a_plan_nobody_answered_in_time_is_not_asked_about_again(monkeypatch):
    monkeypatch.setattr(approval, "right_now", lambda: datetime(2026, 11, 6, 18, tzinfo=ZONE))
    with pytest.raises(
        AirflowFailException, match=r"to be answered by 2026-11-06 18:00\. Clear dispatch\.plan_size and"
    ):
        gate().execute(CONTEXT)


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
    told = gate().execute_complete(CONTEXT, answered(option, **params))
    assert told == {**result, "by": "Li Na", "fingerprint": "8f0eb70bb44e"}


@pytest.mark.parametrize("option", [*approval.CHOICES, approval.REJECT])
def test_an_answer_to_another_plan_is_refused_and_asked_again(option):
    for plan, given in ((LARGE, {"plan": "0ld"}), (None, {}), (None, {"plan": "8f0eb70bb44e"})):
        with pytest.raises(
            AirflowException, match=r"Li Na answered an earlier plan\. The question is asked"
        ) as told:
            gate(plan).execute_complete(CONTEXT, answered(option, tickets=5, **given))
        assert not isinstance(told.value, AirflowFailException)  # which would not be tried again


def test_the_form_wants_a_number_the_plan_allows_and_brings_the_plan_back_unseen():
    form = approval.form(LARGE)
    assert form.dump() == {"tickets": 2000, "plan": "8f0eb70bb44e"}  # as many as nobody needs to approve
    for wrong in (None, 0, -1, 3001, "many", 2.5):
        with pytest.raises(ParamValidationError):
            form["tickets"] = wrong
    with pytest.raises(ParamValidationError):
        form["plan"] = "0ld"
    assert approval.form({**LARGE, "tickets_at_most": 40}).dump()["tickets"] == 40
    assert approval.form({**LARGE, "tickets_at_most": 0}).dump()["tickets"] == 1


def test_a_rejection_fails_at_once_and_names_who_rejected():
    with pytest.raises(AirflowFailException, match=r"^Nothing was dispatched: Li Na rejected it\."):
        gate().execute_complete(CONTEXT, answered(approval.REJECT))


@pytest.mark.parametrize(
    ("params", "told"),
    [({}, "without a number"), ({"tickets": 0}, "with N = 0"), ({"tickets": "all"}, "with N = 'all'")],
)
def test_the_top_of_no_number_is_not_a_dispatch_of_everything_but_asked_again(params, told):
    with pytest.raises(
        AirflowException, match=rf"Li Na chose the top N {told}\. The question is asked"
    ) as raised:
        gate().execute_complete(CONTEXT, answered(approval.TOP, **params))
    assert not isinstance(raised.value, AirflowFailException)


def test_no_answer_in_time_fails_at_once():
    late = {"error": "The response timeout has passed.", "error_type": "timeout"}
    with pytest.raises(AirflowFailException, match="nobody answered within one working day"):
        gate().execute_complete(CONTEXT, late)


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
