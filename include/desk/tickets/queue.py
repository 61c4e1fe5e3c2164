"""The queue: which tickets a person works, most urgent first, by views, filters and pages.

Every function reads within the open transaction of the person it is for.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NotRequired, TypedDict, cast
from urllib.parse import urlencode

import sqlalchemy as sa

from include.clocks.ticket_clocks import Clocks, read_clocks
from include.config import Config
from include.database.queries import load
from include.desk.viewer import Viewer
from include.domain.countdown import urgency
from include.domain.errors import BadInput
from include.domain.text.canonical import canonical_id

Q = load("desk/queue")

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
class Selection:
    """What of the queue is shown: view, filters, and the last ticket of the page before."""

    view: View
    filters: Filters
    after_at: str | None = None
    after_id: int | None = None

    @property
    def query(self) -> str:
        """The filters as the end of an address, for links and for views that are kept."""
        return urlencode({"view": self.view.name} | {n: v for n, v in asdict(self.filters).items() if v})

    def of(self, campaign: str | None) -> "Selection":
        """The same of one campaign, or of all of them, from its first page."""
        return Selection(self.view, replace(self.filters, campaign=campaign))


class QueueTicket(TypedDict):
    """A ticket as the queue shows it: what every one has, then what open ones have, then what finished ones have.

    `left` is the working time until `due_at`, negative when overdue; both are None without a running clock.
    """

    ticket_id: int
    version: int
    campaign: str
    state: str
    subscriber_id: str
    grade: str | None
    tier: str
    region_code: str | None
    value_yuan: Decimal | None
    team: str
    assignee_id: int | None
    assignee: str | None
    urgency: str | None
    left: timedelta | None
    branch_code: NotRequired[str | None]
    paused_until: NotRequired[date | None]
    expected_on: NotRequired[date | None]
    frozen_at: NotRequired[datetime | None]
    top_reason: NotRequired[Any]
    top_rule: NotRequired[Any]
    segments: NotRequired[list[str] | None]
    due_at: NotRequired[datetime | None]
    warn_at: NotRequired[datetime | None]
    is_provisional: NotRequired[bool | None]
    breached_at: NotRequired[datetime | None]
    outcome: NotRequired[str | None]
    closed_at: NotRequired[datetime | None]


@dataclass(frozen=True)
class QueuePage:
    """The tickets of one page, and the place where the next one begins; None on the last."""

    tickets: list[QueueTicket]
    next_place: str | None


def select_view(viewer: Viewer, view: str, filters: Filters, after: str | None) -> Selection:
    """A view under filters from a place on; BadInput for a view that is not the person's or a place that is none."""
    return Selection(view_named(view, viewer), filters, *_position(after))


def read_page(
    db: sa.Connection, config: Config, viewer: Viewer, selection: Selection, now: datetime
) -> QueuePage:
    """One page of tickets with urgency and working time left."""
    rows = _rows(db, selection, viewer)
    clocks = read_clocks(db, config, now)
    timed = [_timed(dict(row), now, clocks) for row in rows[:PAGE]]
    return QueuePage(timed, _place_after(timed[-1]) if len(rows) > PAGE else None)


def count_campaigns(
    db: sa.Connection, config: Config, viewer: Viewer, selection: Selection
) -> dict[str, int | None]:
    """How many tickets of the view each campaign has, the filters aside; of few views only which campaigns there are.

    What is finished is not counted, for it is nearly everything; nor what is escalated, which no index tells.
    """
    view = selection.view
    if not view.states or view.is_escalated:
        live = (name for name, each in config.campaigns.items() if not each.shadow)
        return dict.fromkeys(sorted(live))
    values = {**_whose(view, viewer), "states": list(view.states), "unassigned": view.is_unassigned}
    return {row.campaign: row.tickets for row in db.execute(Q["count_campaigns"], values)}


def heirs_of(db: sa.Connection, viewer: Viewer) -> Sequence[Any]:
    """Who may be given tickets: the person, and the agents of the team."""
    mates = db.execute(Q["read_heirs"], {"team": viewer.team, "staff_id": viewer.staff_id})
    return mates.all()


def views_of(viewer: Viewer) -> list[View]:
    """The views a person has, the one shown first in front."""
    return [view for view in VIEWS.values() if viewer.role in view.roles]


def view_named(name: str, viewer: Viewer) -> View:
    """The person's view of this name, without one their first; BadInput for one that is not theirs."""
    allowed = views_of(viewer)
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


def _rows(db: sa.Connection, selection: Selection, viewer: Viewer) -> list[Any]:
    values: dict[str, Any] = {
        **_whose(selection.view, viewer),
        "after_at": selection.after_at,
        "after_id": selection.after_id,
        "limit": PAGE + 1,
        **asdict(selection.filters),
    }
    if not selection.view.states:
        return list(db.execute(Q["read_finished"], values).mappings())
    values |= {
        "states": list(selection.view.states),
        "unassigned": selection.view.is_unassigned,
        "escalated": selection.view.is_escalated,
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


def _timed(row: dict[str, Any], now: datetime, clocks: Clocks) -> QueueTicket:
    """The row with its urgency and the working time left."""
    due_at: datetime | None = row.get("due_at")
    if due_at is None:
        return cast("QueueTicket", row | {"urgency": None, "left": None})
    terms = clocks.terms(row["campaign"], row["tier"], row["team"], row["branch_code"])
    left = terms.left(now, due_at)
    how_urgent: str = urgency(due_at, row["warn_at"], now)
    if row["state"] == "paused" and how_urgent != "overdue":
        how_urgent = "paused"  # the days until the promised call-back do not count: nothing presses
    return cast("QueueTicket", row | {"urgency": how_urgent, "left": left})


def _place_after(ticket: QueueTicket) -> str:
    """The keyset position of the page after this ticket, as `_position` reads it."""
    at = ticket.get("closed_at") or ticket.get("due_at")
    return f"{at.isoformat() if at else 'infinity'},{ticket['ticket_id']}"
