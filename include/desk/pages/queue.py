"""The queue: the tickets a person works, most urgent first."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

import sqlalchemy as sa
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from include.clocks.ticket_clocks import Clocks, read_clocks
from include.config import Config
from include.database.queries import load
from include.desk.tickets.form_fields import Fields
from include.desk.tickets.reassignment import Result
from include.desk.viewer import TEAM, Viewer
from include.desk.web.identity import Reader
from include.desk.web.receipts import read_answer
from include.desk.web.rendering import THEMES, page
from include.desk.words import LANGUAGES
from include.domain.countdown import urgency
from include.domain.errors import BadInput
from include.domain.text.canonical import canonical_id

Q = load("desk/queue")
SAVED = load("desk/views")
router = APIRouter()

PAGE = 30
TIERS = ("priority", "secondary", "monitoring")
OPEN = ["assigned", "in_progress", "paused"]


@dataclass(frozen=True)
class View:
    """One tab of the queue: which states, and whether own, unassigned or escalated ones only."""

    name: str
    states: tuple[str, ...]
    is_own: bool = False
    is_unassigned: bool = False
    is_escalated: bool = False
    roles: tuple[str, ...] = ("agent", "lead", "manager")


VIEWS = {
    view.name: view
    for view in (
        View("mine", tuple(OPEN), is_own=True, roles=("agent", "lead")),
        View("team", tuple(OPEN)),
        View("unassigned", tuple(OPEN), is_unassigned=True),
        View("waiting", ("waiting",), roles=("lead", "manager")),
        View("escalated", tuple(OPEN), is_escalated=True, roles=("lead", "manager")),
        View("paused", ("paused",)),
        View("closed", ()),
    )
}


@dataclass(frozen=True)
class Filters:
    """What of a view is shown; None filters nothing."""

    campaign: str | None = None
    grade: str | None = None
    region: str | None = None
    tier: str | None = None
    segment: str | None = None

    @classmethod
    def of(
        cls,
        campaign: str | None,
        grade: str | None,
        region: str | None,
        tier: str | None,
        segment: str | None,
    ) -> "Filters":
        """As typed: an empty one is none, and a region is canonical."""
        region = canonical_id(region or "")
        return cls(*(typed or None for typed in (campaign, grade, region, tier, segment)))


@dataclass(frozen=True)
class Asked:
    """What the address asks for: view, filters, and the last ticket of the page before."""

    view: View
    filters: Filters
    after_at: str | None = None
    after_id: int | None = None

    @property
    def query(self) -> str:
        """The filters as the end of an address, for links and for views that are kept."""
        return urlencode({"view": self.view.name} | {n: v for n, v in asdict(self.filters).items() if v})

    def of(self, campaign: str | None) -> "Asked":
        """The same of one campaign, or of all of them, from its first page."""
        return Asked(self.view, replace(self.filters, campaign=campaign))


@router.get("/")
def show_queue(
    request: Request,
    viewer: Reader,
    view: str = "",
    grade: Annotated[str | None, Query(max_length=10)] = None,
    region: Annotated[str | None, Query(max_length=40)] = None,
    tier: Annotated[str | None, Query(max_length=20)] = None,
    segment: Annotated[str | None, Query(max_length=40)] = None,
    campaign: Annotated[str | None, Query(max_length=63)] = None,
    after: Annotated[str | None, Query(max_length=60)] = None,
    none_left: bool = False,
    told: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """One page of a view of the queue; `told`: the key under which tickets were just given away."""
    asked = asked_for(viewer, view, Filters.of(campaign, grade, region, tier, segment), after)
    now, config = request.app.state.clock(), request.app.state.config
    with request.app.state.database.reading(viewer.staff_id) as db:
        tickets, next_page = read_page(db, config, viewer, asked, now)
        counts = count_campaigns(db, config, viewer, asked)
        saved = db.execute(SAVED["read_saved"], {"staff_id": viewer.staff_id}).all()
        heirs = _heirs(db, viewer) if asked.view.states and viewer.may("PUT", TEAM) else []
        given = _given(db, viewer, told, now) if told else []
    return page(
        request, "queue.html", viewer=viewer, views=_views(viewer), asked=asked, tickets=tickets, saved=saved,
        heirs=heirs, given=given, none_left=none_left, tiers=TIERS,
        segments=config.strategies.segments, campaigns=config.campaigns, counts=counts, next_page=next_page,
    )  # fmt: skip


def asked_for(viewer: Viewer, view: str, filters: Filters, after: str | None) -> Asked:
    """What an address asks for; BadInput for a view that is not the person's or a place that is none."""
    return Asked(_view(view, viewer), filters, *_position(after))


def read_page(
    db: sa.Connection, config: Config, viewer: Viewer, asked: Asked, now: datetime
) -> tuple[list[dict[str, Any]], str | None]:
    """The tickets of one page with urgency and working time left, and the place where the next page begins."""
    rows = _rows(db, asked, viewer)
    clocks = read_clocks(db, config, now)
    timed = [_timed(dict(row), now, clocks) for row in rows[:PAGE]]
    return timed, _next_page(timed) if len(rows) > PAGE else None


