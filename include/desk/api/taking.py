"""Programs and who works what: the next ticket, one passed by, and many given to somebody at once."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from include.desk.api.answers import Given, Held, Results, Told
from include.desk.api.bodies import Id, Skip, Wishes
from include.desk.api.repeating import Key, receipt_of
from include.desk.tickets import next_ticket, reassignment
from include.desk.tickets.transaction import AtDesk
from include.desk.viewer import TEAM, Viewer
from include.desk.web.identity import Worker, needs
from include.desk.web.receipts import once
from include.desk.web.refusals import as_values, tell
from include.desk.web.rendering import language_of

router = APIRouter()
Lead = Annotated[Viewer, needs("PUT", TEAM)]


@router.post("/next")
def take_next(request: Request, viewer: Worker, key: Key = None) -> Held:
    """The most urgent ticket the person may work, held for some minutes; else the next of a pool, which is theirs."""
    state, receipt = request.app.state, receipt_of(request, viewer, key, "next")
    with state.database.working() as db:
        held = once(
            db, receipt,
            lambda: next_ticket.take_next(
                db, state.rules, state.config, staff_id=viewer.staff_id, now=state.clock()
            ),
        )  # fmt: skip
    return Held(ticket_id=held.value)


@router.post("/tickets/{ticket_id}/skip")
def skip(
    request: Request, viewer: Worker, ticket_id: Annotated[Id, Path()], why: Skip, key: Key = None
) -> Held:
    """Pass the ticket held by; it is not given to the same person again that day. None is held then."""
    state, receipt = request.app.state, receipt_of(request, viewer, key, "skip", ticket_id, why.note)
    now = state.clock()
    with state.database.working() as db:
        once(
            db,
            receipt,
            lambda: next_ticket.skip(
                AtDesk(db, viewer.staff_id, now), state.rules, ticket_id=ticket_id, note=why.note
            ),
        )
    return Held(ticket_id=None)


@router.post("/reassign")
def reassign_many(request: Request, viewer: Lead, wanted: Wishes, key: Key = None) -> Results:
    """Give several tickets to one person in one transaction; each is done, or told why not."""
    state, receipt = request.app.state, receipt_of(request, viewer, key, "reassign", wanted.model_dump())
    wishes = [reassignment.Wish(each.ticket_id, each.version, wanted.to_staff_id) for each in wanted.tickets]

    def results() -> list[reassignment.KeptResult]:
        done = reassignment.bulk_reassign(db, staff_id=viewer.staff_id, wishes=wishes, now=state.clock())
        return [each.as_json() for each in done]

    with state.database.working() as db:
        given = once(db, receipt, results).value
    return Results(results=[_given(reassignment.Result.from_json(each), request) for each in given])


def _given(result: reassignment.Result, request: Request) -> Given:
    refused, why_not = result.why_not, None
    if refused is not None:
        message = tell(refused, language_of(request), request.app.state.config)
        why_not = Told(
            kind="refused", code=refused.code, message=message, values=as_values(refused), details=[]
        )
    return Given(ticket_id=result.ticket_id, version=result.version, why_not=why_not)
