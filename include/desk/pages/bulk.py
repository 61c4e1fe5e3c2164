"""The queue as a whole: tickets given to somebody all at once, and views a person keeps."""

from typing import TypedDict

from fastapi import APIRouter, Request, Response

from include.desk.pages.fields import Typed
from include.desk.pages.queue import address_of
from include.desk.pages.sending import lead_to, receipt_of
from include.desk.tickets import reassignment, saved_views
from include.desk.tickets.form_fields import Fields
from include.desk.tickets.reassignment import MOST
from include.desk.viewer import TEAM, Viewer
from include.desk.web.identity import Reader, needs
from include.desk.web.receipts import once
from include.domain.errors import BadInput

router = APIRouter()
_Lead = needs("PUT", TEAM)


class GivenAway(TypedDict):
    """What the receipt of the form keeps, for the page after it."""

    given: list[reassignment.KeptResult]


@router.post("/reassign")
def reassign_many(request: Request, typed: Typed, viewer: Viewer = _Lead) -> Response:
    """Give every ticket ticked to one person; those refused are told, each with why."""
    state, receipt, wishes = request.app.state, receipt_of(request, viewer, typed), _wishes(typed)

    def results() -> GivenAway:
        done = reassignment.bulk_reassign(db, staff_id=viewer.staff_id, wishes=wishes, now=state.clock())
        return {"given": [each.as_json() for each in done]}

    with state.database.working() as db:
        once(db, receipt, results)
    return lead_to(request, f"/?{address_of(typed, viewer).query}&told={receipt.key}")


def _wishes(typed: Fields) -> list[reassignment.Wish]:
    heir, ticked = typed.number("to_staff_id"), typed.many("ticket")
    if heir is None or not ticked:
        raise BadInput("Tick the tickets and choose who takes them.", code="nothing_ticked")
    if len(ticked) > MOST:
        raise BadInput(
            "{count} tickets are ticked. Take at most {most} at once.",
            code="many_ticked", count=len(ticked), most=MOST,
        )  # fmt: skip
    return [_wish(each, heir) for each in ticked]


def _wish(ticked: str, heir: int) -> reassignment.Wish:
    ticket, _, version = ticked.partition(":")
    if (
        not (ticket + version).isascii()
        or not (ticket.isdecimal() and version.isdecimal())
        or len(ticked) > 30
    ):
        raise BadInput("A ticked ticket cannot be read. Load the queue again.", code="tick_unreadable")
    return reassignment.Wish(int(ticket), int(version), heir)


@router.post("/views")
def save_view(request: Request, typed: Typed, viewer: Reader) -> Response:
    """Keep the view shown under a name."""
    query = address_of(typed, viewer).query
    name, receipt = typed.needed("name"), receipt_of(request, viewer, typed)
    with request.app.state.database.working() as db:
        once(db, receipt, lambda: saved_views.save_view(db, staff_id=viewer.staff_id, name=name, query=query))
    return lead_to(request, f"/?{query}")


@router.post("/views/forget")
def forget_view(request: Request, typed: Typed, viewer: Reader) -> Response:
    """Keep a view no longer."""
    gone = {"staff_id": viewer.staff_id, "view_id": typed.number("view_id") or 0}
    with request.app.state.database.working() as db:
        once(db, receipt_of(request, viewer, typed), lambda: saved_views.forget_view(db, **gone))
    return lead_to(request, f"/?{address_of(typed, viewer).query}")
