"""What programs send to the desk and get from it: machine values only, no words in a language."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from include.desk import contacts, plans
from include.desk.pages.fields import LONGEST
from include.domain.outcome import NEEDS

#: The largest bigint and integer of PostgreSQL.
_BIGINT, _INTEGER = 2**63 - 1, 2**31 - 1
TicketId = Annotated[int, Field(ge=1, le=_BIGINT)]
Version = Annotated[int, Field(ge=1, le=_INTEGER)]


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL character")
    return text


Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST),
    AfterValidator(_without_nul),
]


def _one_of(words: Any) -> Any:
    """Told in the schema; checked by the ticket function, whose sentence lists what there is."""
    return Field(json_schema_extra={"enum": list(words)})


class Body(BaseModel):
    """What every write may carry: the version of the ticket it was decided on, unless If-Match names it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: Version | None = None


class Contact(Body):
    """An attempt to reach the subscriber."""

    channel: Annotated[Text, _one_of(contacts.CHANNELS)]
    result: Annotated[Text, _one_of(contacts.RESULTS)]
    call_back_at: AwareDatetime | None = None
    note: Text | None = None


class Survey(Body):
    """What the subscriber needs; 'other' with a note."""

    needs: Annotated[list[Annotated[Text, _one_of(NEEDS)]], Field(min_length=1, max_length=20)]
    note: Text | None = None


class Plan(Body):
    """The offer of a strategy, by default its first that fits."""

    strategy: Text
    offer: Text | None = None
    note: Text | None = None


class Processing(Body):
    """What became of the newest plan; done with its order number."""

    result: Annotated[Text, _one_of(plans.RESULTS)]
    order_number: Text | None = None
    note: Text | None = None


class Pause(Body):
    """Until when the subscriber asked to be left alone."""

    call_back_on: date


class Close(Body):
    """How the work ended, by the campaign's catalogue, and how satisfied (0–10) the subscriber was."""

    outcome: Text
    detail: Text | None = None
    satisfaction: Annotated[int, Field(ge=0, le=10)] | None = None


class Done(BaseModel):
    """The ticket after a write."""

    ticket_id: int
    version: int


class Told(BaseModel):
    """What went wrong: a word for programs, a sentence for people, and where."""

    kind: str
    message: str
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
    state: str
    subscriber_id: str
    grade: str
    tier: str
    region_code: str | None
    value_yuan: Decimal | None
    team: str
    assignee_id: int | None
    due_at: datetime | None = None
    is_provisional: bool | None = None
    urgency: str | None = None
    left_minutes: int | None = None
    outcome: str | None = None
    closed_at: datetime | None = None


class Queue(BaseModel):
    """One page of a view; `next` is the `after` of the following one, null on the last."""

    tickets: list[Listed]
    next: str | None


class Clock(Row):
    """A deadline of a ticket, in the round since it was released or reopened."""

    clock: str
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
    grade: str
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
    plans: list[Planned]
    events: list[Happened]
