"""Which pictures the board has: what of a section's table becomes bars, for one campaign and for all of them."""

from collections.abc import Callable, Mapping
from typing import Any

from include.desk.board import charts
from include.desk.board.sections import (
    CAMPAIGN,
    CLOCK,
    COUNT,
    STEPS_OVER_ALL_TEAMS,
    STRATEGY,
    VERDICTS,
    WORD,
    Table,
)

Words = Callable[..., str]
Heading = Callable[[str], str]
Told = Callable[[str, Any], str]


def _funnel(table: Table, t: Words, heading: Heading, told: Told, look: charts.Look) -> bytes:
    # against the subscribers every later step is a hair; the picture begins where the tickets do
    rows = [row for row in table.rows if row["step"] not in STEPS_OVER_ALL_TEAMS]
    labels = [t(f"board.steps.{row['step']}") for row in rows]
    columns = [name for name in _counts(table) if name != "together"]
    columns = [name for name in columns if name != "before" or any(row[name] is not None for row in rows)]
    series = {heading(name): [_figure(row[name]) for row in rows] for name in columns}
    return charts.bars(t("board.sections.funnel"), labels, series, look)


def _service(table: Table, t: Words, heading: Heading, told: Told, look: charts.Look) -> bytes:
    """Of one campaign its last clock by team; of all of them each clock."""
    if "clock" in table.section.columns:
        rows, columns = table.rows, list(VERDICTS)
        labels = [f"{told(CAMPAIGN, row['campaign'])} · {told(CLOCK, row['clock'])}" for row in rows]
    else:
        rows, columns = (
            [row for row in table.rows if row["level"] == "team"],
            _counts(table)[-len(VERDICTS) :],
        )
        labels = [told(f"{WORD}board.teams", row["team"]) for row in rows]
    series = {heading(name): [_figure(row[name]) for row in rows] for name in columns}
    return charts.stacked(t("board.sections.service"), labels, series, look, charts.VERDICTS)


def _outcomes(table: Table, t: Words, heading: Heading, told: Told, look: charts.Look) -> bytes:
    """Of one campaign by strategy; of all of them by campaign."""
    kind = CAMPAIGN if any(row["kind"] == CAMPAIGN for row in table.rows) else STRATEGY
    rows = [row for row in table.rows if row["kind"] == kind]
    labels = [told(kind, row["value"]) for row in rows]
    series = {
        heading(name): [_figure(row[name]) for row in rows] for name in _counts(table) if name != "closed"
    }
    return charts.stacked(t("board.sections.outcomes"), labels, series, look)


def _effect(table: Table, t: Words, heading: Heading, told: Told, look: charts.Look) -> bytes:
    rows = [row for row in table.rows if row["treated_left"] is not None][:6]
    series = {
        heading(name): [_figure(row[name]) for row in rows] for name in ("treated_left", "held_out_left")
    }
    is_of_all = CAMPAIGN in table.section.columns
    labels = [
        f"{told(CAMPAIGN, row[CAMPAIGN])} · {row['cycle']}" if is_of_all else row["cycle"] for row in rows
    ]
    return charts.bars(t("board.sections.effect"), labels, series, look, is_share=True)


def _counts(table: Table) -> list[str]:
    return [name for name, kind in table.section.columns.items() if kind == COUNT]


def _figure(value: Any) -> float | None:
    return None if value is None else float(value)


#: Section → the picture of its table.
DRAWN: Mapping[str, Callable[[Table, Words, Heading, Told, charts.Look], bytes]] = {
    "funnel": _funnel,
    "service": _service,
    "outcomes": _outcomes,
    "effect": _effect,
}
