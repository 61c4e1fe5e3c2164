"""The forms of a ticket: every action people have on it, sent from its page."""

from fastapi import APIRouter, Request, Response

from include.desk.pages.fields import Typed
from include.desk.pages.sending import lead_to, receipt_of
from include.desk.pages.ticket import Refusal, show
from include.desk.tickets.actions import TICKET_ACTIONS, TicketAction
from include.desk.tickets.form_fields import Fields
from include.desk.tickets.transaction import Actor
from include.desk.viewer import Viewer
from include.desk.web.identity import needs
from include.desk.web.receipts import once
from include.desk.web.rendering import taken
from include.domain.errors import BadInput, Refused

router = APIRouter()


def _route(action: TicketAction) -> None:
    viewer_of = needs(*action.right)

    def submit(request: Request, ticket_id: int, typed: Typed, viewer: Viewer = viewer_of) -> Response:
        return _submitted(request, viewer, ticket_id, action, typed)

    router.post(f"/tickets/{{ticket_id}}/{action.name}", name=action.name)(submit)


def _submitted(
    request: Request, viewer: Viewer, ticket_id: int, action: TicketAction, typed: Fields
) -> Response:
    """Act, then show the ticket anew; refused, show it with the sentence and everything that was typed."""
    state = request.app.state
    version = typed.number("version")
    if version is None:
        raise BadInput(
            "The form lacks the version it was filled in for. Open the ticket again.",
            code="form_without_version",
        )
    try:
        with state.database.working() as db:
            actor = Actor(db, state.config, viewer.staff_id, ticket_id, version, state.clock())
            once(db, receipt_of(request, viewer, typed), lambda: action.submit(actor, typed))
    except (Refused, BadInput) as error:
        return show(request, viewer, ticket_id, Refusal(error, action.name, typed.typed, version))
    return taken(request, lead_to(request, f"/tickets/{ticket_id}"), f"{ticket_id}-{action.name}")


for _action in TICKET_ACTIONS:
    _route(_action)
