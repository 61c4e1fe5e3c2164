"""Programs and who works what: the next ticket, one passed by, and many given to somebody at once."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from include.desk import next_ticket, squad
from include.desk.api.answers import Given, Held, Results, Told
from include.desk.api.bodies import Id, Skip, Wishes
from include.desk.identity import TEAM, Viewer, Worker, needs
from include.desk.refusals import as_values, tell
from include.desk.rendering import language_of

router = APIRouter()
Lead = Annotated[Viewer, needs("PUT", TEAM)]


@router.post("/next")
def take_next(request: Request, viewer: Worker) -> Held:
    """The most urgent ticket the person may work, held for them for some minutes."""
    state = request.app.state
    with state.database.working() as db:
        found = next_ticket.hold_next(db, state.rules, staff_id=viewer.staff_id, now=state.clock())
    return Held(ticket_id=found)


@router.post("/tickets/{ticket_id}/skip")
def skip(request: Request, viewer: Worker, ticket_id: Annotated[Id, Path()], why: Skip) -> Held:
    """Pass the ticket held by; it is not given to the same person again that day. None is held then."""
    state = request.app.state
    with state.database.working() as db:
        next_ticket.skip(
            db, state.rules, staff_id=viewer.staff_id, ticket_id=ticket_id, note=why.note, now=state.clock()
        )
    return Held(ticket_id=None)


@router.post("/reassign")
def reassign_many(request: Request, viewer: Lead, wanted: Wishes) -> Results:
    """Give several tickets to one person in one transaction; each is done, or told why not."""
    state = request.app.state
    wishes = [squad.Wish(each.ticket_id, each.version, wanted.to_staff_id) for each in wanted.tickets]
    with state.database.working() as db:
        results = squad.bulk_reassign(db, staff_id=viewer.staff_id, wishes=wishes, now=state.clock())
    return Results(results=[_given(each, request) for each in results])


def _given(result: squad.Result, request: Request) -> Given:
    refused, why_not = result.why_not, None
    if refused is not None:
        message = tell(refused, language_of(request), request.app.state.config)
        why_not = Told(
            kind="refused", code=refused.code, message=message, values=as_values(refused), details=[]
        )
    return Given(ticket_id=result.ticket_id, version=result.version, why_not=why_not)
