"""The board of one campaign or of all: funnel, service levels, endings, money; for leads and managers."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import sqlalchemy as sa
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import get_user
from fastapi import APIRouter, Depends, Query, Request, Response

from include.desk.board import charts
from include.desk.board.asking import Asked, asked
from include.desk.board.csv_export import as_csv
from include.desk.board.drawing import DRAWN
from include.desk.board.figures import LONGEST_EXPORT, read_board, read_section
from include.desk.board.sections import FIGURES, SECTIONS, STEPS_OVER_ALL_TEAMS, Section, Table
from include.desk.board.wording import headings_in, teller
from include.desk.campaigns import ALL
from include.desk.viewer import BOARD, Viewer
from include.desk.web.identity import needs
from include.desk.web.rendering import language_of, page, theme_of
from include.desk.words import words_in
from include.domain.errors import BadInput

router = APIRouter()

Looker = Annotated[Viewer, needs("GET", BOARD)]
Named = Annotated[str, Query(max_length=60)]


@contextmanager
def _looking(
    request: Request, viewer: Viewer, campaign: str, cycle: str
) -> Iterator[tuple[sa.Connection, Asked]]:
    """A transaction of the viewer, and what is asked for."""
    state = request.app.state
    with state.database.reading(viewer.staff_id) as db:
        yield db, asked(db, state.config, campaign, cycle, state.clock())


@router.get("/board")
def show_board(
    request: Request, viewer: Looker, campaign: Named = "", cycle: Named = "", dag: Named = "",
    user: Any = Depends(get_user),
) -> Response:  # fmt: skip
    """Every section, of the lead's own team or of all teams; of one campaign's `cycle`, or of a month of all.

    Beside a run of a campaign's `dag` it is of that campaign.
    """
    config, language = request.app.state.config, language_of(request)
    campaign = campaign or (dag if dag in config.campaigns else "")
    with _looking(request, viewer, campaign, cycle) as (db, wanted):
        tables = read_board(db, wanted, viewer)
    return page(
        request, "board.html", viewer=viewer, asked=wanted, tables=tables, all=ALL,
        heading=headings_in(language), told=teller(config, language, wanted.campaigns), figures=FIGURES,
        runs=_runs(request, user, wanted), over_all=STEPS_OVER_ALL_TEAMS, longest=f"{LONGEST_EXPORT:,}",
    )  # fmt: skip


@router.get("/board/{name}.csv")
def export_section(
    request: Request, viewer: Looker, name: str, campaign: Named = "", cycle: Named = ""
) -> Response:
    """One section as a CSV file: figures and names of staff, nothing of subscribers."""
    section = _section(name)
    with _looking(request, viewer, campaign, cycle) as (db, wanted):
        table = read_section(db, section, wanted, viewer)
    return as_file(
        request, table, f"{name}-{wanted.campaign}-{wanted.period or 'none'}.csv", wanted.campaigns
    )


@router.get("/board/{name}.svg")
def draw_section(
    request: Request,
    viewer: Looker,
    name: str,
    campaign: Named = "",
    cycle: Named = "",
    narrow: bool = False,
) -> Response:
    """One section as a picture, in the reader's colours; narrow for a telephone."""
    if name not in DRAWN:
        raise BadInput(
            "'{typed}' has no chart. Choose one of {sections}.",
            code="no_chart",
            typed=name,
            sections=list(DRAWN),
        )
    with _looking(request, viewer, campaign, cycle) as (db, wanted):
        table = read_section(db, SECTIONS[name], wanted, viewer)
    language = language_of(request)
    t, told = words_in(language), teller(request.app.state.config, language, wanted.campaigns)
    look = charts.Look(theme_of(request), narrow)
    picture = DRAWN[name](table, t, lambda column: headings_in(language)(table, column), told, look)
    return Response(picture, media_type="image/svg+xml", headers={"Content-Security-Policy": charts.POLICY})


def as_file(request: Request, table: Table, name: str, campaigns: Iterable[str]) -> Response:
    """A table as a CSV file to save, in the words of these campaigns."""
    language = language_of(request)
    t = words_in(language)
    last = (
        t("board.left_out", shown=f"{len(table.rows):,}", more=f"{table.left_out:,}")
        if table.left_out
        else ""
    )
    told = teller(request.app.state.config, language, campaigns)
    text = as_csv(table, headings_in(language), told, last)
    return Response(
        text.encode(), media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )  # fmt: skip


def _section(name: str) -> Section:
    if name not in SECTIONS:
        raise BadInput(
            "'{typed}' is not a section of the board. Choose one of {sections}.",
            code="unknown_section", typed=name, sections=list(SECTIONS),
        )  # fmt: skip
    return SECTIONS[name]


def _runs(request: Request, user: Any, wanted: Asked) -> dict[str, str]:
    """Where Airflow lists the runs of the period, by campaign; of those whose runs Airflow shows the viewer."""
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails

    manager, root = get_auth_manager(), request.scope.get("root_path", "").removesuffix("/desk")
    return {
        name: f"{root}/dags/{name}/runs?partition_key_pattern={wanted.period}"
        for name in wanted.campaigns
        if wanted.period
        and manager.is_authorized_dag(
            method="GET", access_entity=DagAccessEntity.RUN, details=DagDetails(id=name), user=user
        )
    }
