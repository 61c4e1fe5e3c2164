"""The queue: the tickets a person works, most urgent first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from include.desk.identity import Reader, Viewer
from include.desk.rendering import THEMES, page
from include.desk.words import LANGUAGES
from include.domain.countdown import urgency, working_time_between
from include.domain.errors import BadInput
from include.queries import load
from include.stages.clocks import Clocks, read_clocks

Q = load("desk_queue")
router = APIRouter()

PAGE = 30
OPEN = ["assigned", "in_progress", "paused"]


@dataclass(frozen=True)
class View:
    """One tab of the queue: which states, and whether own, unassigned or escalated ones only."""

    name: str
    states: tuple[str, ...]
    is_own: bool = False
    is_unassigned: bool = False
    is_escalated: bool = False
    roles: tuple[str, ...] = ("agent", "lead", "manager")


VIEWS = {
    view.name: view
    for view in (
        View("mine", tuple(OPEN), is_own=True, roles=("agent", "lead")),
        View("team", tuple(OPEN)),
        View("unassigned", tuple(OPEN), is_unassigned=True),
        View("waiting", ("waiting",), roles=("lead", "manager")),
        View("escalated", tuple(OPEN), is_escalated=True, roles=("lead", "manager")),
        View("paused", ("paused",)),
        View("closed", ()),
    )
}


@dataclass(frozen=True)
class Asked:
    """What the address asks for: view, filters, and the last ticket of the page before."""

    view: View
    grade: str | None
    region: str | None
    after_at: str | None
    after_id: int | None


@router.get("/")
def show_queue(
    request: Request,
    viewer: Reader,
    view: str = "",
    grade: Annotated[str | None, Query(max_length=10)] = None,
    region: Annotated[str | None, Query(max_length=40)] = None,
    after: Annotated[str | None, Query(max_length=60)] = None,
) -> Response:
    """One page of a view of the queue."""
    asked = Asked(_view(view, viewer), grade or None, region or None, *_position(after))
    now = request.app.state.clock()
    with request.app.state.database.reading(viewer.staff_id) as db:
        rows = _rows(db, asked, viewer)
        clocks = read_clocks(db, request.app.state.config, now)
    timed = [_timed(dict(row), now, clocks) for row in rows[:PAGE]]
    return page(
        request, "queue.html", viewer=viewer, views=_views(viewer), asked=asked, tickets=timed,
        next_page=_next_page(timed) if len(rows) > PAGE else None,
    )  # fmt: skip


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


def _views(viewer: Viewer) -> list[View]:
    return [view for view in VIEWS.values() if viewer.role in view.roles]


def _view(name: str, viewer: Viewer) -> View:
    allowed = _views(viewer)
    if not name:
        return allowed[0]
    found = next((view for view in allowed if view.name == name), None)
    if found is None:
        raise BadInput(f"'{name}' is not a view of yours. Choose {', '.join(view.name for view in allowed)}.")
    return found


def _position(after: str | None) -> tuple[str | None, int | None]:
    """The keyset position `<instant>,<ticket>` of the last row shown."""
    if not after:
        return None, None
    at, _, ticket = after.partition(",")
    try:
        return at if at == "infinity" else datetime.fromisoformat(at).isoformat(), int(ticket)
    except ValueError:
        raise BadInput(f"'{after}' is not a place in the queue. Start from its first page.") from None


def _rows(db: sa.Connection, asked: Asked, viewer: Viewer) -> list[Any]:
    values: dict[str, Any] = {
        "assignee_id": viewer.staff_id if asked.view.is_own else None,
        "team": None if viewer.role == "manager" else viewer.team,
        "after_at": asked.after_at,
        "after_id": asked.after_id,
        "limit": PAGE + 1,
    }
    if not asked.view.states:
        return list(db.execute(Q["read_finished"], values).mappings())
    values |= {
        "states": list(asked.view.states),
        "unassigned": asked.view.is_unassigned,
        "escalated": asked.view.is_escalated,
        "grade": asked.grade,
        "region": asked.region,
    }
    return list(db.execute(Q["read_open"], values).mappings())


def _timed(row: dict[str, Any], now: datetime, clocks: Clocks) -> dict[str, Any]:
    """The row with its urgency and the working time left."""
    if row.get("due_at") is None:
        return row | {"urgency": None, "left": None}
    terms = clocks.terms(row["campaign"], row["tier"], row["team"], row["branch_code"])
    left = working_time_between(
        now, row["due_at"], terms.calendar.is_working, terms.rules.opens, terms.rules.closes
    )
    return row | {"urgency": urgency(row["due_at"], row["warn_at"], now), "left": left}


def _next_page(rows: list[dict[str, Any]]) -> str:
    last = rows[-1]
    at = last.get("closed_at") or last.get("due_at")
    return f"{at.isoformat() if at else 'infinity'},{last['ticket_id']}"
