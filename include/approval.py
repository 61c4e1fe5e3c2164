"""The gate before an unusually large dispatch: one question a run, whose answer says what goes out."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow.providers.standard.exceptions import HITLTimeoutError
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context, Param
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.orchestration import right_now

ALL, TOP, LAST, RULES, REJECT = (
    "Approve all 全部批准",
    "Top N 只派前 N 单",
    "Last champion 用上期模型重评",
    "Rules only 只用规则重评",
    "Reject 拒绝",
)
#: What the tasks after the gate know an answer by.
CHOICES: Mapping[str, str] = {ALL: "all", TOP: "top", LAST: "last_champion", RULES: "rules_only"}

#: The field of the form; to be given as `params`, which Airflow merges with those of the DAG.
FORM = {
    "tickets": Param(
        0,
        type="integer",
        minimum=0,
        title="N 工单数",
        description="For Top N alone. 仅用于“只派前 N 单”。",
        source="task",
    )
}

_SLICES = {
    "region": "Region 区域",
    "cluster": "Cluster 客群",
    "rule": "Rule 规则",
    "reason": "First reason, % 首要原因，%",
}


class DispatchApproval(HITLOperator):  # type: ignore[misc]  # Airflow is seen as Any
    """Asks for approval when the task `asks_for` found that one is needed; skips itself otherwise.

    Airflow leaves a rejection green and asks again on a retry. Here a rejection, no answer by the evening of
    the next working day, or "Top N" without a number fails the task at once with that reason; clearing the
    task asks again. Nothing is ever approved by itself. The result is `choice`, `most` tickets, and `by` whom.
    """

    def __init__(self, *, asks_for: str, **kwargs: Any) -> None:
        super().__init__(options=[*CHOICES, REJECT], **kwargs)
        self.asks_for = asks_for

    def execute(self, context: Context) -> Any:
        size: Mapping[str, Any] = context["ti"].xcom_pull(task_ids=self.asks_for)
        if not size["ask"]:
            raise AirflowSkipException("The dispatch is of the usual size: nobody needs to approve it.")
        now = right_now()
        answer_by = next_working_evening(now)
        self.response_timeout = answer_by - now
        self.options = offered(size)
        self.body = f"{question(size)}\n\nAnswer by {answer_by:%Y-%m-%d %H:%M} Asia/Shanghai 请在此前答复。"
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        try:
            answered = super().execute_complete(context, event)
        except HITLTimeoutError:
            raise _nothing("nobody answered within one working day") from None
        who = (event.get("responded_by_user") or {}).get("name", "somebody")
        (option,) = answered["chosen_options"]
        if option == REJECT:
            raise _nothing(f"{who} rejected it")
        size: Mapping[str, Any] = context["ti"].xcom_pull(task_ids=self.asks_for)
        most = size["tickets_at_most"]  # what the person saw; never more
        if option == TOP:
            number = (answered["params_input"] or {}).get("tickets") or 0
            if number < 1:
                raise _nothing(f"{who} chose the top N without a number")
            most = min(most, number)
        return {"choice": CHOICES[option], "most": most, "by": who}


def _nothing(reason: str) -> AirflowFailException:
    return AirflowFailException(f"Nothing was dispatched: {reason}. Clear this task to ask again.")


def offered(size: Mapping[str, Any]) -> list[str]:
    """The answers that make sense: scoring again only before the first dispatch, and with a model that is there."""
    may = {LAST: size.get("may_rescore") and size.get("last_champion"), RULES: size.get("may_rescore")}
    return [option for option in (*CHOICES, REJECT) if may.get(option, True)]


def question(size: Mapping[str, Any]) -> str:
    """What is asked, as markdown: why, the counts and splits of `dispatch.plan_size`, what each answer does."""
    high, scored, tickets = size["high"], size["scored"], size["tickets_at_most"]
    counts = f"{high:,} of {scored:,} subscribers are at high risk."
    lines = [
        f"{size['why']} {counts} 高风险 {high:,} / {scored:,} 人，至多派单 {tickets:,}。",
        "",
        *_meanings(size),
        "",
        "Rejected or unanswered, nothing is dispatched. 拒绝或逾期未答复则不派单。",
    ]
    for name, rows in size.get("figures", {}).items():
        lines += ["", *_table(_SLICES[name], rows, size.get("before"))]
    return "\n".join(lines)


def _meanings(size: Mapping[str, Any]) -> Iterator[str]:
    told = {
        ALL: f"at most {size['tickets_at_most']:,} tickets 至多 {size['tickets_at_most']:,} 单",
        TOP: "the best ranked N of them; give N below 按排名取前 N 单，请填 N",
        LAST: f"scored and graded again by {', '.join(size.get('last_champion', []))} 用上期模型重新评分分级",
        RULES: "graded again by the warning rules, without a model 不用模型，仅按规则重新分级",
        REJECT: "nothing goes out, the run fails 不派单，本次运行失败",
    }
    for option in offered(size):
        yield f"- **{option}**: {told[option]}"


def _table(title: str, rows: Sequence[Sequence[Any]], before: str | None) -> Iterator[str]:
    """A markdown table; against nothing where there was no cycle before."""
    yield f"| {title} | This cycle 本期 | {before or 'Before 上期'} | Change 变化 |"
    yield "|---|---:|---:|---:|"
    for word, now, then in rows:
        change = f"{now - then:+,}" if before else "–"
        yield f"| {str(word).replace('|', '/')} | {now:,} | {f'{then:,}' if before else '–'} | {change} |"


def next_working_evening(now: datetime) -> datetime:
    """The end of the working day after today: one whole working day to answer in."""
    from include.domain.workdays import WorkCalendar

    return WorkCalendar.from_library().due_on(now.date(), 1).at
