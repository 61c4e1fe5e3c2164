"""What the page of a campaign's DAG says of it, and what its form asks for."""

from airflow.sdk import Param

from include.words import in_airflow

_RULES = """
- Safe to clear, retry, backfill and run twice at any place: the same key gives the same tickets, once.
- A cycle whose time is over (the month after, or the days its file says) is graded and evaluated but **never
  dispatched**, unless `dispatch_late` is set.
- An unusually large dispatch waits for a person at `dispatch.approve`, who sees it against the cycle before and
  may let all of it go out, the best ranked alone, or have the cycle scored again by the model before or by the
  rules. Rejected, or unanswered for one working day: the run fails with that reason and nothing is dispatched.
  Clear `dispatch.plan_size` and `dispatch.approve` to plan and ask anew: every plan has a question of its own.
- A scheduled run waits at `collection.required` for the feeds it cannot do without, until the hour of
  `sources.yaml`; then it fails once, naming feeds, regions and counts.
- A task that fails says in one sentence what to do. Follow it, then clear the task.
- A run works with the configuration it was opened with, to its end. After editing it clear `open_cycle` with
  everything downstream. A campaign that is not `enabled` skips everything; without a model it skips `prediction`.
- What became of the people it chose is on the [retention board](/desk/board?campaign=NAME), which links back to
  the runs.
"""
MONTHLY_DOC = f"""### The campaign NAME, once a month

collection → features → (training) → prediction → grading → dispatch → outreach → follow_up, for one month
**M**: the partition key of a scheduled run (06:00 on the 5th of M+1, Asia/Shanghai) or the Param `month` of a
manual one. `drift` is measured beside grading and holds nothing up; `dispatch` begins with `limits`, which ends
or freezes the tickets of those who left, refuse or port out.
{_RULES}"""
DAILY_DOC = f"""### The campaign NAME, every day

collection → prediction → grading → dispatch → follow_up for one **day**: the partition key of a scheduled run (that
day at 06:00, Asia/Shanghai) or the Param `day` of a manual one. `features` are those of the newest month, made only
where no run has made them yet; `dispatch` begins with `limits`, which ends or freezes the tickets of those who left,
refuse or port out.
{_RULES}"""


# Every DAG gets Params of its own: a run keeps what it was given in them.


def monthly_form() -> dict[str, Param]:
    """What is asked of whoever triggers a monthly campaign."""
    month = _key(in_airflow("form.month"), "YYYY-MM", r"^[12]\d{3}-(0[1-9]|1[0-2])$")
    train = _choice(in_airflow("form.train"), "Train a model on the months labelled at `as_of` first.")
    return {"month": month, **_choices(), "train": train}


def daily_form() -> dict[str, Param]:
    """What is asked of whoever triggers a daily campaign."""
    day = _key(in_airflow("form.day"), "YYYY-MM-DD", r"^[12]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")
    return {"day": day, **_choices()}


def _choices() -> dict[str, Param]:
    as_of = Param(
        None,
        type=["null", "string"],
        format="date-time",
        title=in_airflow("form.as_of"),
        description="Facts from then on are not known yet. Default: 06:00 of the day, or of the 5th after the month.",
    )
    late = _choice(
        in_airflow("form.dispatch_late"), "Dispatch although its time is over. People will get cold tickets."
    )
    more = "Add people newly chosen to a cycle already dispatched, within the capacity that is left."
    return {"as_of": as_of, "dispatch_late": late, "top_up": _choice(in_airflow("form.top_up"), more)}


def _key(title: str, written: str, pattern: str) -> Param:
    described = f"{written}. Only for a manual run; a scheduled one has its partition key."
    return Param(None, type=["null", "string"], pattern=pattern, title=title, description=described)


def _choice(title: str, description: str) -> Param:
    return Param(False, type="boolean", title=title, description=description)
