"""Programs and the customer's number: shown, called, searched for, each use recorded; and who calls in."""

import logging
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Request

from include.config.readers.desk import Use
from include.desk.api.answers import (
    Decided,
    Finished,
    Found,
    Kept,
    Matched,
    Number,
    Refusals,
    Task,
    Tasks,
    WaitingRefusal,
)
from include.desk.api.bodies import Decision, Id, Search, Talk, TaskResult
from include.desk.api.repeating import Key, receipt_of, receipt_of_words
from include.desk.calls import phones, talks
from include.desk.campaigns import campaign_named
from include.desk.tickets import tasks
from include.desk.tickets.transaction import Actor, AtDesk
from include.desk.viewer import PHONES, TEAM, Viewer
from include.desk.web.identity import Reader, Worker, needs
from include.desk.web.receipts import Answer, Receipt, once
from include.domain.errors import LoopError, Refused

router = APIRouter()
log = logging.getLogger(__name__)
Caller = Annotated[Viewer, needs("GET", PHONES)]
#: Leads and managers; the database asks once more which of them it is.
Lead = Annotated[Viewer, needs("GET", TEAM)]
Of = Annotated[Id, Path()]


@router.post("/tickets/{ticket_id}/reveal")
def reveal(request: Request, viewer: Caller, ticket_id: Of, key: Key = None) -> Number:
    """The whole number of a ticket in work; repeated under its key, for some minutes."""
    receipt = receipt_of(request, viewer, key, "reveal", ticket_id)
    return Number(number=_number(request, viewer, _use(request, viewer, ticket_id, "reveal", receipt)))


@router.post("/tickets/{ticket_id}/call")
def call(request: Request, viewer: Caller, ticket_id: Of, key: Key = None) -> Number:
    """The call put through by the telephone system; without one, or when it does not answer, the number to dial."""
    state, receipt = request.app.state, receipt_of(request, viewer, key, "call", ticket_id)
    used = _use(request, viewer, ticket_id, "call", receipt)
    if state.dial is not None and not used.is_first:
        return Number(number=None)
    number = _number(request, viewer, used)
    if state.dial is None:
        return Number(number=number)
    try:
        state.dial(viewer.staff_code, number, ticket_id)
    except LoopError as error:
        log.warning("Ticket %s: %s", ticket_id, error)
        _let_again(request, receipt)
        return Number(number=number)  # not taken: to be dialled by hand; the use stands
    return Number(number=None)


def _use(request: Request, viewer: Viewer, ticket_id: int, use: Use, receipt: Receipt | None) -> Answer:
    state = request.app.state
    with state.database.working() as db:
        actor = Actor(db, state.config, viewer.staff_id, ticket_id, 0, state.clock())
        return once(db, receipt, lambda: phones.use_number(actor, state.rules, use))


def _number(request: Request, viewer: Viewer, used: Answer) -> str:
    state = request.app.state
    with state.database.working() as db:
        found = phones.number_of(db, staff_id=viewer.staff_id, use_id=used.value, now=state.clock())
    if found is None:
        raise Refused(
            "The number was given under this key some minutes ago and is not given again. Ask under a new key.",
            code="given_before",
        )
    return str(found.number)


def _let_again(request: Request, receipt: Receipt | None) -> None:
    if receipt is not None:
        with request.app.state.database.working() as db:
            receipt.forget(db)


@router.post("/search")
def search(request: Request, viewer: Reader, wanted: Search) -> Found:
    """Tickets by their number, by subscriber, or by phone number for a customer on the line."""
    state = request.app.state
    with state.database.working() as db:
        rows = phones.search(db, state.rules, staff_id=viewer.staff_id, words=wanted.q, now=state.clock())
    return Found(tickets=[Matched.model_validate(dict(row)) for row in rows])


@router.post("/inbound")
def record_inbound(request: Request, viewer: Worker, talk: Talk, key: Key = None) -> Kept:
    """Keep a talk that a subscriber without a released ticket began; a refusal in it bars at once all the same."""
    state, fields = request.app.state, talk.model_dump()
    fields["campaign"] = campaign_named(state.config, talk.campaign)
    receipt = receipt_of_words(request, viewer, key, "inbound", fields)
    now = state.clock()
    with state.database.working() as db:
        kept = once(
            db,
            receipt,
            lambda: asdict(
                talks.keep_talk(
                    AtDesk(db, viewer.staff_id, now), state.config, state.rules, talks.Talk(**fields)
                )
            ),
        )
    return Kept(inbound_id=talks.Kept(**kept.value).number())


@router.get("/refusals")
def read_refusals(request: Request, viewer: Lead) -> Refusals:
    """Refusals told by callers that wait for a lead of their tickets; nobody calls meanwhile."""
    with request.app.state.database.reading(viewer.staff_id) as db:
        rows = talks.waiting_refusals(db, viewer.staff_id)
    return Refusals(refusals=[WaitingRefusal.model_validate(dict(row)) for row in rows])


@router.post("/refusals/{refusal_id}")
def decide_refusal(
    request: Request, viewer: Lead, refusal_id: Of, decided: Decision, key: Key = None
) -> Decided:
    """Confirm a refusal, which ends its tickets, or withdraw it, and they go on."""
    state = request.app.state
    receipt = receipt_of(request, viewer, key, "refusal", refusal_id, decided.is_confirmed)
    decision = talks.Decision(refusal_id, decided.is_confirmed)
    with state.database.working() as db:
        theirs = once(
            db, receipt,
            lambda: talks.decide_refusal(db, decision, staff_id=viewer.staff_id, now=state.clock()),
        )  # fmt: skip
    return Decided(refusal_id=refusal_id, ticket_ids=theirs.value)


@router.get("/tasks")
def read_tasks(request: Request, viewer: Reader) -> Tasks:
    """What other units owe to those who called without a ticket."""
    with request.app.state.database.reading(viewer.staff_id) as db:
        rows = tasks.inbound_tasks(db)
    of_all = rows[0]["of_all"] if rows else 0
    return Tasks(tasks=[Task.model_validate(dict(row)) for row in rows], of_all=of_all)


@router.post("/tasks/{task_id}")
def finish_task(request: Request, viewer: Worker, task_id: Of, done: TaskResult, key: Key = None) -> Finished:
    """Record what the unit did."""
    state, receipt = request.app.state, receipt_of(request, viewer, key, "task", task_id, done.result)
    whole = {"staff_id": viewer.staff_id, "task_id": task_id, "result": done.result, "now": state.clock()}
    with state.database.working() as db:
        once(db, receipt, lambda: tasks.finish_inbound_task(db, **whole))
    return Finished(task_id=task_id)
