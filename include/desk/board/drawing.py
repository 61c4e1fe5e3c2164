"""The pictures of the board: what of a section's table becomes bars, for one campaign and for all of them."""

from typing import Any

from include.desk.board import charts
from include.desk.board.tables import (
    CAMPAIGN,
    CLOCK,
    COUNT,
    STEPS_OVER_ALL_TEAMS,
    STRATEGY,
    TEAM,
    VERDICTS,
    Table,
)
from include.desk.board.wording import BoardWords


def funnel(table: Table, words: BoardWords, look: charts.Look) -> bytes:
    """A bar a step, beside the cycle before or campaign by campaign."""
    # against the subscribers every later step is a hair; the picture begins where the tickets do
    rows = [row for row in table.rows if row["step"] not in STEPS_OVER_ALL_TEAMS]
    labels = [words.screen(f"board.steps.{row['step']}") for row in rows]
    columns = [name for name in _counts(table) if name != "together"]
    columns = [name for name in columns if name != "before" or any(row[name] is not None for row in rows)]
    series = {words.heading(table, name): [_figure(row[name]) for row in rows] for name in columns}
    return charts.bars(words.screen("board.sections.funnel"), labels, series, look)


def service(table: Table, words: BoardWords, look: charts.Look) -> bytes:
    """Of one campaign its last clock by team; of all of them each clock."""
    if "clock" in table.section.columns:
        rows, columns = table.rows, list(VERDICTS)
        labels = [
            f"{words.value(CAMPAIGN, row['campaign'])} · {words.value(CLOCK, row['clock'])}" for row in rows
        ]
    else:
        rows, columns = (
            [row for row in table.rows if row["level"] == "team"],
            _counts(table)[-len(VERDICTS) :],
        )
        labels = [words.value(TEAM, row["team"]) for row in rows]
    series = {words.heading(table, name): [_figure(row[name]) for row in rows] for name in columns}
    return charts.stacked(words.screen("board.sections.service"), labels, series, look, charts.VERDICTS)


def outcomes(table: Table, words: BoardWords, look: charts.Look) -> bytes:
    """Of one campaign by strategy; of all of them by campaign."""
    kind = CAMPAIGN if any(row["kind"] == CAMPAIGN for row in table.rows) else STRATEGY
    rows = [row for row in table.rows if row["kind"] == kind]
    labels = [words.value(kind, row["value"]) for row in rows]
    series = {
        words.heading(table, name): [_figure(row[name]) for row in rows]
        for name in _counts(table)
        if name != "closed"
    }
    return charts.stacked(words.screen("board.sections.outcomes"), labels, series, look)


def effect(table: Table, words: BoardWords, look: charts.Look) -> bytes:
    """Of the newest cycles who left among the contacted and among the held out."""
    rows = [row for row in table.rows if row["treated_left"] is not None][:6]
    series = {
        words.heading(table, name): [_figure(row[name]) for row in rows]
        for name in ("treated_left", "held_out_left")
    }
    is_of_all = CAMPAIGN in table.section.columns
    labels = [
        f"{words.value(CAMPAIGN, row[CAMPAIGN])} · {row['cycle']}" if is_of_all else row["cycle"]
        for row in rows
    ]
    return charts.bars(words.screen("board.sections.effect"), labels, series, look, is_share=True)


def _counts(table: Table) -> list[str]:
    return [name for name, kind in table.section.columns.items() if kind == COUNT]


def _figure(value: Any) -> float | None:
    return None if value is None else float(value)
