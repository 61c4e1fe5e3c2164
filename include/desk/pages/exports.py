"""The queue as a file, for leads and managers: masked, counted and limited by the day."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from include.desk.board.figures import read_queue
from include.desk.calls.phones import record_use
from include.desk.pages.board import as_file
from include.desk.viewer import TEAM, Viewer
from include.desk.web.identity import needs

router = APIRouter()


@router.get("/queue.csv")
def export_queue(
    request: Request,
    viewer: Annotated[Viewer, needs("GET", TEAM)],
    campaign: Annotated[str | None, Query(max_length=63)] = None,
) -> Response:
    """The most urgent unfinished tickets of the team, of all teams for a manager; each export is recorded."""
    state = request.app.state
    now = state.clock()
    with state.database.working() as db:
        record_use(db, state.rules, staff_id=viewer.staff_id, kind="export", now=now)
    with state.database.reading(viewer.staff_id) as db:
        table = read_queue(db, viewer, campaign or None)
    return as_file(request, table, f"queue-{now:%Y-%m-%d}.csv", state.config.campaigns)
