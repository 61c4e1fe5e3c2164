"""Search for a customer on the line: by POST, so that no number is in an address; talks without a ticket."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from include.desk import contacts, phones, tasks
from include.desk.errors import headers_of, status_of
from include.desk.identity import Reader, Viewer, Worker
from include.desk.pages.fields import Fields, Typed, campaign_named
from include.desk.rendering import page, taken
from include.domain.errors import BadInput, Refused
from include.domain.outcome import NEEDS

router = APIRouter()


@router.get("/tasks")
@router.get("/search")
def show_search(request: Request, viewer: Reader) -> Response:
    """The search without a result, and the tasks of talks."""
    return _page(request, viewer)


@router.post("/search")
def search(request: Request, typed: Typed, viewer: Reader) -> Response:
    """To the ticket when there is one, to a list when there are several, else to the form for a talk."""
    state, words = request.app.state, typed.text("q") or ""
    try:
        with state.database.working() as db:
            found = phones.search(db, state.rules, staff_id=viewer.staff_id, words=words, now=state.clock())
    except (Refused, BadInput) as error:
        return _page(request, viewer, error=error, words=words)
    if len(found) == 1:
        root = request.scope.get("root_path", "")
        return RedirectResponse(f"{root}/tickets/{found[0]['ticket_id']}", status_code=303)
    return _page(request, viewer, found=found, words=words)


@router.post("/inbound")
def record_inbound(request: Request, typed: Typed, viewer: Worker) -> Response:
    """Keep a talk that a subscriber without a released ticket began."""
    state = request.app.state
    try:
        with state.database.working() as db:
            contacts.record_inbound(
                db, state.config, staff_id=viewer.staff_id,
                campaign=campaign_named(state.config, typed.text("campaign")),
                subscriber_id=typed.needed("subscriber_id"), channel=typed.needed("channel"),
                said=typed.needed("said"), done=typed.needed("done"), now=state.clock(), needs=typed.many("needs"),
                is_refusal=typed.text("is_refusal") is not None,
            )  # fmt: skip
    except (Refused, BadInput) as error:
        return _page(request, viewer, error=error, typed=typed)
    answer = _page(request, viewer, kept="search.kept")
    return taken(answer, request.scope.get("root_path", ""), "inbound")


@router.post("/tasks/{task_id}")
def finish_task(request: Request, task_id: int, typed: Typed, viewer: Worker) -> Response:
    """Record what a unit did about a task of a talk."""
    state = request.app.state
    try:
        with state.database.working() as db:
            tasks.finish_inbound_task(
                db,
                staff_id=viewer.staff_id,
                task_id=task_id,
                result=typed.needed("result"),
                now=state.clock(),
            )
    except (Refused, BadInput) as error:
        return _page(request, viewer, error=error)
    answer = _page(request, viewer, kept="search.task_done")
    return taken(answer, request.scope.get("root_path", ""), f"task-{task_id}")


def _page(
    request: Request,
    viewer: Viewer,
    *,
    found: list[Any] | None = None,
    words: str = "",
    error: Refused | BadInput | None = None,
    typed: Fields | None = None,
    kept: str | None = None,
) -> Response:
    state, status = request.app.state, 200 if error is None else status_of(error)
    with state.database.reading(viewer.staff_id) as db:
        owed = tasks.inbound_tasks(db)
    # a subscriber searched for in vain is the one who calls; a number typed is not a subscriber
    subscriber = words if words and phones.number_in(words) is None else ""
    answer = page(
        request, "search.html", status=status, viewer=viewer, found=found, words=words, error=error,
        typed=typed.typed if typed else {"subscriber_id": [subscriber]}, kept=kept, needs=NEEDS, tasks=owed,
        campaigns=state.config.campaigns, channels=("call", "app", "visit"),
    )  # fmt: skip
    answer.headers.update(headers_of(request, status))
    return answer
