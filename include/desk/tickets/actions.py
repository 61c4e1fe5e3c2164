"""What people do to a ticket, once each: the function, the values it takes, and the right it needs.

The pages' forms and the JSON API are made from these entries; states and roles stand in include/domain/ticket.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import Enum, auto
from typing import Any

from include.desk.calls.phones import ticket_in
from include.desk.tickets import checks, contacts, life_cycle, plans, tasks
from include.desk.tickets.form_fields import Fields
from include.desk.tickets.transaction import Actor, looking
from include.desk.viewer import DESK, TEAM, Right
from include.domain import ticket
from include.domain.errors import BadInput
from include.domain.text.canonical import canonical_id

Read = Callable[[Actor, Fields], Any]


class Kind(Enum):
    """What a value is; a form gives it as text, a program as JSON of this kind."""

    TEXT = auto()
    TEXTS = auto()
    NUMBER = auto()
    ID = auto()
    VERSION = auto()
    DAY = auto()
    INSTANT = auto()
    FLAG = auto()


@dataclass(frozen=True)
class Value:
    """One value an action takes, by the name its function has for it.

    `words` are those there are to choose from, `most` the length of a list or the highest number. `typed` reads it
    from a form where it is not simply the field of this name.
    """

    name: str
    kind: Kind = Kind.TEXT
    is_needed: bool = True
    words: tuple[str, ...] = ()
    most: int = 0
    typed: Read | None = None

    def read(self, actor: Actor, fields: Fields) -> Any:
        """The value as a form gives it; BadInput when it is missing or cannot be read."""
        if self.typed is not None:
            return self.typed(actor, fields)
        if self.kind is Kind.TEXT and self.is_needed:
            return fields.needed(self.name)
        return _READ[self.kind](fields, self.name)


#: How a form gives a value that may be left out.
_READ: Mapping[Kind, Callable[[Fields, str], Any]] = {
    Kind.TEXT: Fields.text,
    Kind.TEXTS: Fields.many,
    Kind.NUMBER: Fields.number,
    Kind.DAY: Fields.day,
    Kind.INSTANT: Fields.instant,
    Kind.FLAG: lambda fields, name: fields.text(name) is not None,
}


@dataclass(frozen=True)
class Input:
    """The values an action takes together, under the name and description the API's document has for them."""

    name: str
    description: str
    values: tuple[Value, ...]


LEADS: Right = ("PUT", TEAM)


@dataclass(frozen=True)
class TicketAction:
    """One action: its name in the life cycle, what it does, what it takes, and the right it needs.

    The name is also its address below the ticket, and its key among the words of the screens (`actions`).
    """

    name: str
    act: Callable[..., int]
    description: str
    takes: Input | None = None
    right: Right = ("PUT", DESK)

    @property
    def transition(self) -> ticket.Action:
        """From which states to which, and by whom."""
        return ticket.ACTIONS[self.name]

    def submit(self, actor: Actor, fields: Fields) -> int:
        """Act on what was typed into its form; the ticket's new version. BadInput for what cannot be read."""
        values = self.takes.values if self.takes else ()
        return self.act(actor, **{value.name: value.read(actor, fields) for value in values})


def _first_half(field: str) -> Read:
    """What stands before the slash of a choice."""
    return lambda _, fields: fields.needed(field).partition("/")[0]


def _second_half(field: str) -> Read:
    """What stands after the slash of a choice; None without any."""
    return lambda _, fields: fields.needed(field).partition("/")[2] or None


def _promised_day(_: Actor, fields: Fields) -> date:
    promised = fields.day("call_back_on")
    if promised is None:
        raise BadInput("A pause needs the promised call-back date. Choose a day.", code="pause_without_day")
    return promised


def _heir(_: Actor, fields: Fields) -> int:
    heir = fields.number("to_staff_id")
    if heir is None:
        raise BadInput("Nobody was chosen. Choose who takes the ticket.", code="nobody_chosen")
    return heir


def _other_ticket(_: Actor, fields: Fields) -> int:
    named = canonical_id(fields.needed("into")).partition("/")[0]
    into = ticket_in(named)
    if into is None:
        raise BadInput(
            "'{typed}' is not a ticket number. Choose the customer's other ticket.",
            code="no_ticket_number", typed=named,
        )  # fmt: skip
    return into


def _other_version(actor: Actor, fields: Fields) -> int:
    """The version that stands after the slash; without any, the one that stands now."""
    version = canonical_id(fields.needed("into")).partition("/")[2]
    seen = int(version) if version.isascii() and version.isdecimal() and len(version) < 9 else 0
    with looking(replace(actor, ticket_id=_other_ticket(actor, fields))) as kept:
        return seen or int(kept.ticket.version)


