"""What programs get from the desk: machine values, and sentences where something was refused."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict


class Number(BaseModel):
    """The number of a ticket, whose use was recorded; null when the telephone system has taken the call."""

    number: str | None


class Held(BaseModel):
    """The ticket held for the person as their next one; null when none is left to work."""

    ticket_id: int | None


class Kept(BaseModel):
    """The talk that was kept."""

    inbound_id: int


class WaitingRefusal(BaseModel):
    """A refusal told by a caller that waits for a lead of these tickets."""

    model_config = ConfigDict(extra="ignore")

    refusal_id: int
    refused_at: datetime
    heard_by: str
    words: str
    ticket_ids: list[int]


class Refusals(BaseModel):
    """The refusals that wait for the person, the oldest first, sixty at most."""

    refusals: list[WaitingRefusal]


class Decided(BaseModel):
    """The refusal that is decided, and the tickets it was about."""

    refusal_id: int
    ticket_ids: list[int]


class Task(BaseModel):
    """A problem that a talk without a ticket charged to another unit."""

    model_config = ConfigDict(extra="ignore")

    task_id: int
    unit: str
    words: str
    opened_at: datetime
    due_at: datetime
    is_provisional: bool
    campaign: str
    subscriber_id: str


class Tasks(BaseModel):
    """The unfinished tasks of talks the person may see, the most urgent first; of_all counts those not listed, too."""

    tasks: list[Task]
    of_all: int


class Finished(BaseModel):
    """The task that is done."""

    task_id: int


class Done(BaseModel):
    """The ticket after a write."""

    ticket_id: int
    version: int


class Told(BaseModel):
    """What went wrong: words for programs, a sentence for people, the values it is about, and where.

    `kind` goes with the status; `code` names the sentence. `message` is in the language of Accept-Language, with
    the values in words; `values` are those of the API.
    """

    kind: str
    code: str
    message: str
    values: dict[str, Any]
    details: list[dict[str, str]]


class Problem(BaseModel):
    """The one format of every error."""

    error: Told


class Row(BaseModel):
    """A record read from the database; columns nobody names here stay inside."""

    model_config = ConfigDict(extra="ignore")


class Listed(Row):
    """A ticket of the queue; `left_minutes` is working time, negative when overdue, null without a running clock."""

    ticket_id: int
    version: int
    campaign: str
    state: str
    subscriber_id: str
    grade: str | None
    tier: str
    region_code: str | None
    value_yuan: Decimal | None
    segments: list[str] | None = None
    team: str
    assignee_id: int | None
    due_at: datetime | None = None
    is_provisional: bool | None = None
    urgency: str | None = None
    left_minutes: int | None = None
    outcome: str | None = None
    closed_at: datetime | None = None


class Given(BaseModel):
    """What became of one ticket of a list: its version now, and why not when it was refused."""

    ticket_id: int
    version: int | None
    why_not: Told | None


class Results(BaseModel):
    """What became of each ticket of a list."""

    results: list[Given]


class Matched(Row):
    """A ticket that was searched for."""

    ticket_id: int
    campaign: str
    cycle: str
    subscriber_id: str
    state: str
    grade: str | None
    team: str
    assignee: str | None
    closed_at: datetime | None


class Found(BaseModel):
    """What a search found, newest first; nothing of others."""

    tickets: list[Matched]


class Queue(BaseModel):
    """One page of a view; `next` is the `after` of the following one, null on the last.

    `campaigns`: how many open tickets of the view each campaign has, the filters aside; null where that is not counted.
    """

    tickets: list[Listed]
    campaigns: dict[str, int | None]
    next: str | None


class Clock(Row):
    """A deadline of a ticket, in the round since it was released or reopened."""

    clock: str
    stops: str
    round: int
    started_at: datetime
    warn_at: datetime
    due_at: datetime
    is_provisional: bool
    met_at: datetime | None
    voided_at: datetime | None
    breached_at: datetime | None


class Attempt(Row):
    """An attempt to reach the subscriber."""

    attempted_at: datetime
    channel: str
    result: str
    call_back_at: datetime | None
    note: str | None


class Surveyed(Row):
    """What the subscriber said is missing or wrong."""

    recorded_at: datetime
    needs: list[str]
    note: str | None


class Checked(Row):
    """An item of the checklist that is ticked."""

    item: str
    checked_at: datetime


class Planned(Row):
    """An offer made and what became of it."""

    plan_id: int
    recorded_at: datetime
    strategy: str
    cost_yuan: Decimal | None
    valid_until: date | None
    note: str | None
    result: str | None
    order_number: str | None
    processed_at: datetime | None


class Happened(Row):
    """One step of a ticket's history."""

    version: int
    kind: str
    from_state: str | None
    to_state: str | None
    actor: str
    occurred_at: datetime


class Ticket(Row):
    """A ticket with its work; histories are newest first."""

    ticket_id: int
    version: int
    state: str
    campaign: str
    cycle: str
    subscriber_id: str
    team: str
    branch_code: str | None
    region_code: str | None
    grade: str | None
    tier: str
    rank: int
    value_yuan: Decimal | None
    assignee_id: int | None
    released_at: datetime | None
    paused_until: date | None
    outcome: str | None
    outcome_detail: str | None
    satisfaction: int | None
    closed_at: datetime | None
    merged_into: int | None
    clocks: list[Clock]
    attempts: list[Attempt]
    surveys: list[Surveyed]
    checks: list[Checked]
    plans: list[Planned]
    events: list[Happened]
