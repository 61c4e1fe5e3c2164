"""Next ticket: given and held for some minutes, or passed by."""

from fastapi import APIRouter, Request, Response

from include.desk.pages.fields import Typed
from include.desk.pages.sending import lead_to, receipt_of
from include.desk.pages.ticket import Refusal, show
from include.desk.tickets import next_ticket
from include.desk.tickets.transaction import AtDesk
from include.desk.web.identity import Worker
from include.desk.web.receipts import Answer, once
from include.desk.web.rendering import taken
from include.domain.errors import BadInput, Refused

router = APIRouter()


@router.post("/next")
def take_next(request: Request, typed: Typed, viewer: Worker) -> Response:
    """To the most urgent ticket the person may work, or the next of a pool; to the queue when there is none."""
    state = request.app.state
    with state.database.working() as db:
        held = once(
            db, receipt_of(request, viewer, typed),
            lambda: next_ticket.take_next(
                db, state.rules, state.config, staff_id=viewer.staff_id, now=state.clock()
            ),
        )  # fmt: skip
    return _to_held(request, held)


@router.post("/tickets/{ticket_id}/skip")
def skip(request: Request, ticket_id: int, typed: Typed, viewer: Worker) -> Response:
    """Pass the ticket by, and go on to the one after it."""
    state, now = request.app.state, request.app.state.clock()

    def to_the_next() -> int | None:
        desk = AtDesk(db, viewer.staff_id, now)
        next_ticket.skip(desk, state.rules, ticket_id=ticket_id, note=typed.text("note"))
        try:
            return next_ticket.take_next(db, state.rules, state.config, staff_id=viewer.staff_id, now=now)
        except Refused:  # the pool gives no more: passed by is passed by all the same
            return None

    try:
        with state.database.working() as db:
            held = once(db, receipt_of(request, viewer, typed), to_the_next)
    except (Refused, BadInput) as error:
        return show(request, viewer, ticket_id, Refusal(error, "skip", typed.typed))
    return taken(request, _to_held(request, held), f"{ticket_id}-skip")


def _to_held(request: Request, held: Answer) -> Response:
    return lead_to(request, "/?none_left=1" if held.value is None else f"/tickets/{held.value}")