def count_campaigns(db: sa.Connection, config: Config, viewer: Viewer, asked: Asked) -> dict[str, int | None]:
    """How many tickets of the view each campaign has, the filters aside; of few views only which campaigns there are.

    What is finished is not counted, for it is nearly everything; nor what is escalated, which no index tells.
    """
    view = asked.view
    if not view.states or view.is_escalated:
        live = (name for name, each in config.campaigns.items() if not each.shadow)
        return dict.fromkeys(sorted(live))
    values = {**_whose(view, viewer), "states": list(view.states), "unassigned": view.is_unassigned}
    return {row.campaign: row.tickets for row in db.execute(Q["count_campaigns"], values)}


def _given(db: sa.Connection, viewer: Viewer, key: str, now: datetime) -> list[Result]:
    """What became of the tickets the person gave away under a key; nothing of any other form."""
    answer = read_answer(db, viewer.staff_id, key, now)
    given = answer.get("given", []) if isinstance(answer, dict) else []
    return [Result.from_json(each) for each in given]


def address_of(typed: Fields, viewer: Viewer) -> Asked:
    """The view and filters a form of the queue was sent from."""
    names = ("campaign", "grade", "region", "tier", "segment")
    filters = Filters.of(*((typed.text(name) or "")[:63] for name in names))
    return Asked(_view(typed.text("view") or "", viewer), filters)


def _heirs(db: sa.Connection, viewer: Viewer) -> Sequence[Any]:
    """Who may be given tickets: the person, and the agents of the team."""
    mates = db.execute(Q["read_heirs"], {"team": viewer.team, "staff_id": viewer.staff_id})
    return mates.all()


@router.get("/choose")
def choose(
    request: Request,
    viewer: Reader,
    language: str = "",
    theme: str = "",
    back: str = "",
) -> Response:
    """Remember language or colours in a cookie, and go back to where the person was."""
    root = request.scope.get("root_path", "")
    target = back if back.startswith(f"{root}/") and not back.startswith("//") else f"{root}/"
    answer = RedirectResponse(target, status_code=303)
    for cookie, chosen, known in (("desk_language", language, LANGUAGES), ("desk_theme", theme, THEMES)):
        if chosen in known:
            answer.set_cookie(
                cookie, chosen, max_age=31_536_000, path=root or "/", httponly=True, samesite="lax"
            )
    return answer


def _views(viewer: Viewer) -> list[View]:
    return [view for view in VIEWS.values() if viewer.role in view.roles]


def _view(name: str, viewer: Viewer) -> View:
    allowed = _views(viewer)
    if not name:
        return allowed[0]
    found = next((view for view in allowed if view.name == name), None)
    if found is None:
        raise BadInput(
            "'{typed}' is not a view of yours. Choose one of {views}.",
            code="unknown_view", typed=name, views=[view.name for view in allowed],
        )  # fmt: skip
    return found


def _position(after: str | None) -> tuple[str | None, int | None]:
    """The keyset position `<instant>,<ticket>` of the last row shown."""
    if not after:
        return None, None
    at, _, ticket = after.partition(",")
    try:
        return at if at == "infinity" else datetime.fromisoformat(at).isoformat(), int(ticket)
    except ValueError:
        raise BadInput(
            "'{typed}' is not a place in the queue. Start from its first page.", code="no_place", typed=after
        ) from None


def _rows(db: sa.Connection, asked: Asked, viewer: Viewer) -> list[Any]:
    values: dict[str, Any] = {
        **_whose(asked.view, viewer),
        "after_at": asked.after_at,
        "after_id": asked.after_id,
        "limit": PAGE + 1,
        **asdict(asked.filters),
    }
    if not asked.view.states:
        return list(db.execute(Q["read_finished"], values).mappings())
    values |= {
        "states": list(asked.view.states),
        "unassigned": asked.view.is_unassigned,
        "escalated": asked.view.is_escalated,
        "pooled": viewer.role != "agent",
    }
    return list(db.execute(Q["read_open"], values).mappings())


def _whose(view: View, viewer: Viewer) -> dict[str, Any]:
    """Whose tickets a view reads: the viewer's own, nobody's of a team, everybody's of a team or of all.

    Row-level security would leave the same ones; said here, each part is read from an index of its own.
    """
    is_agent, is_manager = viewer.role == "agent", viewer.role == "manager"
    is_of_team = not view.is_own and not is_manager
    return {
        "own": viewer.staff_id if view.is_own or (is_agent and not view.is_unassigned) else None,
        "nobodys": viewer.team if is_of_team and (is_agent or view.is_unassigned) else None,
        "everybodys": not view.is_own and (is_manager or not (is_agent or view.is_unassigned)),
        "team": None if is_manager else viewer.team,
    }


def _timed(row: dict[str, Any], now: datetime, clocks: Clocks) -> dict[str, Any]:
    """The row with its urgency and the working time left."""
    if row.get("due_at") is None:
        return row | {"urgency": None, "left": None}
    terms = clocks.terms(row["campaign"], row["tier"], row["team"], row["branch_code"])
    left = terms.left(now, row["due_at"])
    stands: str = urgency(row["due_at"], row["warn_at"], now)
    if row["state"] == "paused" and stands != "overdue":
        stands = "paused"  # the days until the promised call-back do not count: nothing presses
    return row | {"urgency": stands, "left": left}


def _next_page(rows: list[dict[str, Any]]) -> str:
    last = rows[-1]
    at = last.get("closed_at") or last.get("due_at")
    return f"{at.isoformat() if at else 'infinity'},{last['ticket_id']}"
