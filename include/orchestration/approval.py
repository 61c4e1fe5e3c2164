"""The gate before an unusually large dispatch: one question a run, whose answer says what goes out."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow.providers.standard.exceptions import HITLTimeoutError
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context, Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from include.orchestration import right_now
from include.words import in_airflow

#: What the tasks after the gate know an answer by.
CHOICES: Mapping[str, str] = {
    in_airflow(f"approval.answers.{choice}"): choice
    for choice in ("all", "top", "last_champion", "rules_only")
}
ALL, TOP, LAST, RULES = CHOICES
REJECT = in_airflow("approval.answers.reject")


class DispatchApproval(HITLOperator):  # type: ignore[misc]  # Airflow is seen as Any
    """Asks for approval of one plan of `dispatch.plan_size` when that is needed; skips itself otherwise.

    To be mapped over the plans of a run, of which the last one holds: Airflow keeps a question as it was first
    asked, whatever is cleared, so every plan gets one of its own and an answer can only be to what was shown.
    Airflow leaves a rejection green. Here a rejection, or no answer by the evening of the next working day, fails
    the task at once with that reason; an answer nobody can go by is refused and the question asked again.
    Nothing is ever approved by itself. The result is `choice`, `most` tickets, `by` whom, and the `fingerprint`.
    """

    def __init__(self, *, plan: Mapping[str, Any] | None, **kwargs: Any) -> None:
        super().__init__(options=[*CHOICES, REJECT], **kwargs)
        self.plan = plan

    def execute(self, context: Context) -> Any:
        if self.plan is None:
            self.log.info("The dispatch was planned anew: the question of the last plan holds.")
            return None
        if not self.plan["ask"]:
            raise AirflowSkipException("The dispatch is of the usual size: nobody needs to approve it.")
        now, answer_by = right_now(), _answer_by(self.plan)
        if now >= answer_by:
            raise _nothing(f"the plan was to be answered by {answer_by:%Y-%m-%d %H:%M}")
        self.response_timeout = answer_by - now
        self.options = offered(self.plan)
        self.params = form(self.plan)
        until = in_airflow("approval.answer_by", at=f"{answer_by:%Y-%m-%d %H:%M}")
        self.body = f"{question(self.plan)}\n\n{until}"
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        given = event.get("params_input") or {}
        try:
            answered = super().execute_complete(context, {**event, "params_input": {}})
        except HITLTimeoutError:
            raise _nothing("nobody answered within one working day") from None
        who = (event.get("responded_by_user") or {}).get("name", "somebody")
        (option,) = answered["chosen_options"]
        if self.plan is None or given.get("plan", self.plan["fingerprint"]) != self.plan["fingerprint"]:
            raise _asked_again(f"{who} answered an earlier plan")
        if option == REJECT:
            raise _nothing(f"{who} rejected it")
        most = self.plan["tickets_at_most"]  # what the person saw; never more
        if option == TOP:
            most = min(most, _number(given, who))
        return {"choice": CHOICES[option], "most": most, "by": who, "fingerprint": self.plan["fingerprint"]}


def answer_to(plans: Sequence[Any], ti: Any) -> Any:
    """The result of the question about the last of the plans; None when nobody was asked, or not yet."""
    return ti.xcom_pull(task_ids="dispatch.approve", map_indexes=len(plans) - 1)


def form(plan: Mapping[str, Any]) -> ParamsDict:
    """The form below the question: N, without which or beyond the plan it cannot be sent, and the plan, not shown."""
    most = max(plan["tickets_at_most"], 1)
    number = Param(
        min(plan["tickets_unasked"], most),
        type="integer",
        minimum=1,
        maximum=most,
        title=in_airflow("approval.number"),
        description=in_airflow("approval.number_for"),
    )
    return ParamsDict({"tickets": number, "plan": Param(plan["fingerprint"], const=plan["fingerprint"])})


def _number(given: Mapping[str, Any], who: str) -> int:
    """N of "Top N"; the form asks for it, a program may leave it out."""
    number = given.get("tickets")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        as_given = "without a number" if number is None else f"with N = {number!r}"
        raise _asked_again(f"{who} chose the top N {as_given}")
    return number


def _answer_by(plan: Mapping[str, Any]) -> datetime:
    return next_working_evening(datetime.fromisoformat(plan["planned_at"]))


def _nothing(reason: str) -> AirflowFailException:
    return AirflowFailException(
        f"Nothing was dispatched: {reason}. Clear dispatch.plan_size and dispatch.approve to plan and ask anew."
    )


def _asked_again(reason: str) -> AirflowException:
    """A failure that is tried again: the retry asks anew."""
    return AirflowException(f"Nothing was dispatched: {reason}. The question is asked again.")


def offered(size: Mapping[str, Any]) -> list[str]:
    """The answers that make sense: scoring again only before the first dispatch, and with a model that is there."""
    may = {LAST: size.get("may_rescore") and size.get("last_champion"), RULES: size.get("may_rescore")}
    return [option for option in (*CHOICES, REJECT) if may.get(option, True)]


def question(size: Mapping[str, Any]) -> str:
    """What is asked, as markdown: why, the counts and splits of `dispatch.plan_size`, what each answer does."""
    lines = [
        in_airflow(
            "approval.counts",
            why=size["why"],
            high=size["high"],
            scored=size["scored"],
            tickets=size["tickets_at_most"],
        ),
        "",
        *_meanings(size),
        "",
        in_airflow("approval.unanswered", plan=size["fingerprint"]),
    ]
    for name, rows in size.get("figures", {}).items():
        lines += ["", *_table(in_airflow(f"approval.slices.{name}"), rows, size.get("before"))]
    return "\n".join(lines)


def _meanings(size: Mapping[str, Any]) -> Iterator[str]:
    tickets, models = size["tickets_at_most"], ", ".join(size.get("last_champion", []))
    for option in offered(size):
        meaning = f"approval.meanings.{CHOICES.get(option, 'reject')}"
        yield f"- **{option}**: {in_airflow(meaning, tickets=tickets, models=models)}"


def _table(title: str, rows: Sequence[Sequence[Any]], before: str | None) -> Iterator[str]:
    """A markdown table; against nothing where there was no cycle before."""
    this, change = in_airflow("approval.this_cycle"), in_airflow("approval.change")
    yield f"| {title} | {this} | {before or in_airflow('approval.before')} | {change} |"
    yield "|---|---:|---:|---:|"
    for word, now, then in rows:
        change = f"{now - then:+,}" if before else "–"
        yield f"| {str(word).replace('|', '/')} | {now:,} | {f'{then:,}' if before else '–'} | {change} |"


def next_working_evening(now: datetime) -> datetime:
    """The end of the working day after today: one whole working day to answer in."""
    from include.domain.workdays import WorkCalendar

    return WorkCalendar.from_library().due_on(now.date(), 1).at
