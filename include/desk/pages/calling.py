"""The customer's number: shown once, or called by one click; each needs its own right and is recorded."""

from fastapi import APIRouter, Request, Response

from include.config.desk import Use
from include.desk import phones
from include.desk.acting import Actor
from include.desk.identity import PHONES, Viewer, needs
from include.desk.pages.ticket import Given, Refusal, show
from include.domain.errors import LoopError, Refused

router = APIRouter()
_Caller = needs("GET", PHONES)


@router.post("/tickets/{ticket_id}/reveal")
def reveal(request: Request, ticket_id: int, viewer: Viewer = _Caller) -> Response:
    """The ticket with the whole number, in this answer and no other."""
    return _used(request, ticket_id, viewer, "reveal")


@router.post("/tickets/{ticket_id}/call")
def call(request: Request, ticket_id: int, viewer: Viewer = _Caller) -> Response:
    """The call put through by the telephone system, else the ticket with a link that dials."""
    return _used(request, ticket_id, viewer, "call")


def _used(request: Request, ticket_id: int, viewer: Viewer, kind: Use) -> Response:
    state = request.app.state
    try:
        with state.database.working() as db:
            actor = Actor(db, state.config, viewer.staff_id, ticket_id, 0, state.clock())
            number = phones.use_number(actor, state.rules, kind)
    except Refused as error:
        return show(request, viewer, ticket_id, Refusal(error, kind))
    if kind == "reveal" or state.dial is None:
        return show(request, viewer, ticket_id, given=Given(kind, number))
    try:
        state.dial(viewer.staff_code, number, ticket_id)
    except LoopError as error:
        return show(request, viewer, ticket_id, Refusal(error, kind), given=Given("call", number))
    return show(request, viewer, ticket_id, given=Given("dialled", None))
