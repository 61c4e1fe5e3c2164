"""Search for a customer on the line: by POST, so that no number is in an address; talks without a ticket."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from include.desk.calls import phones, talks
from include.desk.campaigns import campaign_named
from include.desk.pages.fields import Typed
from include.desk.pages.sending import lead_to, receipt_of
from include.desk.tickets import tasks
from include.desk.tickets.form_fields import Fields
from include.desk.tickets.transaction import AtDesk
from include.desk.viewer import TEAM, Viewer
from include.desk.web.errors import headers_of, status_of
from include.desk.web.identity import Reader, Worker, needs
from include.desk.web.receipts import once
from include.desk.web.rendering import page, taken
from include.domain.errors import BadInput, Refused
from include.words.outcomes import NEEDS

router = APIRouter()
#: Leads and managers; the database asks once more which of them it is.
_Lead = needs("GET", TEAM)
#: What is told after a form was taken.
_TAKEN = {"talk": "search.kept", "task": "search.task_done", "refusal": "search.refusal_decided"}


@dataclass(frozen=True)
class Shown:
    """What the page shows beside what waits for the person.

    What a search for `words` `found` (None: nothing was searched for); the refusal of a form with what was `typed`
    into it, `of_task` when it was a task's; or the key of the words for a form that was `taken`.
    """

    found: list[Any] | None = None
    words: str = ""
    error: Refused | BadInput | None = None
    typed: Fields | None = None
    taken: str | None = None
    of_task: int | None = None


@router.get("/tasks")
@router.get("/search")
def show_search(
    request: Request,
    viewer: Reader,
    tickets: Annotated[str, Query(pattern="^[0-9,]*$", max_length=1200)] = "",
    kept: str = "",
) -> Response:
    """The search, with what it found or what was kept; the tasks of talks, the refusals that wait for a lead."""
    numbers = [int(each) for each in tickets.split(",") if each and len(each) < 18]
    if not numbers:
        return _page(request, viewer, Shown(taken=_TAKEN.get(kept)))
    with request.app.state.database.reading(viewer.staff_id) as db:
        found = phones.find_tickets(db, numbers)
    return _page(request, viewer, Shown(found=found))


@router.post("/search")
def search(request: Request, typed: Typed, viewer: Reader) -> Response:
    """To the ticket when there is one, to a list when there are several, else to the form for a talk."""
    state, words = request.app.state, typed.text("q") or ""

    def numbers() -> list[int]:
        rows = phones.search(db, state.rules, staff_id=viewer.staff_id, words=words, now=state.clock())
        return [row["ticket_id"] for row in rows]

    try:
        with state.database.working() as db:
            found = once(db, receipt_of(request, viewer, typed), numbers).value
    except (Refused, BadInput) as error:
        return _page(request, viewer, Shown(error=error, words=words))
    if not found:
        return _page(request, viewer, Shown(found=[], words=words))
    of_one = f"/tickets/{found[0]}"
    return lead_to(request, of_one if len(found) == 1 else f"/search?tickets={','.join(map(str, found))}")


@router.post("/inbound")
def record_inbound(request: Request, typed: Typed, viewer: Worker) -> Response:
    """Keep a talk that a subscriber without a released ticket began."""
    state = request.app.state
    try:
        talk = _talk(request, typed)
        with state.database.working() as db:
            # sent again in the same words it is the same talk, whatever sends it
            kept = once(
                db, receipt_of(request, viewer, typed, needs_key=False),
                lambda: asdict(
                    talks.keep_talk(
                        AtDesk(db, viewer.staff_id, state.clock()), state.config, state.rules, talk
                    )
                ),
            )  # fmt: skip
        talks.Kept(**kept.value).number()
    except (Refused, BadInput) as error:
        return _page(request, viewer, Shown(error=error, typed=typed))
    return taken(request, lead_to(request, "/search?kept=talk"), "inbound")


def _talk(request: Request, typed: Fields) -> talks.Talk:
    subscriber = typed.needed("subscriber_id")
    return talks.Talk(
        campaign=campaign_named(request.app.state.config, typed.text("campaign")),
        subscriber_id=subscriber,
        channel=typed.needed("channel"),
        said=typed.needed("said"),
        done=typed.needed("done"),
        needs=typed.many("needs"),
        is_refusal=typed.text("is_refusal") is not None,
        # what was confirmed is this id and no other that was typed since
        is_unknown_confirmed=typed.text("confirmed_id") == subscriber,
    )


@router.post("/tasks/{task_id}")
def finish_task(request: Request, task_id: int, typed: Typed, viewer: Worker) -> Response:
    """Record what a unit did about a task of a talk."""
    state = request.app.state
    try:
        done = {"task_id": task_id, "result": typed.needed("result"), "now": state.clock()}
        with state.database.working() as db:
            once(
                db, receipt_of(request, viewer, typed),
                lambda: tasks.finish_inbound_task(db, staff_id=viewer.staff_id, **done),
            )  # fmt: skip
    except (Refused, BadInput) as error:
        return _page(request, viewer, Shown(error=error, typed=typed, of_task=task_id))
    return taken(request, lead_to(request, "/search?kept=task"), f"task-{task_id}")


@router.post("/refusals/{refusal_id}")
def decide_refusal(request: Request, refusal_id: int, typed: Typed, viewer: Viewer = _Lead) -> Response:
    """Confirm or withdraw a refusal that waits for a lead."""
    state = request.app.state
    try:
        decision = talks.Decision(refusal_id, typed.one_of("decision", ("confirm", "withdraw")) == "confirm")
        with state.database.working() as db:
            once(
                db, receipt_of(request, viewer, typed),
                lambda: talks.decide_refusal(db, decision, staff_id=viewer.staff_id, now=state.clock()),
            )  # fmt: skip
    except (Refused, BadInput) as error:
        return _page(request, viewer, Shown(error=error))
    return lead_to(request, "/search?kept=refusal")


def _page(request: Request, viewer: Viewer, shown: Shown) -> Response:
    state, error, words = request.app.state, shown.error, shown.words
    status = 200 if error is None else status_of(error)
    with state.database.reading(viewer.staff_id) as db:
        owed = tasks.inbound_tasks(db)
        waiting = talks.waiting_refusals(db, viewer.staff_id) if viewer.may("GET", TEAM) else []
    # a subscriber searched for in vain is the one who calls; a number typed is not a subscriber
    is_subscriber = shown.found == [] and phones.number_in(words) is None
    answer = page(
        request, "search.html", status=status, viewer=viewer, found=shown.found, words=words, error=error,
        typed=shown.typed.typed if shown.typed else {"subscriber_id": [words if is_subscriber else ""]},
        kept=shown.taken, needs=NEEDS,
        tasks=owed, waiting=waiting, campaigns=state.config.campaigns, channels=("call", "app", "visit"),
        of_task=shown.of_task, is_unknown=error is not None and error.code == "unknown_subscriber",
    )  # fmt: skip
    answer.headers.update(headers_of(request, status))
    return answer
