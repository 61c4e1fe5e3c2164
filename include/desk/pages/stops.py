"""Stop outbound: what stands, what was lifted, and the form of leads and managers."""

from fastapi import APIRouter, Request, Response

from include.desk import stops
from include.desk.pages.fields import Typed
from include.desk.pages.sending import lead_to, receipt_of
from include.desk.tickets.form_fields import Fields
from include.desk.viewer import TEAM, Viewer
from include.desk.web.errors import headers_of, status_of
from include.desk.web.identity import needs
from include.desk.web.receipts import once
from include.desk.web.rendering import page, taken
from include.domain.contact.stop import ALL, CAMPAIGN, REGION, SCOPES, Scope
from include.domain.contact.stop import TEAM as OF_TEAM
from include.domain.errors import BadInput, Refused

router = APIRouter()
#: Leads and managers; the database asks once more which of them it is.
_Lead = needs("GET", TEAM)


@router.get("/stops")
def show(request: Request, viewer: Viewer = _Lead) -> Response:
    """What is stopped, since when, by whom and why."""
    return _page(request, viewer)


@router.post("/stops")
def stop(request: Request, typed: Typed, viewer: Viewer = _Lead) -> Response:
    """Stop outbound of what was chosen."""
    state = request.app.state
    try:
        wanted = stops.Stopping(_scope(typed), typed.needed("because"))
        with state.database.working() as db:
            once(
                db, receipt_of(request, viewer, typed),
                lambda: stops.stop(db, state.config, viewer, wanted, now=state.clock()),
            )  # fmt: skip
    except (Refused, BadInput) as error:
        return _page(request, viewer, error, typed)
    return taken(request, lead_to(request, "/stops"), "stop")


@router.post("/stops/{stop_id}/lift")
def lift(request: Request, stop_id: int, typed: Typed, viewer: Viewer = _Lead) -> Response:
    """Let outbound go on."""
    state = request.app.state
    try:
        with state.database.working() as db:
            once(
                db, receipt_of(request, viewer, typed),
                lambda: stops.lift(db, staff_id=viewer.staff_id, stop_id=stop_id, now=state.clock()),
            )  # fmt: skip
    except (Refused, BadInput) as error:
        return _page(request, viewer, error)
    return lead_to(request, "/stops")


def _scope(typed: Fields) -> Scope:
    scope = typed.one_of("scope", SCOPES)
    return Scope(scope) if scope == ALL else Scope(scope, typed.needed(scope))


def _page(
    request: Request, viewer: Viewer, error: Refused | BadInput | None = None, typed: Fields | None = None
) -> Response:
    state, status = request.app.state, 200 if error is None else status_of(error)
    with state.database.reading(viewer.staff_id) as db:
        rows = stops.known(db)
    is_manager = viewer.role == "manager"
    answer = page(
        request, "stops.html", status=status, viewer=viewer, rows=rows, error=error,
        typed=typed.typed if typed else {},
        scopes=(OF_TEAM, CAMPAIGN, REGION, ALL) if is_manager else (OF_TEAM,),
        teams=list(state.config.teams.teams) if is_manager else [viewer.team],
    )  # fmt: skip
    answer.headers.update(headers_of(request, status))
    return answer
