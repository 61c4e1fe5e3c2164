"""The reads of the JSON API: a page of the queue, and one ticket with its work."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from include.database.queries import load
from include.desk.api.answers import Listed, Queue, Ticket
from include.desk.api.bodies import Id
from include.desk.pages import queue
from include.desk.web.errors import NotFound
from include.desk.web.identity import Reader

Q = load("desk/ticket")
router = APIRouter()

_WORK = ("clocks", "attempts", "surveys", "checks", "plans", "events")


@router.get("/tickets")
def list_tickets(
    request: Request,
    viewer: Reader,
    view: Annotated[str, Query(max_length=20)] = "",
    grade: Annotated[str | None, Query(max_length=10)] = None,
    region: Annotated[str | None, Query(max_length=40)] = None,
    tier: Annotated[str | None, Query(max_length=20)] = None,
    segment: Annotated[str | None, Query(max_length=40)] = None,
    campaign: Annotated[str | None, Query(max_length=63)] = None,
    after: Annotated[str | None, Query(max_length=60)] = None,
) -> Queue:
    """One page of a view of the queue, by default the person's own; most urgent first."""
    asked = queue.asked_for(viewer, view, queue.Filters.of(campaign, grade, region, tier, segment), after)
    state = request.app.state
    with state.database.reading(viewer.staff_id) as db:
        rows, next_page = queue.read_page(db, state.config, viewer, asked, state.clock())
        counts = queue.count_campaigns(db, state.config, viewer, asked)
    tickets = [Listed.model_validate(row | {"left_minutes": _minutes(row["left"])}) for row in rows]
    return Queue(tickets=tickets, campaigns=counts, next=next_page)


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
