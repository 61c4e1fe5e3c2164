"""The figures of the board, of one campaign's cycle or of a month of all: funnel, service levels, endings, rates."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from include.database.queries import load
from include.desk.board import shaping
from include.desk.board.asking import Asked
from include.desk.board.sections import CAMPAIGN, QUEUE, SECTIONS, Section, Table
from include.desk.campaigns import ALL
from include.desk.viewer import Viewer
from include.domain.periods.months import ZONE

Q = {**load("desk/board"), **load("desk/campaigns")}
QUEUED = load("desk/queue")

#: Success and effect are told of so many cycles.
HISTORY = 24
#: A list longer than this is worked from the queue, not from the board.
LONGEST_LIST = 100
#: Of a lead's closed tickets this share is drawn for a look at the quality of the work.
SAMPLE_SHARE = 0.05
#: A file is written in the process that also answers task heartbeats; what a longer one leaves out is told in it.
LONGEST_EXPORT = 20_000


def read_section(db: sa.Connection, section: Section, asked: Asked, viewer: Viewer) -> Table:
    """A section's rows as the viewer may see them; inside a transaction of theirs."""
    values = _values(section, asked) | {
        "everybody": viewer.role == "manager",
        "branch_code": viewer.branch_code,
    }
    rows = [dict(row) for row in db.execute(Q[section.statement], values).mappings()]
    table = _SHAPED.get(section.name, _as_read)(section, rows, asked)
    return _by_campaign(table) if section.is_by_campaign and asked.campaign == ALL else table


def _values(section: Section, asked: Asked) -> dict[str, Any]:
    own = asked.config.campaigns.get(asked.campaign)
    is_of_two = section.name == "funnel" and asked.campaign != ALL
    return {
        "campaigns": list(asked.campaigns),
        "cycles": [*asked.cycles, *(asked.before if is_of_two else ())],
        "shadows": asked.campaign != ALL,
        "is_over_all": asked.campaign == ALL,
        "willing": asked.config.willing(asked.campaigns),
        "service": [name for name, each in asked.config.campaigns.items() if each.kind == "service"],
        "splits": list(own.splits) if own else [],
        "now": asked.now,
        "day": asked.now.astimezone(ZONE).date(),
        "limit": HISTORY if section.name in ("effect", "success") else LONGEST_LIST,
        "share": SAMPLE_SHARE,
    }


def read_board(db: sa.Connection, asked: Asked, viewer: Viewer) -> list[Table]:
    """Every section of this board."""
    return [read_section(db, section, asked, viewer) for section in sections_of(asked)]


def sections_of(asked: Asked) -> Iterator[Section]:
    """The sections this board has; one by splits only where the campaign splits its list or shares its figures."""
    board, own = asked.board, asked.config.campaigns.get(asked.campaign)
    is_split = own is not None and bool(
        own.splits or own.routing.shared_by or own.routing.by in ("manager", "seller")
    )
    for section in SECTIONS.values():
        if board in section.boards and (section.name != "splits" or is_split):
            yield section


def read_queue(db: sa.Connection, viewer: Viewer, campaign: str | None) -> Table:
    """The most urgent unfinished tickets, of one campaign or of all, and how many more there are.

    Those of a lead's team, of all teams for a manager.
    """
    team = None if viewer.role == "manager" else viewer.team
    values = {"team": team, "campaign": campaign, "limit": LONGEST_EXPORT}
    rows = [dict(row) for row in db.execute(QUEUED["read_queue"], values).mappings()]
    is_cut = len(rows) == LONGEST_EXPORT
    left_out = db.execute(QUEUED["count_queue"], values).scalar_one() - len(rows) if is_cut else 0
    return Table(QUEUE, rows, left_out)


def _as_read(section: Section, rows: shaping.Rows, asked: Asked) -> Table:
    return Table(section, rows)


def _by_campaign(table: Table) -> Table:
    """The table with the campaign of every row in front."""
    columns = {"campaign": CAMPAIGN, **table.section.columns}
    return replace(table, section=replace(table.section, columns=columns))


_SHAPED: Mapping[str, Callable[[Section, shaping.Rows, Asked], Table]] = {
    "funnel": shaping.funnel,
    "service": shaping.service,
    "outcomes": shaping.outcomes,
    "rates": shaping.rates,
    "splits": shaping.rates,
    "success": shaping.success,
}
