"""The queue: the tickets a person works, most urgent first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from include.desk.tickets import queue
from include.desk.tickets.form_fields import Fields
from include.desk.tickets.reassignment import Result
from include.desk.tickets.saved_views import read_saved_views
from include.desk.viewer import TEAM, Viewer
from include.desk.web.identity import Reader
from include.desk.web.queue_address import QueueAddress
from include.desk.web.receipts import read_answer
from include.desk.web.rendering import THEMES, page
from include.words import LANGUAGES

router = APIRouter()


@dataclass(frozen=True)
class QueuePageAddress(QueueAddress):
    """The address of the page: the view, and what has just been done.

    `none_left`: there was no next ticket; `given_under`: the key under which tickets were just given away.
    """

    view: str = ""
    none_left: bool = False
    given_under: Annotated[str | None, Query(alias="told", max_length=64)] = None


@router.get("/")
def show_queue(request: Request, viewer: Reader, address: Annotated[QueuePageAddress, Depends()]) -> Response:
    """One page of a view of the queue."""
    selection = address.selection(viewer, address.view)
    now, config = request.app.state.clock(), request.app.state.config
    with request.app.state.database.reading(viewer.staff_id) as db:
        shown = queue.read_page(db, config, viewer, selection, now)
        counts = queue.count_campaigns(db, config, viewer, selection)
        saved = read_saved_views(db, viewer.staff_id)
        heirs = queue.heirs_of(db, viewer) if selection.view.states and viewer.may("PUT", TEAM) else []
        given = _given(db, viewer, address.given_under, now) if address.given_under else []
    return page(
        request, "queue.html", viewer=viewer, views=queue.views_of(viewer), selection=selection,
        tickets=shown.tickets, saved=saved, heirs=heirs, given=given, none_left=address.none_left,
        tiers=queue.TIERS, segments=config.strategies.segments, campaigns=config.campaigns, counts=counts,
        next_page=shown.next_place,
    )  # fmt: skip


def _given(db: sa.Connection, viewer: Viewer, key: str, now: datetime) -> list[Result]:
    """What became of the tickets the person gave away under a key; nothing of any other form."""
    answer = read_answer(db, viewer.staff_id, key, now)
    given = answer.get("given", []) if isinstance(answer, dict) else []
    return [Result.from_json(each) for each in given]


def address_of(typed: Fields, viewer: Viewer) -> queue.Selection:
    """The view and filters a form of the queue was sent from."""
    names = ("campaign", "grade", "region", "tier", "segment")
    filters = queue.Filters.of(*((typed.text(name) or "")[:63] for name in names))
    return queue.Selection(queue.view_named(typed.text("view") or "", viewer), filters)


@router.get("/choose")
def choose(
    request: Request,
    viewer: Reader,
    language: str = "",
    theme: str = "",
    back: str = "",
) -> Response:
    """Remember language or colours in a cookie, and go back to where the person was."""
    root = request.scope.get("root_path", "")
    target = back if back.startswith(f"{root}/") and not back.startswith("//") else f"{root}/"
    answer = RedirectResponse(target, status_code=303)
    for cookie, chosen, known in (("desk_language", language, LANGUAGES), ("desk_theme", theme, THEMES)):
        if chosen in known:
            answer.set_cookie(
                cookie, chosen, max_age=31_536_000, path=root or "/", httponly=True, samesite="lax"
            )
    return answer
