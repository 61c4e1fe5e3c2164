"""What the board shows, as data: each section is one statement, its columns, and how a figure of them is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: How a column is told: as it is, as a count, share, money, instant, day, link to a ticket, or a word of the catalogue.
TEXT, COUNT, SHARE, YUAN, INSTANT, DAY, TICKET = "text", "count", "share", "yuan", "instant", "day", "ticket"
FIGURES = frozenset({COUNT, SHARE, YUAN})
WORD = "word:"
#: What a row is about is named in its column `kind`, and told accordingly.
BY_KIND = "by kind"
STRATEGY = "strategy"
_KINDS: Mapping[str, str] = {
    "strategy": STRATEGY,
    "team": f"{WORD}board.teams",
    "grade": f"{WORD}grades",
    "cluster": f"{WORD}board.clusters",
}


@dataclass(frozen=True)
class Section:
    """One table of the board; `columns` maps each column of the statement to how it is told."""

    name: str
    statement: str
    columns: Mapping[str, str]
    is_over_all_teams: bool = False
    is_drawn: bool = False

    def kind_of(self, column: str, row: Mapping[str, Any]) -> str:
        """How a cell is told."""
        kind = self.columns[column]
        return _KINDS.get(row["kind"], TEXT) if kind == BY_KIND else kind


@dataclass(frozen=True)
class Table:
    """A section with its rows, and how many more there are than a file may hold."""

    section: Section
    rows: Sequence[Mapping[str, Any]]
    left_out: int = 0


STEPS = (
    "subscribers", "scored", "warned", "held_out", "dispatched", "released", "contacted", "planned", "processed",
    "closed", "retained",
)  # fmt: skip
#: Steps before the tickets: nobody has a team yet.
STEPS_OVER_ALL_TEAMS = STEPS[:3]
OUTCOMES = ("retained", "considering", "declined", "no_intention", "refused_contact", "unreachable")
_CLOCKS = (
    "contact_on_time", "contact_breached", "contact_open", "plan_on_time", "plan_breached", "plan_open",
)  # fmt: skip
_WHO = {"level": f"{WORD}board.levels", "team": f"{WORD}board.teams", "agent": TEXT}


def _counts(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, COUNT)


SECTIONS: Mapping[str, Section] = {
    section.name: section
    for section in (
        Section(
            "funnel", "read_funnel",
            {"step": f"{WORD}board.steps", "this": COUNT, "before": COUNT, "change": SHARE, "of_before": SHARE},
            is_drawn=True,
        ),
        Section(
            "service", "read_service", {**_WHO, **_counts(*_CLOCKS), "plan_on_time_share": SHARE}, is_drawn=True
        ),
        Section(
            "breaches", "read_breaches",
            {"ticket_id": TICKET, "clock": f"{WORD}clocks", "team": f"{WORD}board.teams", "agent": TEXT,
             "cycle": TEXT, "due_at": INSTANT},
        ),
        Section(
            "ages", "read_ages",
            {"team": f"{WORD}board.teams", "agent": TEXT,
             **_counts("days_3", "days_7", "days_14", "days_more", "unfinished", "oldest")},
        ),
        Section(
            "oldest", "read_oldest",
            {"ticket_id": TICKET, "state": f"{WORD}states", "team": f"{WORD}board.teams", "agent": TEXT,
             "cycle": TEXT, "released_at": INSTANT},
        ),
        Section(
            "sample", "read_sample",
            {"ticket_id": TICKET, "team": f"{WORD}board.teams", "agent": TEXT, "outcome": f"{WORD}outcomes",
             "closed_at": INSTANT},
        ),
        Section(
            "outcomes", "read_outcomes",
            {"kind": f"{WORD}board.kinds", "value": BY_KIND, **_counts(*OUTCOMES, "closed"), "retained_share": SHARE},
            is_drawn=True,
        ),
        Section(
            "rates", "read_rates",
            {**_WHO, **_counts("released", "reached", "willing", "completed"), "reached_share": SHARE,
             "willing_share": SHARE, "completed_share": SHARE},
        ),
        Section(
            "effect", "read_effect",
            {"cycle": TEXT, "treated": COUNT, "treated_left": SHARE, "held_out": COUNT, "held_out_left": SHARE,
             "avoided": SHARE, "avoided_low": SHARE, "avoided_high": SHARE, "saves": COUNT},
            is_over_all_teams=True, is_drawn=True,
        ),
        Section(
            "outreach", "read_outreach",
            {"decision": f"{WORD}board.decisions", "channel": f"{WORD}channels", "subscribers": COUNT},
            is_over_all_teams=True,
        ),
        Section(
            "pots", "read_pots",
            {"branch_code": f"{WORD}board.branches", "starts_on": DAY, "ends_on": DAY, "limit_yuan": YUAN,
             "reserved_yuan": YUAN, "committed_yuan": YUAN, "left_yuan": YUAN, "used_share": SHARE},
        ),
        Section(
            "deliveries", "read_deliveries",
            {"feed": TEXT, "period": TEXT, "collected_at": INSTANT,
             **_counts("rows_accepted", "rows_quarantined"), "is_complete": f"{WORD}board.yes"},
            is_over_all_teams=True,
        ),
        Section(
            "quarantine", "read_quarantine",
            {"feed": TEXT, "period": TEXT, "file": TEXT, "column_name": TEXT, "reason": TEXT, "rows": COUNT},
            is_over_all_teams=True,
        ),
        Section(
            "stages", "read_stages", {"stage": TEXT, "finished_at": INSTANT}, is_over_all_teams=True
        ),
        Section(
            "heartbeats", "read_heartbeats", {"name": TEXT, "ticked_at": INSTANT}, is_over_all_teams=True
        ),
    )
}  # fmt: skip

#: The queue as a file: no section of the board, but told in the same way.
QUEUE = Section(
    "queue", "read_queue",
    {"ticket_id": TEXT, "campaign": TEXT, "cycle": TEXT, "state": f"{WORD}states", "grade": f"{WORD}grades",
     "tier": TEXT, "team": f"{WORD}board.teams", "branch_code": TEXT, "region_code": TEXT, "value_yuan": YUAN,
     "subscriber": TEXT, "agent": TEXT, "released_at": INSTANT, "due_at": INSTANT, "breached_at": INSTANT},
)  # fmt: skip
