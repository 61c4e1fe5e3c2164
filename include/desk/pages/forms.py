"""The forms of a ticket: every write a person can make, each a ticket function and the fields it takes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter, Request, Response

from include.desk.calls.phones import ticket_in
from include.desk.pages.fields import Typed
from include.desk.pages.sending import lead_to, receipt_of
from include.desk.pages.ticket import Refusal, show
from include.desk.tickets import checks, contacts, plans, tasks, work
from include.desk.tickets.acting import Actor, looking
from include.desk.tickets.form_fields import Fields
from include.desk.viewer import DESK, TEAM, Method, Viewer
from include.desk.web.identity import needs
from include.desk.web.receipts import once
from include.desk.web.rendering import taken
from include.domain.errors import BadInput, Refused
from include.domain.text.canonical import canonical_id

router = APIRouter()
Act = Callable[[Actor, Fields], Any]


@dataclass(frozen=True)
class Form:
    """One form: its address below the ticket, what it does, and the right it needs."""

    name: str
    act: Act
    right: tuple[Method, str] = ("PUT", DESK)


def _contact(actor: Actor, typed: Fields) -> None:
    contacts.record_contact(
        actor, channel=typed.needed("channel"), result=typed.needed("result"),
        call_back_at=typed.instant("call_back_at"), note=typed.text("note"),
    )  # fmt: skip


def _survey(actor: Actor, typed: Fields) -> None:
    contacts.record_survey(actor, needs=typed.many("needs"), note=typed.text("note"))


def _plan(actor: Actor, typed: Fields) -> None:
    strategy, _, offer = typed.needed("offer").partition("/")
    plans.record_plan(actor, strategy=strategy, offer=offer or None, note=typed.text("note"))


def _processing(actor: Actor, typed: Fields) -> None:
    plans.record_processing(
        actor, result=typed.needed("result"), order_number=typed.text("order_number"), note=typed.text("note")
    )


def _pause(actor: Actor, typed: Fields) -> None:
    promised = typed.day("call_back_on")
    if promised is None:
        raise BadInput("A pause needs the promised call-back date. Choose a day.", code="pause_without_day")
    work.pause(actor, call_back_on=promised)


def _close(actor: Actor, typed: Fields) -> None:
    outcome, _, detail = typed.needed("outcome").partition("/")
    work.close(actor, outcome=outcome, detail=detail or None, satisfaction=typed.number("satisfaction"))


def _reassign(actor: Actor, typed: Fields) -> None:
    heir = typed.number("to_staff_id")
    if heir is None:
        raise BadInput("Nobody was chosen. Choose who takes the ticket.", code="nobody_chosen")
    work.reassign(actor, heir)


def _merge(actor: Actor, typed: Fields) -> None:
    named, _, version = canonical_id(typed.needed("into")).partition("/")
    into = ticket_in(named)
    if into is None:
        raise BadInput(
            "'{typed}' is not a ticket number. Choose the customer's other ticket.",
            code="no_ticket_number", typed=named,
        )  # fmt: skip
    seen = int(version) if version.isascii() and version.isdecimal() and len(version) < 9 else 0
    with looking(replace(actor, ticket_id=into)) as kept:
        seen = seen or kept.ticket.version
    work.merge(
        actor, into=into, into_version=seen, reason=typed.needed("reason"),
        has_changed_customer=typed.text("has_changed_customer") is not None,
    )  # fmt: skip


def _finish_task(actor: Actor, typed: Fields) -> None:
    tasks.finish_task(actor, task_id=typed.number("task_id") or 0, result=typed.needed("result"))


FORMS = (
    Form("claim", lambda actor, _: work.claim(actor)),
    Form("contact", _contact),
    Form("survey", _survey),
    Form("check", lambda actor, typed: checks.record_checks(actor, items=typed.many("items"))),
    Form("plan", _plan),
    Form("processing", _processing),
    Form("pause", _pause),
    Form("resume", lambda actor, _: work.resume(actor)),
    Form("close", _close),
    Form("hand_back", lambda actor, typed: work.hand_back(actor, reason=typed.needed("reason"))),
    Form("do_not_call", lambda actor, typed: contacts.do_not_call(actor, words=typed.needed("words"))),
    Form(
        "open_task",
        lambda actor, typed: tasks.open_task(actor, unit=typed.needed("unit"), words=typed.needed("words")),
    ),
    Form("finish_task", _finish_task),
    Form("reassign", _reassign, ("PUT", TEAM)),
    Form("merge", _merge, ("PUT", TEAM)),
    Form("cancel", lambda actor, typed: work.cancel(actor, reason=typed.needed("reason")), ("PUT", TEAM)),
    Form("reopen", lambda actor, typed: work.reopen(actor, reason=typed.needed("reason")), ("PUT", TEAM)),
)


def _route(form: Form) -> None:
    viewer_of = needs(*form.right)

    def submit(request: Request, ticket_id: int, typed: Typed, viewer: Viewer = viewer_of) -> Response:
        return _submitted(request, viewer, ticket_id, form, typed)

    router.post(f"/tickets/{{ticket_id}}/{form.name}", name=form.name)(submit)


def _submitted(request: Request, viewer: Viewer, ticket_id: int, form: Form, typed: Fields) -> Response:
    """Act, then show the ticket anew; refused, show it with the sentence and everything that was typed."""
    state = request.app.state
    version = typed.number("version")
    if version is None:
        raise BadInput(
            "The form lacks the version it was filled in for. Open the ticket again.",
            code="form_without_version",
        )
    try:
        with state.database.working() as db:
            actor = Actor(db, state.config, viewer.staff_id, ticket_id, version, state.clock())
            once(db, receipt_of(request, viewer, typed), lambda: form.act(actor, typed))
    except (Refused, BadInput) as error:
        return show(request, viewer, ticket_id, Refusal(error, form.name, typed.typed, version))
    return taken(request, lead_to(request, f"/tickets/{ticket_id}"), f"{ticket_id}-{form.name}")


for _form in FORMS:
    _route(_form)
