"""What the board shows, as data: each section is one statement, its columns, and how a figure of them is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from include.config.readers.campaign.work import Worded
from include.domain.text.words import Words

#: How a column is told: as it is, as a count, share, money, instant, day, link to a ticket, or a word of the catalogue.
TEXT, COUNT, SHARE, YUAN, INSTANT, DAY, TICKET = "text", "count", "share", "yuan", "instant", "day", "ticket"
FIGURES = frozenset({COUNT, SHARE, YUAN})
WORD = "word:"
#: What a row is about is named in its column `kind`, and told accordingly.
BY_KIND = "by kind"
#: Told by the words somebody configured.
STRATEGY, CAMPAIGN, OUTCOME, CLOCK = CONFIGURED = ("strategy", "campaign", "outcome", "clock")
_TEAM = f"{WORD}board.teams"
_KINDS: Mapping[str, str] = {
    "campaign": CAMPAIGN,
    "strategy": STRATEGY,
    "team": _TEAM,
    "grade": f"{WORD}grades",
    "cluster": f"{WORD}board.clusters",
}

#: The boards there are: of one campaign, of all of them, and of one that is a shadow.
OF_ONE, OF_ALL, OF_SHADOW = "one", "all", "shadow"


@dataclass(frozen=True)
class Section:
    """One table of the board; `columns` maps each column of the statement to how it is told.

    `is_by_campaign`: on the board of all campaigns every row names its own. `boards` are those it stands on.
    """

    name: str
    statement: str
    columns: Mapping[str, str]
    is_over_all_teams: bool = False
    is_drawn: bool = False
    is_by_campaign: bool = False
    boards: tuple[str, ...] = (OF_ONE, OF_ALL)

    def kind_of(self, column: str, row: Mapping[str, Any]) -> str:
        """How a cell is told."""
        kind = self.columns[column]
        return _KINDS.get(row["kind"], TEXT) if kind == BY_KIND else kind


@dataclass(frozen=True)
class Table:
    """A section with its rows, how many more there are than a file may hold, and the headings a campaign words."""

    section: Section
    rows: Sequence[Mapping[str, Any]]
    left_out: int = 0
    headings: Mapping[str, Worded | Words] = field(default_factory=dict)


STEPS = (
    "subscribers", "scored", "warned", "held_out", "dispatched", "released", "contacted", "planned", "processed",
    "closed", "won",
)  # fmt: skip
#: Steps before the tickets: nobody has a team yet.
STEPS_OVER_ALL_TEAMS = STEPS[:3]
VERDICTS = ("on_time", "breached", "open")
RATES = ("reached", "willing", "completed")
ALL_BOARDS = (OF_ONE, OF_ALL, OF_SHADOW)
_WHO = {"level": f"{WORD}board.levels", "team": _TEAM, "agent": TEXT}


def _counts(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, COUNT)


_RATES = {**_counts("released", *RATES), **{f"{name}_share": SHARE for name in RATES}}

SECTIONS: Mapping[str, Section] = {
    section.name: section
    for section in (
        Section(
            "shadow", "read_shadow",
            {"level": f"{WORD}board.levels", "team": _TEAM,
             **_counts("would_call", "held_out", "not_reached", "left_out")},
            boards=(OF_SHADOW,),
        ),
        Section(
            "funnel", "read_funnel",
            {"step": f"{WORD}board.steps", "this": COUNT, "before": COUNT, "change": SHARE, "of_before": SHARE},
            is_drawn=True,
        ),
        Section(
            "suppressed", "read_suppressed",
            {"reason": f"{WORD}board.reasons", "yields_to": CAMPAIGN, "subscribers": COUNT},
            is_by_campaign=True, boards=ALL_BOARDS,
        ),
        # its columns are the campaign's clocks
        Section("service", "read_service", dict(_WHO), is_drawn=True),
        Section(
            "breaches", "read_breaches",
            {"ticket_id": TICKET, "clock": CLOCK, "team": _TEAM, "agent": TEXT, "cycle": TEXT, "due_at": INSTANT},
            is_by_campaign=True,
        ),
        Section(
            "ages", "read_ages",
            {"team": _TEAM, "agent": TEXT,
             **_counts("days_3", "days_7", "days_14", "days_more", "unfinished", "oldest")},
        ),
        Section(
            "oldest", "read_oldest",
            {"ticket_id": TICKET, "state": f"{WORD}states", "team": _TEAM, "agent": TEXT, "cycle": TEXT,
             "released_at": INSTANT},
            is_by_campaign=True,
        ),
        Section(
            "sample", "read_sample",
            {"ticket_id": TICKET, "team": _TEAM, "agent": TEXT, "outcome": OUTCOME, "closed_at": INSTANT},
            is_by_campaign=True,
        ),
        # its columns are the campaign's endings
        Section("outcomes", "read_outcomes", {"kind": f"{WORD}board.kinds", "value": BY_KIND}, is_drawn=True),
        Section(
            "rates", "read_rates",
            {"level": f"{WORD}board.levels", "branch_code": TEXT, "team": _TEAM, "agent": TEXT, **_RATES},
            is_by_campaign=True,
        ),
        Section(
            "splits", "read_splits",
            {"kind": f"{WORD}board.splits", "value": TEXT, "dispatched": COUNT, **_RATES}, boards=(OF_ONE,),
        ),
        Section(
            "success", "read_success",
            {"cycle": TEXT, "arm": f"{WORD}board.arms", "succeeded": COUNT, "subscribers": COUNT,
             "success_rate": SHARE, "gained": SHARE, "gained_low": SHARE, "gained_high": SHARE,
             "is_known": f"{WORD}board.known", "known_on": DAY},
            is_over_all_teams=True, is_by_campaign=True,
        ),
        Section(
            "effect", "read_effect",
            {"cycle": TEXT, "treated": COUNT, "treated_left": SHARE, "held_out": COUNT, "held_out_left": SHARE,
             "avoided": SHARE, "avoided_low": SHARE, "avoided_high": SHARE, "saves": COUNT},
            is_over_all_teams=True, is_drawn=True, is_by_campaign=True,
        ),
        Section(
            "exposure", "read_exposure",
            {"arm": f"{WORD}board.arms",
             **_counts("assigned", "by_service", "by_unmeasured", "by_measured", "began_talk")},
            is_over_all_teams=True, is_by_campaign=True,
        ),
        Section(
            "outreach", "read_outreach",
            {"decision": f"{WORD}board.decisions", "channel": f"{WORD}channels", "subscribers": COUNT},
            is_over_all_teams=True, is_by_campaign=True,
        ),
        Section(
            "pots", "read_pots",
            {"branch_code": f"{WORD}board.branches", "starts_on": DAY, "ends_on": DAY, "limit_yuan": YUAN,
             "reserved_yuan": YUAN, "committed_yuan": YUAN, "left_yuan": YUAN, "used_share": SHARE},
            is_by_campaign=True,
        ),
        Section(
            "deliveries", "read_deliveries",
            {"feed": TEXT, "period": TEXT, "collected_at": INSTANT,
             **_counts("rows_accepted", "rows_quarantined"), "is_complete": f"{WORD}board.yes"},
            is_over_all_teams=True, boards=ALL_BOARDS,
        ),
        Section(
            "quarantine", "read_quarantine",
            {"feed": TEXT, "period": TEXT, "file": TEXT, "column_name": TEXT, "reason": TEXT, "rows": COUNT},
            is_over_all_teams=True, boards=ALL_BOARDS,
        ),
        Section(
            "stages", "read_stages", {"stage": TEXT, "finished_at": INSTANT},
            is_over_all_teams=True, is_by_campaign=True, boards=ALL_BOARDS,
        ),
        Section(
            "heartbeats", "read_heartbeats", {"name": TEXT, "ticked_at": INSTANT},
            is_over_all_teams=True, boards=ALL_BOARDS,
        ),
    )
}  # fmt: skip

#: The queue as a file: no section of the board, but told in the same way.
QUEUE = Section(
    "queue", "read_queue",
    {"ticket_id": TEXT, "campaign": CAMPAIGN, "cycle": TEXT, "state": f"{WORD}states", "grade": f"{WORD}grades",
     "tier": TEXT, "team": _TEAM, "branch_code": TEXT, "region_code": TEXT, "value_yuan": YUAN,
     "subscriber": TEXT, "agent": TEXT, "released_at": INSTANT, "due_at": INSTANT, "breached_at": INSTANT},
)  # fmt: skip
