"""The writes of the JSON API: every action people have on a ticket, under the rights of the forms."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Request, Response

from include.desk.api.answers import Done
from include.desk.api.bodies import Body, Id, body_of
from include.desk.api.repeating import Key, receipt_of
from include.desk.tickets.actions import TICKET_ACTIONS, TicketAction
from include.desk.tickets.transaction import Actor
from include.desk.viewer import Viewer
from include.desk.web.identity import needs
from include.desk.web.receipts import once
from include.domain.errors import BadInput

router = APIRouter()
Match = Annotated[str | None, Header(alias="If-Match", pattern=r'^(W/)?"?[1-9][0-9]{0,8}"?$')]


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


def _route(action: TicketAction) -> None:
    viewer_of = needs(*action.right)

    def write(body: Body, viewer: Viewer = viewer_of, asked: Asking = Depends(_asking)) -> Done:
        return _do(action, asked, viewer, body)

    write.__annotations__["body"] = body_of(action.takes)  # FastAPI reads from it what the action takes
    router.post(f"/tickets/{{ticket_id}}/{action.name}", name=action.name, description=action.description)(
        write
    )


for _action in TICKET_ACTIONS:
    _route(_action)


def _do(action: TicketAction, asked: Asking, viewer: Viewer, body: Body) -> Done:
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
    named = {version for version in (asked.seen, body.version) if version is not None}
    if len(named) != 1:
        raise BadInput(
            "Name the version the ticket was seen in once: as 'version' or in the header If-Match.",
            code="version_once",
        )
    return named.pop()
