"""What programs send to the desk: machine values only, no words in a language."""

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    create_model,
)

from include.desk.tickets.actions import Input, Kind, Value
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


#: The JSON of each kind of value.
_JSON: Mapping[Kind, Any] = {
    Kind.TEXT: Text,
    Kind.TEXTS: list[Text],
    Kind.NUMBER: int,
    Kind.ID: Id,
    Kind.VERSION: Version,
    Kind.DAY: date,
    Kind.INSTANT: AwareDatetime,
    Kind.FLAG: bool,
}


@cache
def body_of(takes: Input | None) -> type[Body]:
    """What an action takes as JSON: the version, and its own values as the registry of actions describes them."""
    if takes is None:
        return Body
    fields: dict[str, Any] = {value.name: _field_of(value) for value in takes.values}
    made: type[Body] = create_model(
        takes.name, __base__=Body, __module__=__name__, __doc__=takes.description, **fields
    )
    return made


def _field_of(value: Value) -> tuple[Any, Any]:
    """The type of a value and what it is when left out."""
    kind = _JSON[value.kind]
    if value.words:
        kind = Annotated[kind, _one_of(value.words)]
    if value.kind is Kind.TEXTS:
        kind = Annotated[kind, Field(min_length=1, max_length=value.most)]
    if value.kind is Kind.NUMBER:
        kind = Annotated[kind, Field(ge=0, le=value.most)]
    if value.kind is Kind.FLAG:
        return kind, False
    return (kind, ...) if value.is_needed else (kind | None, None)


class TaskResult(Body):
    """What the unit did about a task of a talk."""

    result: Text


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
