"""Next ticket: given and held for some minutes, or passed by."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from include.desk import next_ticket
from include.desk.identity import Viewer, Worker
from include.desk.pages.fields import Typed
from include.desk.pages.ticket import Refusal, show
from include.desk.rendering import taken
from include.domain.errors import BadInput, Refused

router = APIRouter()


@router.post("/next")
def take_next(request: Request, viewer: Worker) -> Response:
    """To the most urgent ticket the person may work, held for them; to the queue when there is none."""
    return _next(request, viewer)


@router.post("/tickets/{ticket_id}/skip")
def skip(request: Request, ticket_id: int, typed: Typed, viewer: Worker) -> Response:
    """Pass the ticket by, and go on to the one after it."""
    state = request.app.state
    try:
        with state.database.working() as db:
            next_ticket.skip(
                db, state.rules, staff_id=viewer.staff_id, ticket_id=ticket_id, note=typed.text("note"),
                now=state.clock(),
            )  # fmt: skip
    except (Refused, BadInput) as error:
        return show(request, viewer, ticket_id, Refusal(error, "skip", typed.typed))
    return taken(_next(request, viewer), request.scope.get("root_path", ""), f"{ticket_id}-skip")


def _next(request: Request, viewer: Viewer) -> Response:
    state, root = request.app.state, request.scope.get("root_path", "")
    with state.database.working() as db:
        found = next_ticket.hold_next(db, state.rules, staff_id=viewer.staff_id, now=state.clock())
    target = f"{root}/?none_left=1" if found is None else f"{root}/tickets/{found}"
    return RedirectResponse(target, status_code=303)
