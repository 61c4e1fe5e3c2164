"""One ticket in ten seconds: who, why, what to offer, by when, what has been done, and what may be done now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from include.clocks.ticket_clocks import read_clocks
from include.config import Config
from include.config.readers.campaign import CLOCKS
from include.database.queries import load
from include.desk.calls.phones import number_of
from include.desk.calls.talks import waiting_refusals
from include.desk.pages.customer import facts_of_customer, reasons_of, strategies_of
from include.desk.tickets.actions import TICKET_ACTIONS
from include.desk.tickets.next_ticket import must_say_why
from include.desk.tickets.offers import offers_for
from include.desk.tickets.procedure import next_contact
from include.desk.tickets.transaction import Actor
from include.desk.viewer import DESK, PHONES, TEAM, Viewer
from include.desk.web.errors import headers_of, status_of
from include.desk.web.identity import Reader
from include.desk.web.rendering import language_of, page
from include.domain.deadline import Deadline
from include.domain.errors import LoopError
from include.domain.ticket import UNFINISHED, is_taking
from include.run.cycles import campaign_of
from include.words.deadlines import explain_days
from include.words.ladder import step_in_words
from include.words.outcomes import NEEDS, OUTCOMES

Q = load("desk/ticket")
router = APIRouter()

NEXT = load("desk/next")
_READ = ("clocks", "events", "attempts", "surveys", "checks", "plans", "tasks", "others", "past_contacts")


@dataclass(frozen=True)
class Refusal:
    """A write that was not done: why, which form, what was typed into it, for which version."""

    error: LoopError
    form: str
    typed: Mapping[str, list[str]] = field(default_factory=dict)
    version: int = 0

    @property
    def status(self) -> int:
        """422 for what was typed wrong, 409 for what may not happen now, 429 for too much of it today."""
        return status_of(self.error)


@dataclass(frozen=True)
class Given:
    """A number given for some minutes: `reveal`, `call` (a link that dials), `dialled` by the system."""

    kind: str
    number: str | None


@router.get("/tickets/{ticket_id}")
def show_ticket(
    request: Request, ticket_id: int, viewer: Reader, use: int | None = None, dialled: bool = False
) -> Response:
    """The ticket as it stands now, with its number right after the person was given it."""
    given = (
        Given("dialled", None)
        if dialled
        else None
        if use is None
        else _given(request, viewer, ticket_id, use)
    )
    return show(request, viewer, ticket_id, given=given)


def _given(request: Request, viewer: Viewer, ticket_id: int, use_id: int) -> Given | None:
    state = request.app.state
    with state.database.working() as db:
        used = number_of(db, staff_id=viewer.staff_id, use_id=use_id, now=state.clock())
    return Given(used.kind, used.number) if used is not None and used.ticket_id == ticket_id else None


def show(
    request: Request,
    viewer: Viewer,
    ticket_id: int,
    refusal: Refusal | None = None,
    given: Given | None = None,
) -> Response:
    """The ticket's page, after a refusal with its sentence and what was typed; 404 when it is not theirs."""
    state, language, key = request.app.state, language_of(request), {"ticket_id": ticket_id}
    with state.database.reading(viewer.staff_id) as db:
        ticket = db.execute(Q["read_ticket"], key).mappings().one_or_none()
        if ticket is None:
            return page(request, "error.html", status=404, viewer=viewer, kind="not_found", message="")
        read: dict[str, Any] = {name: list(db.execute(Q[f"read_{name}"], key).mappings()) for name in _READ}
        read["offers"] = _offers(db, state, viewer, ticket)
        hold = _hold(db, state, viewer, ticket_id)
        left = _left(db, state, ticket, read["clocks"])
        read["waiting"] = _waiting(db, viewer, ticket_id)
        read["team_mates"] = list(db.execute(Q["read_team_mates"], {"team": ticket["team"]}).mappings())
        campaign = campaign_of(db, state.config, ticket["campaign"], ticket["cycle"])
    read["others"] = [_called(other, state.config) for other in read["others"]]
    status = refusal.status if refusal else 200
    answer = page(
        request, "ticket.html", status=status, viewer=viewer, ticket=ticket,
        evidence=ticket["evidence"], refusal=refusal, typed=_typed(refusal),
        changed_since=_changed_since(read["events"], ticket["version"], refusal),
        left=left, explained={_key(clock): _explained(clock, language) for clock in read["clocks"]},
        step=_step(state, viewer, ticket), may=_possible(ticket, viewer),
        campaign=campaign, needs={**NEEDS, **campaign.needs}, outcomes=campaign.catalogue,
        clock_words={**CLOCKS, **campaign.clocks}, given=given, hold=hold,
        who=facts_of_customer(ticket["evidence"], state.config.factors),
        why=reasons_of(ticket["evidence"], state.config.factors),
        chosen=strategies_of(ticket["evidence"]), known=state.config.strategies,
        is_callable=is_callable(ticket, viewer), **read,
    )  # fmt: skip
    answer.headers.update(headers_of(request, status))
    return answer


