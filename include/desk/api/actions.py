"""The writes of the JSON API: the same rights and the same ticket functions as the forms."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Header, Path, Request, Response

from include.desk import contacts, plans, work
from include.desk.acting import Actor
from include.desk.api.bodies import Body, Close, Contact, Done, Pause, Plan, Processing, Survey, TicketId
from include.desk.api.receipts import Receipt, request_sha256
from include.desk.identity import Viewer, Worker
from include.domain.errors import BadInput, Refused

router = APIRouter()
Act = Callable[..., int]
Key = Annotated[str | None, Header(alias="Idempotency-Key", pattern=r"^[\x21-\x7e]{1,200}$")]
Match = Annotated[str | None, Header(alias="If-Match", pattern=r'^(W/)?"?[1-9][0-9]{0,8}"?$')]


@dataclass(frozen=True)
class Asking:
    """Who asks for a write to which ticket, before its body is looked at."""

    request: Request
    response: Response
    viewer: Viewer
    ticket_id: int
    seen: int | None
    key: str | None


def _asking(
    request: Request,
    response: Response,
    viewer: Worker,
    ticket_id: Annotated[TicketId, Path()],
    key: Key = None,
    match: Match = None,
) -> Asking:
    seen = int(match.removeprefix("W/").strip('"')) if match else None
    return Asking(request, response, viewer, ticket_id, seen, key)


Asked = Annotated[Asking, Depends(_asking)]


@router.post("/tickets/{ticket_id}/claim")
def claim(asked: Asked, body: Body) -> Done:
    """Take an unassigned ticket of the own team."""
    return _do(asked, body, work.claim)


@router.post("/tickets/{ticket_id}/contact")
def contact(asked: Asked, body: Contact) -> Done:
    """Record an attempt to reach the subscriber."""
    return _do(asked, body, contacts.record_contact)


@router.post("/tickets/{ticket_id}/survey")
def survey(asked: Asked, body: Survey) -> Done:
    """Record what the subscriber needs."""
    return _do(asked, body, contacts.record_survey)


@router.post("/tickets/{ticket_id}/plan")
def plan(asked: Asked, body: Plan) -> Done:
    """Record an offer; its cost is reserved."""
    return _do(asked, body, plans.record_plan)


@router.post("/tickets/{ticket_id}/processing")
def processing(asked: Asked, body: Processing) -> Done:
    """Record what became of the newest plan."""
    return _do(asked, body, plans.record_processing)


@router.post("/tickets/{ticket_id}/pause")
def pause(asked: Asked, body: Pause) -> Done:
    """Rest the plan clock until a promised call-back."""
    return _do(asked, body, work.pause)


@router.post("/tickets/{ticket_id}/resume")
def resume(asked: Asked, body: Body) -> Done:
    """End a pause."""
    return _do(asked, body, work.resume)


@router.post("/tickets/{ticket_id}/close")
def close(asked: Asked, body: Close) -> Done:
    """Close with an outcome."""
    return _do(asked, body, work.close)


def _do(asked: Asking, body: Body, act: Act) -> Done:
    """Act once, whatever is repeated under the same key."""
    fields = body.model_dump(exclude={"version"})
    version = _version(asked, body)
    receipt = _receipt(asked, act.__name__, version, fields)
    with asked.request.app.state.database.working() as db:
        left = receipt.find(db) if receipt else None
        if left is None:
            actor = _actor(asked, db, version, receipt)
            left = _act(actor, receipt, lambda: act(actor, **fields))
    asked.response.headers["ETag"] = f'"{left}"'
    return Done(ticket_id=asked.ticket_id, version=left)


def _version(asked: Asking, body: Body) -> int:
    told = {version for version in (asked.seen, body.version) if version is not None}
    if len(told) != 1:
        raise BadInput(
            "Name the version the ticket was seen in once: as 'version' or in the header If-Match."
        )
    return told.pop()


def _receipt(asked: Asking, action: str, version: int, fields: Any) -> Receipt | None:
    if asked.key is None:
        return None
    digest = request_sha256(action, asked.ticket_id, version, fields)
    now = asked.request.app.state.clock()
    return Receipt(asked.viewer.staff_id, asked.key, digest, asked.ticket_id, now)


def _actor(asked: Asking, db: sa.Connection, version: int, receipt: Receipt | None) -> Actor:
    state, who = asked.request.app.state, asked.viewer.staff_id
    written = partial(receipt.write, db) if receipt else None
    return Actor(db, state.config, who, asked.ticket_id, version, state.clock(), written)


def _act(actor: Actor, receipt: Receipt | None, act: Callable[[], int]) -> int:
    try:
        return act()
    except Refused:
        # sent twice at once, the second waited for the first and found its version gone
        left = receipt.find(actor.db) if receipt else None
        if left is None:
            raise
        return left