def _merge(actor: Actor, **values: Any) -> int:
    return life_cycle.merge(actor, **values)[0]


_NOTE = Value("note", is_needed=False)
_CONTACT = Input(
    "Contact", "An attempt to reach the subscriber.",
    (
        Value("channel", words=contacts.CHANNELS), Value("result", words=contacts.RESULTS),
        Value("call_back_at", Kind.INSTANT, is_needed=False), _NOTE,
    ),
)  # fmt: skip
_SURVEY = Input(
    "Survey", "What the subscriber needs, by the campaign's survey; 'other' with a note.",
    (Value("needs", Kind.TEXTS, most=20), _NOTE),
)  # fmt: skip
_CHECK = Input("Check", "What of the campaign's checklist is done.", (Value("items", Kind.TEXTS, most=100),))
_PLAN = Input(
    "Plan", "The offer of a strategy, by default its first that fits.",
    (
        Value("strategy", typed=_first_half("offer")),
        Value("offer", is_needed=False, typed=_second_half("offer")), _NOTE,
    ),
)  # fmt: skip
_PROCESSING = Input(
    "Processing", "What became of the newest plan; done with its order number.",
    (Value("result", words=plans.RESULTS), Value("order_number", is_needed=False), _NOTE),
)  # fmt: skip
_PAUSE = Input(
    "Pause", "Until when the subscriber asked to be left alone.",
    (Value("call_back_on", Kind.DAY, typed=_promised_day),),
)  # fmt: skip
_CLOSE = Input(
    "Close", "How the work ended, by the campaign's catalogue, and how satisfied (0–10) the subscriber was.",
    (
        Value("outcome", typed=_first_half("outcome")),
        Value("detail", is_needed=False, typed=_second_half("outcome")),
        Value("satisfaction", Kind.NUMBER, is_needed=False, most=10),
    ),
)  # fmt: skip
_REASON = Input("Reason", "Why it is done, in words.", (Value("reason"),))
_SAID = Input("Said", "What the customer said.", (Value("words"),))
_TASK = Input("Task", "A problem charged to another unit.", (Value("unit"), Value("words")))
_FINISHED = Input(
    "Finished", "What the unit did about a task of the ticket.",
    (
        Value("task_id", Kind.ID, typed=lambda _, fields: fields.number("task_id") or 0),
        Value("result"),
    ),
)  # fmt: skip
_REASSIGN = Input("Reassign", "Who takes the ticket.", (Value("to_staff_id", Kind.ID, typed=_heir),))
_MERGE = Input(
    "Merge", "The ticket that stays, as last seen, and why the two are one customer's.",
    (
        Value("into", Kind.ID, typed=_other_ticket), Value("into_version", Kind.VERSION, typed=_other_version),
        Value("reason"), Value("has_changed_customer", Kind.FLAG),
    ),
)  # fmt: skip

TICKET_ACTIONS = (
    TicketAction("claim", life_cycle.claim, "Take an unassigned ticket of the own team."),
    TicketAction("contact", contacts.record_contact, "Record an attempt to reach the subscriber.", _CONTACT),
    TicketAction("survey", contacts.record_survey, "Record what the subscriber needs.", _SURVEY),
    TicketAction("check", checks.record_checks, "Tick items of the campaign's checklist.", _CHECK),
    TicketAction("plan", plans.record_plan, "Record an offer; its cost is reserved.", _PLAN),
    TicketAction(
        "processing", plans.record_processing, "Record what became of the newest plan.", _PROCESSING
    ),
    TicketAction("pause", life_cycle.pause, "Rest the clocks until a promised call-back.", _PAUSE),
    TicketAction("resume", life_cycle.resume, "End a pause."),
    TicketAction("close", life_cycle.close, "Close with an outcome.", _CLOSE),
    TicketAction(
        "hand_back", life_cycle.hand_back, "Return the ticket to the team's queue; its clocks go on.", _REASON
    ),
    TicketAction(
        "do_not_call", contacts.do_not_call, "The customer wants no calls: ends all their tickets.", _SAID
    ),
    TicketAction("open_task", tasks.open_task, "Charge a problem to another unit.", _TASK),
    TicketAction("finish_task", tasks.finish_task, "Record what the unit did.", _FINISHED),
    TicketAction(
        "reassign", life_cycle.reassign, "Give the ticket to somebody else of its team.", _REASSIGN, LEADS
    ),
    TicketAction("merge", _merge, "Fold the ticket into the customer's other one.", _MERGE, LEADS),
    TicketAction("cancel", life_cycle.cancel, "Withdraw the ticket; its clocks are void.", _REASON, LEADS),
    TicketAction("reopen", life_cycle.reopen, "Open a closed ticket again with new clocks.", _REASON, LEADS),
)
