"""One ticket: who, why, what to offer, by when; and the forms that work it."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from include.desk import contacts, plans, work
from include.desk.acting import Actor
from include.desk.identity import DESK, TEAM, Reader, Viewer, Worker
from include.desk.rendering import page
from include.domain.errors import BadInput, LoopError, Refused
from include.domain.outcome import NEEDS, OUTCOMES
from include.domain.ticket import ACTIONS
from include.queries import load

Q = load("desk_ticket")
router = APIRouter(prefix="/tickets/{ticket_id}")

Note = Annotated[str, Form(max_length=2000)]
Word = Annotated[str, Form(max_length=60)]


@router.get("")
def show_ticket(
    request: Request,
    viewer: Reader,
    ticket_id: int,
) -> Response:
    """The ticket as it stands now."""
    return _shown(request, viewer, ticket_id)


@router.post("/contact")
def contact(
    request: Request, viewer: Worker, ticket_id: int, version: Annotated[int, Form()], channel: Word, result: Word,
    call_back_on: Annotated[str, Form(max_length=10)] = "", note: Note = "",
) -> Response:  # fmt: skip
    """Record an attempt to reach the subscriber."""
    typed = {"channel": channel, "result": result, "call_back_on": call_back_on, "note": note}

    def act(actor: Actor) -> None:
        contacts.record_contact(
            actor, channel=channel, result=result, call_back_on=_day(call_back_on), note=note or None
        )

    return _done(request, viewer, ticket_id, version, act, {"contact": typed})


@router.post("/survey")
def survey(
    request: Request, viewer: Worker, ticket_id: int, version: Annotated[int, Form()],
    needs_told: Annotated[list[str], Form(alias="needs")] = [], note: Note = "",  # noqa: B006  # FastAPI copies it
) -> Response:  # fmt: skip
    """Record what the subscriber needs."""

    def act(actor: Actor) -> None:
        contacts.record_survey(actor, needs=needs_told, note=note or None)

    return _done(request, viewer, ticket_id, version, act, {"survey": {"needs": needs_told, "note": note}})


@router.post("/plan")
def plan(
    request: Request, viewer: Worker, ticket_id: int, version: Annotated[int, Form()], strategy: Word, note: Note = "",
) -> Response:  # fmt: skip
    """Record the offer made."""

    def act(actor: Actor) -> None:
        plans.record_plan(actor, strategy=strategy, note=note or None)

    return _done(request, viewer, ticket_id, version, act, {"plan": {"strategy": strategy, "note": note}})


@router.post("/pause")
def pause(
    request: Request, viewer: Worker, ticket_id: int, version: Annotated[int, Form()],
    call_back_on: Annotated[str, Form(max_length=10)],
) -> Response:  # fmt: skip
    """Rest until the promised call-back."""

    def act(actor: Actor) -> None:
        promised = _day(call_back_on)
        if promised is None:
            raise BadInput("A pause needs the promised call-back date. Choose a day.")
        work.pause(actor, call_back_on=promised)

    return _done(request, viewer, ticket_id, version, act, {"pause": {"call_back_on": call_back_on}})


@router.post("/close")
def close(
    request: Request, viewer: Worker, ticket_id: int, version: Annotated[int, Form()], outcome: Word,
) -> Response:  # fmt: skip
    """Close with an outcome."""

    def act(actor: Actor) -> None:
        work.close(actor, outcome=outcome)

    return _done(request, viewer, ticket_id, version, act, {"close": {"outcome": outcome}})


def _simple(action: str, function: Callable[[Actor], int]) -> None:
    """A route for an action that needs nothing but a click."""

    def route(request: Request, viewer: Worker, ticket_id: int, version: Annotated[int, Form()]) -> Response:
        return _done(request, viewer, ticket_id, version, function, {})

    router.post(f"/{action}", name=action)(route)


_simple("claim", work.claim)
_simple("resume", work.resume)


def _done(
    request: Request, viewer: Viewer, ticket_id: int, version: int, act: Callable[[Actor], Any],
    typed: dict[str, Any],
) -> Response:  # fmt: skip
    """Act, then show the ticket anew; refused, show it with the sentence and everything that was typed."""
    state = request.app.state
    try:
        with state.database.working() as db:
            act(Actor(db, state.config, viewer.staff_id, ticket_id, version, state.clock()))
    except (Refused, BadInput) as error:
        status = 409 if isinstance(error, Refused) else 422
        return _shown(request, viewer, ticket_id, refused=error, typed=typed, status=status, seen=version)
    root = request.scope.get("root_path", "")
    return RedirectResponse(f"{root}/tickets/{ticket_id}", status_code=303)


def _shown(
    request: Request, viewer: Viewer, ticket_id: int, *, refused: LoopError | None = None,
    typed: dict[str, Any] | None = None, status: int = 200, seen: int | None = None,
) -> Response:  # fmt: skip
    state = request.app.state
    with state.database.reading(viewer.staff_id) as db:
        key = {"ticket_id": ticket_id}
        ticket = db.execute(Q["read_ticket"], key).mappings().one_or_none()
        if ticket is None:
            return page(request, "error.html", status=404, viewer=viewer, kind="not_found", message="")
        read = {
            name: list(db.execute(Q[f"read_{name}"], key).mappings())
            for name in ("clocks", "events", "attempts", "surveys", "plans")
        }
    return page(
        request, "ticket.html", status=status, viewer=viewer, ticket=ticket, evidence=ticket["evidence"],
        refused=refused, typed=typed or {}, changed_since=_changed(read["events"], ticket, seen),
        may=_possible(ticket["state"], viewer), needs=NEEDS, outcomes=OUTCOMES,
        strategies=state.config.strategies.strategies, **read,
    )  # fmt: skip


def _changed(events: list[Any], ticket: Any, seen: int | None) -> list[Any]:
    """What others did since the version the person saw."""
    if seen is None or seen >= ticket["version"]:
        return []
    return [event for event in events if event["version"] > seen]


def _possible(state: str, viewer: Viewer) -> set[str]:
    """The actions the life cycle offers this person in this state."""
    if not viewer.may("PUT", DESK):
        return set()
    return {
        name for name, action in ACTIONS.items() if state in action.since and viewer.role in action.by
        if name not in ("reassign", "cancel", "reopen") or viewer.may("PUT", TEAM)
    }  # fmt: skip


def _day(text: str) -> date | None:
    """A date typed into a form; None when empty."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"'{text}' is not a date. Write it as 2026-11-09.") from None
