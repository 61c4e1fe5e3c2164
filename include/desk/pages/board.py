"""The board of one campaign or of all: funnel, service levels, endings, money; for leads and managers."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated, Any

import sqlalchemy as sa
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import get_user
from fastapi import APIRouter, Depends, Query, Request, Response

from include.desk.board import charts
from include.desk.board.csv_export import as_csv
from include.desk.board.figures import LONGEST_EXPORT, read_board, read_section
from include.desk.board.scope import BoardScope, board_scope
from include.desk.board.sections import SECTIONS
from include.desk.board.tables import FIGURES, STEPS_OVER_ALL_TEAMS, Section, Table
from include.desk.board.wording import board_words
from include.desk.campaigns import ALL
from include.desk.viewer import BOARD, Viewer
from include.desk.web.identity import needs
from include.desk.web.rendering import language_of, page, theme_of
from include.domain.errors import BadInput

router = APIRouter()

Looker = Annotated[Viewer, needs("GET", BOARD)]


@dataclass(frozen=True)
class BoardAddress:
    """The part of an address that says what the board is of: a campaign or `all`, and a cycle or month."""

    campaign: Annotated[str, Query(max_length=60)] = ""
    cycle: Annotated[str, Query(max_length=60)] = ""


Chosen = Annotated[BoardAddress, Depends()]


@contextmanager
def _looking(
    request: Request, viewer: Viewer, chosen: BoardAddress
) -> Iterator[tuple[sa.Connection, BoardScope]]:
    """A transaction of the viewer, and what the board is of."""
    state = request.app.state
    with state.database.reading(viewer.staff_id) as db:
        yield db, board_scope(db, state.config, chosen.campaign, chosen.cycle, state.clock())


@router.get("/board")
def show_board(
    request: Request, viewer: Looker, chosen: Chosen, dag: Annotated[str, Query(max_length=60)] = "",
    user: Any = Depends(get_user),
) -> Response:  # fmt: skip
    """Every section, of the lead's own team or of all teams; of one campaign's `cycle`, or of a month of all.

    Beside a run of a campaign's `dag` it is of that campaign.
    """
    config = request.app.state.config
    of_dag = dag if dag in config.campaigns else ""
    chosen = replace(chosen, campaign=chosen.campaign or of_dag)
    with _looking(request, viewer, chosen) as (db, scope):
        tables = read_board(db, scope, viewer)
    words = board_words(config, language_of(request), scope.campaigns)
    return page(
        request, "board.html", viewer=viewer, scope=scope, tables=tables, all=ALL,
        heading=words.heading, in_words=words.value, figures=FIGURES,
        runs=_runs(request, user, scope), over_all=STEPS_OVER_ALL_TEAMS, longest=f"{LONGEST_EXPORT:,}",
    )  # fmt: skip


@router.get("/board/{name}.csv")
def export_section(request: Request, viewer: Looker, name: str, chosen: Chosen) -> Response:
    """One section as a CSV file: figures and names of staff, nothing of subscribers."""
    section = _section(name)
    with _looking(request, viewer, chosen) as (db, scope):
        table = read_section(db, section, scope, viewer)
    return as_file(request, table, f"{name}-{scope.campaign}-{scope.period or 'none'}.csv", scope.campaigns)


@router.get("/board/{name}.svg")
def draw_section(
    request: Request, viewer: Looker, name: str, chosen: Chosen, narrow: bool = False
) -> Response:
    """One section as a picture, in the reader's colours; narrow for a telephone."""
    pictures = {each.name: each.picture for each in SECTIONS.values() if each.picture is not None}
    if name not in pictures:
        raise BadInput(
            "'{typed}' has no chart. Choose one of {sections}.",
            code="no_chart", typed=name, sections=list(pictures),
        )  # fmt: skip
    with _looking(request, viewer, chosen) as (db, scope):
        table = read_section(db, SECTIONS[name], scope, viewer)
    words = board_words(request.app.state.config, language_of(request), scope.campaigns)
    picture = pictures[name](table, words, charts.Look(theme_of(request), narrow))
    return Response(picture, media_type="image/svg+xml", headers={"Content-Security-Policy": charts.POLICY})


def as_file(request: Request, table: Table, name: str, campaigns: Iterable[str]) -> Response:
    """A table as a CSV file to save, in the words of these campaigns."""
    words = board_words(request.app.state.config, language_of(request), campaigns)
    last = (
        words.screen("board.left_out", shown=f"{len(table.rows):,}", more=f"{table.left_out:,}")
        if table.left_out
        else ""
    )
    return Response(
        as_csv(table, words, last).encode(), media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )  # fmt: skip


def _section(name: str) -> Section:
    if name not in SECTIONS:
        raise BadInput(
            "'{typed}' is not a section of the board. Choose one of {sections}.",
            code="unknown_section", typed=name, sections=list(SECTIONS),
        )  # fmt: skip
    return SECTIONS[name]


def _runs(request: Request, user: Any, scope: BoardScope) -> dict[str, str]:
    """Where Airflow lists the runs of the period, by campaign; of those whose runs Airflow shows the viewer."""
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails

    manager, root = get_auth_manager(), request.scope.get("root_path", "").removesuffix("/desk")
    return {
        name: f"{root}/dags/{name}/runs?partition_key_pattern={scope.period}"
        for name in scope.campaigns
        if scope.period
        and manager.is_authorized_dag(
            method="GET", access_entity=DagAccessEntity.RUN, details=DagDetails(id=name), user=user
        )
    }