def _called(other: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """Another ticket, whether it goes on, and words of its campaign and outcome; without any it shows as it came."""
    campaign = config.campaigns.get(other["campaign"])
    catalogue = OUTCOMES if campaign is None else campaign.catalogue
    words = {"campaign_words": campaign, "outcome_words": catalogue.get(other["outcome"] or "")}
    return {**other, **words, "is_unfinished": other["state"] in UNFINISHED}


def _offers(db: sa.Connection, state: Any, viewer: Viewer, ticket: Mapping[str, Any]) -> Any:
    if ticket["state"] not in UNFINISHED:
        return None
    return offers_for(db, state.config, ticket["ticket_id"], role=viewer.role, now=state.clock())


def _waiting(db: sa.Connection, viewer: Viewer, ticket_id: int) -> list[Any]:
    """The refusals of the ticket's customer that wait for the lead or manager who looks."""
    found = waiting_refusals(db, viewer.staff_id) if viewer.may("GET", TEAM) else []
    return [each for each in found if ticket_id in each["ticket_ids"]]


def _step(state: Any, viewer: Viewer, ticket: Mapping[str, Any]) -> Any:
    """The next step of the contact ladder while there is one."""
    if ticket["state"] not in UNFINISHED or ticket["released_at"] is None:
        return None
    with state.database.working() as db:
        seen = ticket["ticket_id"], ticket["version"]
        return step_in_words(next_contact(Actor(db, state.config, viewer.staff_id, *seen, state.clock())))


@dataclass(frozen=True)
class Hold:
    """The ticket was given to the person as the next one: until when, and whether passing it by takes a reason."""

    until: datetime
    must_say_why: bool


def _hold(db: sa.Connection, state: Any, viewer: Viewer, ticket_id: int) -> Hold | None:
    now = state.clock()
    found = db.execute(NEXT["find_hold"], {"ticket_id": ticket_id, "now": now}).one_or_none()
    if found is None or found.staff_id != viewer.staff_id:
        return None
    return Hold(found.held_until, must_say_why(db, state.rules, viewer.staff_id, now))


def is_callable(ticket: Mapping[str, Any], viewer: Viewer) -> bool:
    """Whether the number may be used: a ticket in work, not frozen, and Airflow's right to it."""
    is_in_work = ticket["state"] in UNFINISHED and ticket["released_at"] is not None
    is_theirs = not (_lies_in_pool(ticket) and is_taking("contact", viewer.role))
    is_free = ticket["frozen_at"] is None and is_theirs
    return is_in_work and is_free and bool(ticket["phone"]) and viewer.may("GET", PHONES)


def _key(clock: Mapping[str, Any]) -> tuple[str, int]:
    return clock["clock"], clock["round"]


def _left(
    db: sa.Connection, state: Any, ticket: Mapping[str, Any], clocks: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, int], timedelta]:
    """The working time left of each clock that runs; a ticket that is over or paused has none that presses."""
    running = [clock for clock in clocks if not (clock["met_at"] or clock["voided_at"])]
    if not running or ticket["state"] not in UNFINISHED or ticket["state"] == "paused":
        return {}
    now = state.clock()
    known = read_clocks(db, state.config, now)
    terms = known.terms(ticket["campaign"], ticket["tier"], ticket["team"], ticket["branch_code"])
    counted = {
        _key(clock): known.frozen(clock["explanation"]).counted_by(terms.calendar) for clock in running
    }
    return {_key(clock): terms.left(now, clock["due_at"], counted[_key(clock)]) for clock in running}


def _explained(clock: Mapping[str, Any], language: Any) -> list[str]:
    return explain_days(Deadline.from_json(clock["explanation"]), language)


def _typed(refusal: Refusal | None) -> Any:
    """`typed(form, name)`: what was typed into a field of the refused form, as a list."""
    if refusal is None:
        return lambda form, name: []
    return lambda form, name: refusal.typed.get(name, []) if form == refusal.form else []


def _changed_since(events: list[Any], version: int, refusal: Refusal | None) -> list[Any]:
    """What others did since the version the person saw."""
    if refusal is None or not refusal.version or refusal.version >= version:
        return []
    return [event for event in events if event["version"] > refusal.version]


def _possible(ticket: Mapping[str, Any], viewer: Viewer) -> set[str]:
    """The actions the life cycle, the pool and Airflow's rights offer this person on the ticket as it stands."""
    if not viewer.may("PUT", DESK):
        return set()
    return {
        action.name
        for action in TICKET_ACTIONS
        if ticket["state"] in action.transition.since and viewer.role in action.transition.by
        if viewer.may(*action.right)
        if not (_lies_in_pool(ticket) and is_taking(action.name, viewer.role))
    }


def _lies_in_pool(ticket: Mapping[str, Any]) -> bool:
    """Whether it is nobody's, and given to whoever asks for the next one."""
    return ticket["is_pool"] and ticket["assignee_id"] is None and ticket["state"] in UNFINISHED
