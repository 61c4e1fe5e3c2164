"""What programs send to the desk: machine values only, no words in a language."""

from datetime import date
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from include.desk.tickets import contacts, plans
from include.desk.tickets.form_fields import LONGEST
from include.desk.tickets.reassignment import MOST

#: The largest bigint and integer of PostgreSQL.
_BIGINT, _INTEGER = 2**63 - 1, 2**31 - 1
Id = Annotated[int, Field(ge=1, le=_BIGINT)]
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


class Entry(BaseModel):
    """What is sent: nothing that nobody knows."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Body(Entry):
    """What every write may carry: the version of the ticket it was decided on, unless If-Match names it."""

    version: Version | None = None


class Contact(Body):
    """An attempt to reach the subscriber."""

    channel: Annotated[Text, _one_of(contacts.CHANNELS)]
    result: Annotated[Text, _one_of(contacts.RESULTS)]
    call_back_at: AwareDatetime | None = None
    note: Text | None = None


class Survey(Body):
    """What the subscriber needs, by the campaign's survey; 'other' with a note."""

    needs: Annotated[list[Text], Field(min_length=1, max_length=20)]
    note: Text | None = None


class Check(Body):
    """What of the campaign's checklist is done."""

    items: Annotated[list[Text], Field(min_length=1, max_length=100)]


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


class Reason(Body):
    """Why it is done, in words."""

    reason: Text


class Said(Body):
    """What the customer said."""

    words: Text


class Task(Body):
    """A problem charged to another unit."""

    unit: Text
    words: Text


class TaskResult(Body):
    """What the unit did about a task of a talk."""

    result: Text


class Finished(Body):
    """What the unit did about a task of the ticket."""

    task_id: Id
    result: Text


class Reassign(Body):
    """Who takes the ticket."""

    to_staff_id: Id


class Merge(Body):
    """The ticket that stays, as last seen, and why the two are one customer's."""

    into: Id
    into_version: Version
    reason: Text
    has_changed_customer: bool = False


class Skip(Entry):
    """Why the ticket held is passed by; needed from the third one of a day on."""

    note: Text | None = None


class Wish(Entry):
    """A ticket as last seen."""

    ticket_id: Id
    version: Version


class Wishes(Entry):
    """Tickets to give to one person, each listed once."""

    to_staff_id: Id
    tickets: Annotated[list[Wish], Field(min_length=1, max_length=MOST)]


class Search(Entry):
    """A ticket (#12), a subscriber, a number, or its last 4 digits."""

    q: Annotated[Text, StringConstraints(max_length=60)]


class Talk(Entry):
    """A talk that a subscriber without a released ticket began.

    Where nobody known has the id it is kept only with `is_unknown_confirmed`.
    """

    subscriber_id: Annotated[Text, StringConstraints(max_length=60)]
    campaign: Text | None = None
    channel: Annotated[Text, _one_of(("call", "app", "visit"))]
    said: Text
    done: Text
    needs: Annotated[list[Text], Field(max_length=20)] = []
    is_refusal: bool = False
    is_unknown_confirmed: bool = False


class Decision(Entry):
    """What a lead says of a refusal: it is so, or it was a mistake."""

    is_confirmed: bool
