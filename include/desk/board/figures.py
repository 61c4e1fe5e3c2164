"""The figures of the board, of one campaign's cycle or of a month of all: funnel, service levels, endings, rates."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from include.database.queries import load
from include.desk.board.scope import BoardScope
from include.desk.board.sections import QUEUE, SECTIONS
from include.desk.board.tables import CAMPAIGN, Section, Table
from include.desk.campaigns import ALL
from include.desk.viewer import Viewer
from include.domain.periods.months import ZONE

Q = {**load("desk/board"), **load("desk/campaigns")}
QUEUED = load("desk/queue")

#: Of a lead's closed tickets this share is drawn for a look at the quality of the work.
SAMPLE_SHARE = 0.05
#: A file is written in the process that also answers task heartbeats; what a longer one leaves out is told in it.
LONGEST_EXPORT = 20_000


def read_section(db: sa.Connection, section: Section, scope: BoardScope, viewer: Viewer) -> Table:
    """A section's rows as the viewer may see them; inside a transaction of theirs."""
    values = _values(section, scope) | {
        "everybody": viewer.role == "manager",
        "branch_code": viewer.branch_code,
    }
    rows = [dict(row) for row in db.execute(Q[section.statement], values).mappings()]
    table = section.shape(section, rows, scope)
    return _by_campaign(table) if section.is_by_campaign and scope.campaign == ALL else table


def _values(section: Section, scope: BoardScope) -> dict[str, Any]:
    own = scope.config.campaigns.get(scope.campaign)
    is_of_two = section.reads_before and scope.campaign != ALL
    return {
        "campaigns": list(scope.campaigns),
        "cycles": [*scope.cycles, *(scope.before if is_of_two else ())],
        "shadows": scope.campaign != ALL,
        "is_over_all": scope.campaign == ALL,
        "willing": scope.config.willing(scope.campaigns),
        "service": [name for name, each in scope.config.campaigns.items() if each.kind == "service"],
        "splits": list(own.splits) if own else [],
        "now": scope.now,
        "day": scope.now.astimezone(ZONE).date(),
        "limit": section.limit,
        "share": SAMPLE_SHARE,
    }


def read_board(db: sa.Connection, scope: BoardScope, viewer: Viewer) -> list[Table]:
    """Every section of this board."""
    return [read_section(db, section, scope, viewer) for section in sections_of(scope)]


def sections_of(scope: BoardScope) -> Iterator[Section]:
    """The sections this board has."""
    return (each for each in SECTIONS.values() if scope.board in each.boards and each.stands(scope))


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


def _by_campaign(table: Table) -> Table:
    """The table with the campaign of every row in front."""
    columns = {"campaign": CAMPAIGN, **table.section.columns}
    return replace(table, section=replace(table.section, columns=columns))
