"""The gate before an unusually large dispatch: one question a run, and a rejection fails the run."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow.providers.standard.exceptions import HITLRejectException, HITLTimeoutError
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.orchestration import right_now


class DispatchApproval(ApprovalOperator):  # type: ignore[misc]  # Airflow is seen as Any
    """Asks for approval when the task `asks_for` found that one is needed; skips itself otherwise.

    Airflow leaves a rejection green and asks again on a retry. Here a rejection, or no answer by the evening
    of the next working day, fails the task at once with that reason; clearing the task asks again.
    """

    def __init__(self, *, asks_for: str, **kwargs: Any) -> None:
        super().__init__(fail_on_reject=True, **kwargs)
        self.asks_for = asks_for

    def execute(self, context: Context) -> Any:
        size: Mapping[str, Any] = context["ti"].xcom_pull(task_ids=self.asks_for)
        if not size["ask"]:
            raise AirflowSkipException("The dispatch is of the usual size: nobody needs to approve it.")
        now = right_now()
        answer_by = next_working_evening(now)
        self.response_timeout = answer_by - now
        self.body = f"{question(size)}\n\nAnswer by {answer_by:%Y-%m-%d %H:%M} Asia/Shanghai 请在此前答复。"
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


def question(size: Mapping[str, Any]) -> str:
    """What is asked: why, and the counts of `dispatch.plan_size`."""
    counts = f"{size['high']:,} of {size['scored']:,} subscribers are at high risk."
    return f"{size['why']} {counts} Rejected or unanswered, nothing is dispatched. 拒绝或逾期未答复则不派单。"


def next_working_evening(now: datetime) -> datetime:
    """The end of the working day after today: one whole working day to answer in."""
    from include.domain.workdays import WorkCalendar

    return WorkCalendar.from_library().due_on(now.date(), 1).at
