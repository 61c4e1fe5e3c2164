"""Programs and the customer's number: shown, called, searched for, each use recorded; and who calls in."""

import logging
from typing import Annotated

from fastapi import APIRouter, Path, Request

from include.config.desk import Use
from include.desk import contacts, phones, tasks
from include.desk.acting import Actor
from include.desk.api.answers import Finished, Found, Kept, Matched, Number, Task, Tasks
from include.desk.api.bodies import Id, Search, Talk, TaskResult
from include.desk.identity import PHONES, Reader, Viewer, Worker, needs
from include.desk.pages.fields import campaign_named
from include.domain.errors import LoopError

router = APIRouter()
log = logging.getLogger(__name__)
Caller = Annotated[Viewer, needs("GET", PHONES)]
Of = Annotated[Id, Path()]


@router.post("/tickets/{ticket_id}/reveal")
def reveal(request: Request, viewer: Caller, ticket_id: Of) -> Number:
    """The whole number of a ticket in work."""
    return Number(number=_number(request, viewer, ticket_id, "reveal"))


@router.post("/tickets/{ticket_id}/call")
def call(request: Request, viewer: Caller, ticket_id: Of) -> Number:
    """The call put through by the telephone system; without one, or when it does not answer, the number to dial."""
    number, dial = _number(request, viewer, ticket_id, "call"), request.app.state.dial
    if dial is None:
        return Number(number=number)
    try:
        dial(viewer.staff_code, number, ticket_id)
    except LoopError as error:
        log.warning("Ticket %s: %s", ticket_id, error)
        return Number(number=number)  # not taken: to be dialled by hand; the use stands
    return Number(number=None)


def _number(request: Request, viewer: Viewer, ticket_id: int, use: Use) -> str:
    state = request.app.state
    with state.database.working() as db:
        actor = Actor(db, state.config, viewer.staff_id, ticket_id, 0, state.clock())
        return phones.use_number(actor, state.rules, use)


@router.post("/search")
def search(request: Request, viewer: Reader, wanted: Search) -> Found:
    """Tickets by their number, by subscriber, or by phone number for a customer on the line."""
    state = request.app.state
    with state.database.working() as db:
        rows = phones.search(db, state.rules, staff_id=viewer.staff_id, words=wanted.q, now=state.clock())
    return Found(tickets=[Matched.model_validate(dict(row)) for row in rows])


@router.post("/inbound")
def record_inbound(request: Request, viewer: Worker, talk: Talk) -> Kept:
    """Keep a talk that a subscriber without a released ticket began."""
    state, fields = request.app.state, talk.model_dump()
    fields["campaign"] = campaign_named(state.config, talk.campaign)
    with state.database.working() as db:
        kept = contacts.record_inbound(
            db, state.config, staff_id=viewer.staff_id, now=state.clock(), **fields
        )
    return Kept(inbound_id=kept)


@router.get("/tasks")
def read_tasks(request: Request, viewer: Reader) -> Tasks:
    """What other units owe to those who called without a ticket."""
    with request.app.state.database.reading(viewer.staff_id) as db:
        rows = tasks.inbound_tasks(db)
    of_all = rows[0]["of_all"] if rows else 0
    return Tasks(tasks=[Task.model_validate(dict(row)) for row in rows], of_all=of_all)


@router.post("/tasks/{task_id}")
def finish_task(request: Request, viewer: Worker, task_id: Of, done: TaskResult) -> Finished:
    """Record what the unit did."""
    state = request.app.state
    with state.database.working() as db:
        tasks.finish_inbound_task(
            db, staff_id=viewer.staff_id, task_id=task_id, result=done.result, now=state.clock()
        )
    return Finished(task_id=task_id)
