"""The writes of the JSON API: the same rights and the same ticket functions as the forms, declared in one table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Request, Response

from include.desk.api import bodies
from include.desk.api.answers import Done
from include.desk.api.bodies import Body, Id
from include.desk.api.repeating import Key, receipt_of
from include.desk.tickets import checks, contacts, plans, tasks, work
from include.desk.tickets.acting import Actor
from include.desk.viewer import DESK, TEAM, Method, Viewer
from include.desk.web.identity import needs
from include.desk.web.receipts import once
from include.domain.errors import BadInput

router = APIRouter()
Act = Callable[..., int]
Match = Annotated[str | None, Header(alias="If-Match", pattern=r'^(W/)?"?[1-9][0-9]{0,8}"?$')]


@dataclass(frozen=True)
class Action:
    """One write: its address below the ticket, what it takes, what it does, and the right it needs."""

    name: str
    body: type[Body]
    act: Act
    told: str
    right: tuple[Method, str] = ("PUT", DESK)


def _merge(actor: Actor, **fields: Any) -> int:
    return work.merge(actor, **fields)[0]


_LEAD: tuple[Method, str] = ("PUT", TEAM)
ACTIONS = (
    Action("claim", Body, work.claim, "Take an unassigned ticket of the own team."),
    Action("contact", bodies.Contact, contacts.record_contact, "Record an attempt to reach the subscriber."),
    Action("survey", bodies.Survey, contacts.record_survey, "Record what the subscriber needs."),
    Action("check", bodies.Check, checks.record_checks, "Tick items of the campaign's checklist."),
    Action("plan", bodies.Plan, plans.record_plan, "Record an offer; its cost is reserved."),
    Action("processing", bodies.Processing, plans.record_processing, "Record what became of the newest plan."),
    Action("pause", bodies.Pause, work.pause, "Rest the clocks until a promised call-back."),
    Action("resume", Body, work.resume, "End a pause."),
    Action("close", bodies.Close, work.close, "Close with an outcome."),
    Action("hand_back", bodies.Reason, work.hand_back, "Return the ticket to the team's queue; its clocks go on."),
    Action("do_not_call", bodies.Said, contacts.do_not_call, "The customer wants no calls: ends all their tickets."),
    Action("open_task", bodies.Task, tasks.open_task, "Charge a problem to another unit."),
    Action("finish_task", bodies.Finished, tasks.finish_task, "Record what the unit did."),
    Action("reassign", bodies.Reassign, work.reassign, "Give the ticket to somebody else of its team.", _LEAD),
    Action("merge", bodies.Merge, _merge, "Fold the ticket into the customer's other one.", _LEAD),
    Action("cancel", bodies.Reason, work.cancel, "Withdraw the ticket; its clocks are void.", _LEAD),
    Action("reopen", bodies.Reason, work.reopen, "Open a closed ticket again with new clocks.", _LEAD),
)  # fmt: skip


@dataclass(frozen=True)
class Asking:
    """Who asks for a write to which ticket, before its body is looked at."""

    request: Request
    response: Response
    ticket_id: int
    seen: int | None
    key: str | None


def _asking(
    request: Request,
    response: Response,
    ticket_id: Annotated[Id, Path()],
    key: Key = None,
    match: Match = None,
) -> Asking:
    seen = int(match.removeprefix("W/").strip('"')) if match else None
    return Asking(request, response, ticket_id, seen, key)


def _route(action: Action) -> None:
    viewer_of = needs(*action.right)

    def write(body: Body, viewer: Viewer = viewer_of, asked: Asking = Depends(_asking)) -> Done:
        return _do(action, asked, viewer, body)

    write.__annotations__["body"] = action.body  # FastAPI reads from it what the action takes
    router.post(f"/tickets/{{ticket_id}}/{action.name}", name=action.name, description=action.told)(write)


for _action in ACTIONS:
    _route(_action)


def _do(action: Action, asked: Asking, viewer: Viewer, body: Body) -> Done:
    """Act once, whatever is repeated under the same key."""
    fields, version, state = (
        body.model_dump(exclude={"version"}),
        _version(asked, body),
        asked.request.app.state,
    )
    receipt = receipt_of(asked.request, viewer, asked.key, action.name, asked.ticket_id, version, fields)
    with state.database.working() as db:
        actor = Actor(db, state.config, viewer.staff_id, asked.ticket_id, version, state.clock())
        left = once(db, receipt, lambda: action.act(actor, **fields)).value
    asked.response.headers["ETag"] = f'"{left}"'
    return Done(ticket_id=asked.ticket_id, version=left)


def _version(asked: Asking, body: Body) -> int:
    told = {version for version in (asked.seen, body.version) if version is not None}
    if len(told) != 1:
        raise BadInput(
            "Name the version the ticket was seen in once: as 'version' or in the header If-Match.",
            code="version_once",
        )
    return told.pop()
