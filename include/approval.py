"""The gate before an unusually large dispatch: one question a run, and a rejection fails the run."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow.providers.standard.exceptions import HITLRejectException, HITLTimeoutError
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.orchestration import right_now, told_plainly


class DispatchApproval(ApprovalOperator):
    """Asks for approval when the task `asks_for` returned {"ask": True, "why": sentence}; skips itself otherwise.

    Airflow leaves a rejected or unanswered question green or retries it. Here both fail the task at once with
    the reason, so the run is marked failed and nothing is dispatched; clearing the task asks again.
    """

    def __init__(self, *, asks_for: str, **kwargs: Any) -> None:
        super().__init__(fail_on_reject=True, **kwargs)
        self.asks_for = asks_for

    def execute(self, context: Context) -> Any:
        size: Mapping[str, Any] = context["ti"].xcom_pull(task_ids=self.asks_for)
        if not size["ask"]:
            raise AirflowSkipException("The dispatch is of the usual size: nobody needs to approve it.")
        with told_plainly():
            answer_by = _next_working_evening(right_now())
        self.response_timeout = answer_by - right_now()
        self.body = f"{size['why']}\n\nAnswer by {answer_by:%Y-%m-%d %H:%M} (Asia/Shanghai); then it counts as rejected."
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        try:
            return super().execute_complete(context, event)
        except HITLRejectException:
            who = (event.get("responded_by_user") or {}).get("name", "somebody")
            reason = f"{who} rejected it"
        except HITLTimeoutError:
            reason = "nobody answered within one working day"
        raise AirflowFailException(f"Nothing was dispatched: {reason}. Clear this task to ask again.")


def _next_working_evening(now: datetime) -> datetime:
    from include.domain.workdays import WorkCalendar

    return WorkCalendar.from_library().due_on(now.date(), 1).at
