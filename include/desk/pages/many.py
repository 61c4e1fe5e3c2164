"""The queue as a whole: tickets given to somebody all at once, and views a person keeps."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from include.desk import saved_views, squad
from include.desk.identity import TEAM, Reader, Viewer, needs
from include.desk.pages.fields import Fields, Typed
from include.desk.pages.queue import address_of, show_page
from include.desk.squad import MOST
from include.domain.errors import BadInput

router = APIRouter()
_Lead = needs("PUT", TEAM)


@router.post("/reassign")
def reassign_many(request: Request, typed: Typed, viewer: Viewer = _Lead) -> Response:
    """Give every ticket ticked to one person; those refused are told, each with why."""
    state = request.app.state
    with state.database.working() as db:
        results = squad.bulk_reassign(db, staff_id=viewer.staff_id, wishes=_wishes(typed), now=state.clock())
    refused = [result.why_not for result in results if result.why_not]
    asked = address_of(typed, viewer)
    return show_page(request, viewer, asked, told=(len(results) - len(refused), refused))


def _wishes(typed: Fields) -> list[squad.Wish]:
    heir, ticked = typed.number("to_staff_id"), typed.many("ticket")
    if heir is None or not ticked:
        raise BadInput("Tick the tickets and choose who takes them.", code="nothing_ticked")
    if len(ticked) > MOST:
        raise BadInput(
            "{count} tickets are ticked. Take at most {most} at once.",
            code="many_ticked", count=len(ticked), most=MOST,
        )  # fmt: skip
    return [_wish(each, heir) for each in ticked]


def _wish(ticked: str, heir: int) -> squad.Wish:
    ticket, _, version = ticked.partition(":")
    if (
        not (ticket + version).isascii()
        or not (ticket.isdecimal() and version.isdecimal())
        or len(ticked) > 30
    ):
        raise BadInput("A ticked ticket cannot be read. Load the queue again.", code="tick_unreadable")
    return squad.Wish(int(ticket), int(version), heir)


@router.post("/views")
def save_view(request: Request, typed: Typed, viewer: Reader) -> Response:
    """Keep the view shown under a name."""
    asked = address_of(typed, viewer)
    with request.app.state.database.working() as db:
        saved_views.save_view(db, staff_id=viewer.staff_id, name=typed.needed("name"), query=asked.query)
    return _back(request, asked.query)


@router.post("/views/forget")
def forget_view(request: Request, typed: Typed, viewer: Reader) -> Response:
    """Keep a view no longer."""
    with request.app.state.database.working() as db:
        saved_views.forget_view(db, staff_id=viewer.staff_id, view_id=typed.number("view_id") or 0)
    return _back(request, address_of(typed, viewer).query)


def _back(request: Request, query: str) -> Response:
    root = request.scope.get("root_path", "")
    return RedirectResponse(f"{root}/?{query}", status_code=303)
