"""The board: the month's funnel, service levels, outcomes, money and the machine's state, for leads and managers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import sqlalchemy as sa
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import get_user
from fastapi import APIRouter, Depends, Query, Request, Response

from include.desk import charts
from include.desk.board import LONGEST_EXPORT, Asked, asked, read_board, read_section
from include.desk.identity import BOARD, Viewer, needs
from include.desk.pages.fields import campaign_named
from include.desk.rendering import language_of, page, theme_of
from include.desk.sections import FIGURES, OUTCOMES, SECTIONS, STEPS_OVER_ALL_TEAMS, STRATEGY, Section, Table
from include.desk.sheets import as_csv
from include.desk.wording import heading, teller
from include.desk.words import words_in
from include.domain.errors import BadInput

router = APIRouter()

Looker = Annotated[Viewer, needs("GET", BOARD)]
Named = Annotated[str, Query(max_length=60)]


@contextmanager
def _looking(
    request: Request, viewer: Viewer, campaign: str, cycle: str
) -> Iterator[tuple[sa.Connection, Asked]]:
    """A transaction of the viewer, and the cycle asked for."""
    state = request.app.state
    named = campaign_named(state.config, campaign)
    with state.database.reading(viewer.staff_id) as db:
        yield db, asked(db, named, cycle or None, state.clock())


@router.get("/board")
def show_board(
    request: Request, viewer: Looker, campaign: Named = "", cycle: Named = "", dag: Named = "",
    user: Any = Depends(get_user),
) -> Response:  # fmt: skip
    """Every section, of the lead's own team or of all teams; beside a run of a campaign's `dag` that campaign's."""
    config = request.app.state.config
    campaign = campaign or (dag if dag in config.campaigns else "")
    with _looking(request, viewer, campaign, cycle) as (db, wanted):
        tables = read_board(db, wanted, viewer)
    return page(
        request, "board.html", viewer=viewer, asked=wanted, tables=tables, campaigns=sorted(config.campaigns),
        heading=heading, told=teller(config, language_of(request)), figures=FIGURES,
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
    return as_file(request, table, f"{name}-{wanted.cycle or 'none'}.csv")


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
    if name not in _DRAWN:
        raise BadInput(
            "'{typed}' has no chart. Choose one of {sections}.",
            code="no_chart",
            typed=name,
            sections=list(_DRAWN),
        )
    with _looking(request, viewer, campaign, cycle) as (db, wanted):
        table = read_section(db, SECTIONS[name], wanted, viewer)
    language = language_of(request)
    t, told = words_in(language), teller(request.app.state.config, language)
    picture = _DRAWN[name](table, t, told, charts.Look(theme_of(request), narrow))
    return Response(picture, media_type="image/svg+xml", headers={"Content-Security-Policy": charts.POLICY})


def as_file(request: Request, table: Table, name: str) -> Response:
    """A table as a CSV file to save."""
    language = language_of(request)
    t = words_in(language)
    last = (
        t("board.left_out", shown=f"{len(table.rows):,}", more=f"{table.left_out:,}")
        if table.left_out
        else ""
    )
    told = teller(request.app.state.config, language)
    text = as_csv(table, lambda column: t(heading(column)), told, last)
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


def _runs(request: Request, user: Any, wanted: Asked) -> str | None:
    """Where Airflow lists the cycle's runs; None for a viewer Airflow shows no runs."""
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails

    if wanted.cycle is None or not get_auth_manager().is_authorized_dag(
        method="GET", access_entity=DagAccessEntity.RUN, details=DagDetails(id=wanted.campaign), user=user
    ):
        return None
    root = request.scope.get("root_path", "").removesuffix("/desk")
    return f"{root}/dags/{wanted.campaign}/runs?partition_key_pattern={wanted.cycle}"


Words = Callable[..., str]
Told = Callable[[str, Any], str]


def _funnel(table: Table, t: Words, told: Told, look: charts.Look) -> bytes:
    # against the subscribers every later step is a hair; the picture begins where the tickets do
    rows = [row for row in table.rows if row["step"] not in STEPS_OVER_ALL_TEAMS]
    labels = [t(f"board.steps.{row['step']}") for row in rows]
    series = {t("board.columns.this"): [_figure(row["this"]) for row in rows]}
    if any(row["before"] is not None for row in rows):
        series[t("board.columns.before")] = [_figure(row["before"]) for row in rows]
    return charts.bars(t("board.sections.funnel"), labels, series, look)


def _service(table: Table, t: Words, told: Told, look: charts.Look) -> bytes:
    rows = [row for row in table.rows if row["level"] == "team"]
    labels = [told("word:board.teams", row["team"]) for row in rows]
    series = {
        t(f"board.columns.{name}"): [_figure(row[name]) for row in rows]
        for name in ("plan_on_time", "plan_open", "plan_breached")
    }
    return charts.stacked(t("board.sections.service"), labels, series, look, charts.VERDICTS)


def _outcomes(table: Table, t: Words, told: Told, look: charts.Look) -> bytes:
    rows = [row for row in table.rows if row["kind"] == "strategy"]
    labels = [told(STRATEGY, row["value"]) for row in rows]
    series = {t(f"outcomes.{name}"): [_figure(row[name]) for row in rows] for name in OUTCOMES}
    return charts.stacked(t("board.sections.outcomes"), labels, series, look)


def _effect(table: Table, t: Words, told: Told, look: charts.Look) -> bytes:
    rows = [row for row in table.rows if row["treated_left"] is not None][:6]
    series = {
        t(f"board.columns.{name}"): [_figure(row[name]) for row in rows]
        for name in ("treated_left", "held_out_left")
    }
    return charts.bars(
        t("board.sections.effect"), [row["cycle"] for row in rows], series, look, is_share=True
    )


def _figure(value: Any) -> float | None:
    return None if value is None else float(value)


_DRAWN: dict[str, Callable[[Table, Words, Told, charts.Look], bytes]] = {
    "funnel": _funnel,
    "service": _service,
    "outcomes": _outcomes,
    "effect": _effect,
}
