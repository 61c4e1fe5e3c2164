"""The customer's number: shown, or called by one click; each needs its own right and is recorded once."""

from fastapi import APIRouter, Request, Response

from include.config.readers.desk import Use
from include.desk.calls import phones
from include.desk.pages.fields import Typed
from include.desk.pages.sending import lead_to, receipt_of
from include.desk.pages.ticket import Given, Refusal, show
from include.desk.tickets.form_fields import Fields
from include.desk.tickets.transaction import Actor
from include.desk.viewer import PHONES, Viewer
from include.desk.web.identity import needs
from include.desk.web.receipts import Receipt, once
from include.domain.errors import LoopError, Refused

router = APIRouter()
_Caller = needs("GET", PHONES)


@router.post("/tickets/{ticket_id}/reveal")
def reveal(request: Request, ticket_id: int, typed: Typed, viewer: Viewer = _Caller) -> Response:
    """To the ticket with the whole number, for some minutes."""
    return _used(request, ticket_id, viewer, typed, "reveal")


@router.post("/tickets/{ticket_id}/call")
def call(request: Request, ticket_id: int, typed: Typed, viewer: Viewer = _Caller) -> Response:
    """The call put through by the telephone system, else to the ticket with a link that dials."""
    return _used(request, ticket_id, viewer, typed, "call")


def _used(request: Request, ticket_id: int, viewer: Viewer, typed: Fields, kind: Use) -> Response:
    state, receipt = request.app.state, receipt_of(request, viewer, typed)
    try:
        with state.database.working() as db:
            actor = Actor(db, state.config, viewer.staff_id, ticket_id, 0, state.clock())
            used = once(db, receipt, lambda: phones.use_number(actor, state.rules, kind))
    except Refused as error:
        return show(request, viewer, ticket_id, Refusal(error, kind))
    if kind == "reveal" or state.dial is None:
        return lead_to(request, f"/tickets/{ticket_id}?use={used.value}")
    if used.is_first and (refusal := _dialled(request, viewer, ticket_id, used.value, receipt)):
        return refusal
    return lead_to(request, f"/tickets/{ticket_id}?dialled=1")


def _dialled(
    request: Request, viewer: Viewer, ticket_id: int, use_id: int, receipt: Receipt
) -> Response | None:
    """None when the telephone system took the call; else the ticket with a link, and the click may be made again."""
    state = request.app.state
    with state.database.working() as db:
        use = phones.number_of(db, staff_id=viewer.staff_id, use_id=use_id, now=state.clock())
    if use is None:  # the ticket has ended in between
        return show(request, viewer, ticket_id)
    try:
        state.dial(viewer.staff_code, use.number, ticket_id)
    except LoopError as error:
        with state.database.working() as db:
            receipt.forget(db)
        return show(request, viewer, ticket_id, Refusal(error, "call"), given=Given("call", use.number))
    return None
