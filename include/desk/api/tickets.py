"""The reads of the JSON API: a page of the queue, and one ticket with its work."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from include.database.queries import load
from include.desk.api.answers import Listed, Queue, Ticket
from include.desk.api.bodies import Id
from include.desk.tickets import queue
from include.desk.web.errors import NotFound
from include.desk.web.identity import Reader
from include.desk.web.queue_address import QueueAddress

Q = load("desk/ticket")
router = APIRouter()

_WORK = ("clocks", "attempts", "surveys", "checks", "plans", "events")


@router.get("/tickets")
def list_tickets(
    request: Request,
    viewer: Reader,
    address: Annotated[QueueAddress, Depends()],
    view: Annotated[str, Query(max_length=20)] = "",
) -> Queue:
    """One page of a view of the queue, by default the person's own; most urgent first."""
    selection, state = address.selection(viewer, view), request.app.state
    with state.database.reading(viewer.staff_id) as db:
        shown = queue.read_page(db, state.config, viewer, selection, state.clock())
        counts = queue.count_campaigns(db, state.config, viewer, selection)
    tickets = [
        Listed.model_validate({**each, "left_minutes": _minutes(each["left"])}) for each in shown.tickets
    ]
    return Queue(tickets=tickets, campaigns=counts, next=shown.next_place)


def _minutes(left: timedelta | None) -> int | None:
    return None if left is None else round(left.total_seconds() / 60)


@router.get("/tickets/{ticket_id}")
def get_ticket(
    request: Request, response: Response, viewer: Reader, ticket_id: Annotated[Id, Path()]
) -> Ticket:
    """A ticket as it stands; its version is the ETag, for If-Match of the next write."""
    key = {"ticket_id": ticket_id}
    with request.app.state.database.reading(viewer.staff_id) as db:
        ticket = db.execute(Q["read_ticket"], key).mappings().one_or_none()
        if ticket is None:
            raise NotFound
        work = {name: [dict(row) for row in db.execute(Q[f"read_{name}"], key).mappings()] for name in _WORK}
    response.headers["ETag"] = f'"{ticket["version"]}"'
    return Ticket.model_validate({**ticket, **work})
