"""The figures of the board: a month's funnel, service levels, outcomes, money and the state of the machine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from include.desk.identity import Viewer
from include.desk.sections import QUEUE, SECTIONS, STEPS, Section, Table
from include.domain.errors import BadInput
from include.domain.months import ZONE
from include.queries import load

Q = load("desk_board")

CYCLES = 24
#: A list longer than this is worked from the queue, not from the board.
LONGEST_LIST = 100
#: Of a lead's closed tickets this share is drawn for a look at the quality of the work.
SAMPLE_SHARE = 0.05
#: A file is written in the process that also answers task heartbeats; what a longer one leaves out is told in it.
LONGEST_EXPORT = 20_000


@dataclass(frozen=True)
class Asked:
    """Which campaign and cycle, the cycle before it, and when; no cycle before the first was opened."""

    campaign: str
    cycles: tuple[str, ...]
    cycle: str | None
    before: str | None
    month: str | None
    now: datetime


def asked(db: sa.Connection, campaign: str, cycle: str | None, now: datetime) -> Asked:
    """The cycle named, else the newest one; BadInput for a cycle that does not exist."""
    rows = db.execute(Q["list_cycles"], {"campaign": campaign, "limit": CYCLES}).all()
    known = [row.cycle for row in rows]
    if cycle and cycle not in known:
        raise BadInput(
            "'{typed}' is not a cycle of campaign '{campaign}'. Choose one of {cycles}.",
            code="unknown_cycle", typed=cycle, campaign=campaign, cycles=known,
        )  # fmt: skip
    chosen = cycle or (known[0] if known else None)
    at = known.index(chosen) if chosen else 0
    before = known[at + 1] if at + 1 < len(known) else None
    return Asked(campaign, tuple(known), chosen, before, rows[at].month if chosen else None, now)


def read_section(db: sa.Connection, section: Section, asked: Asked, viewer: Viewer) -> Table:
    """A section's rows as the viewer may see them; inside a transaction of theirs."""
    cycles = [cycle for cycle in (asked.cycle, asked.before) if cycle]
    values = {
        "campaign": asked.campaign,
        "cycle": asked.cycle,
        "cycles": cycles,
        "now": asked.now,
        "day": asked.now.astimezone(ZONE).date(),
        "limit": CYCLES if section.name == "effect" else LONGEST_LIST,
        "share": SAMPLE_SHARE,
        "everybody": viewer.role == "manager",
        "branch_code": viewer.branch_code,
    }
    rows = [dict(row) for row in db.execute(Q[section.statement], values).mappings()]
    return Table(section, _SHAPED.get(section.name, _as_read)(rows, asked))


def read_board(db: sa.Connection, asked: Asked, viewer: Viewer) -> list[Table]:
    """Every section."""
    return [read_section(db, section, asked, viewer) for section in SECTIONS.values()]


def read_queue(db: sa.Connection, viewer: Viewer) -> Table:
    """The most urgent unfinished tickets of a lead's team, of all teams for a manager, and how many more there are."""
    values = {"team": None if viewer.role == "manager" else viewer.team, "limit": LONGEST_EXPORT}
    rows = [dict(row) for row in db.execute(Q["read_queue"], values).mappings()]
    is_cut = len(rows) == LONGEST_EXPORT
    left_out = db.execute(Q["count_queue"], values).scalar_one() - len(rows) if is_cut else 0
    return Table(QUEUE, rows, left_out)


def _as_read(rows: Sequence[Mapping[str, Any]], asked: Asked) -> Sequence[Mapping[str, Any]]:
    return rows


def _funnel(rows: Sequence[Mapping[str, Any]], asked: Asked) -> list[dict[str, Any]]:
    """One row a step: this cycle, the one before, how they differ, and the share of the step before."""
    found = {row["cycle"]: row for row in rows}
    this, before = found.get(asked.cycle, {}), found.get(asked.before, {})
    shaped: list[dict[str, Any]] = []
    last: int | None = None
    for step in STEPS:
        count, old = this.get(step), before.get(step)
        change = None if count is None or not old else float((count - old) / old)
        if step == "closed":  # closing needs no processed plan
            last = this.get("contacted")
        of_before = None if count is None or not last else float(count / last)
        shaped.append({"step": step, "this": count, "before": old, "change": change, "of_before": of_before})
        # the held out leave the way here: they are compared with the warned, and so are the dispatched
        last = last if step == "held_out" else count
    return shaped


_SHAPED: Mapping[str, Callable[[Sequence[Mapping[str, Any]], Asked], Sequence[Mapping[str, Any]]]] = {
    "funnel": _funnel,
}
