"""What the board shows: each section once, with its statement, its columns, its shape and its picture."""

from collections.abc import Mapping

from include.desk.board import drawing, shapes
from include.desk.board.scope import BoardScope
from include.desk.board.tables import (
    ALL_BOARDS,
    BY_KIND,
    CAMPAIGN,
    CLOCK,
    COUNT,
    DAY,
    INSTANT,
    OF_ONE,
    OF_SHADOW,
    OUTCOME,
    RATES,
    SHARE,
    TEAM,
    TEXT,
    TICKET,
    WORD,
    YUAN,
    Section,
)  # fmt: skip

_WHO = {"level": f"{WORD}board.levels", "team": TEAM, "agent": TEXT}
#: Success and effect are told of so many cycles.
_HISTORY = 24


def _counts(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, COUNT)


def _is_split(scope: BoardScope) -> bool:
    """Whether the campaign splits its list or shares its figures."""
    own = scope.config.campaigns.get(scope.campaign)
    return own is not None and bool(
        own.splits or own.routing.shared_by or own.routing.by in ("manager", "seller")
    )


_RATES = {**_counts("released", *RATES), **{f"{name}_share": SHARE for name in RATES}}

SECTIONS: Mapping[str, Section] = {
    section.name: section
    for section in (
        Section(
            "shadow", "read_shadow",
            {"level": f"{WORD}board.levels", "team": TEAM,
             **_counts("would_call", "held_out", "not_reached", "left_out")},
            boards=(OF_SHADOW,),
        ),
        Section(
            "funnel", "read_funnel",
            {"step": f"{WORD}board.steps", "this": COUNT, "before": COUNT, "change": SHARE, "of_before": SHARE},
            shape=shapes.funnel, picture=drawing.funnel, reads_before=True,
        ),
        Section(
            "suppressed", "read_suppressed",
            {"reason": f"{WORD}board.reasons", "yields_to": CAMPAIGN, "subscribers": COUNT},
            is_by_campaign=True, boards=ALL_BOARDS,
        ),
        # its columns are the campaign's clocks
        Section("service", "read_service", _WHO, shape=shapes.service, picture=drawing.service),
        Section(
            "breaches", "read_breaches",
            {"ticket_id": TICKET, "clock": CLOCK, "team": TEAM, "agent": TEXT, "cycle": TEXT, "due_at": INSTANT},
            is_by_campaign=True,
        ),
        Section(
            "ages", "read_ages",
            {"team": TEAM, "agent": TEXT,
             **_counts("days_3", "days_7", "days_14", "days_more", "unfinished", "oldest")},
        ),
        Section(
            "oldest", "read_oldest",
            {"ticket_id": TICKET, "state": f"{WORD}states", "team": TEAM, "agent": TEXT, "cycle": TEXT,
             "released_at": INSTANT},
            is_by_campaign=True,
        ),
        Section(
            "sample", "read_sample",
            {"ticket_id": TICKET, "team": TEAM, "agent": TEXT, "outcome": OUTCOME, "closed_at": INSTANT},
            is_by_campaign=True,
        ),
        # its columns are the campaign's endings
        Section(
            "outcomes", "read_outcomes", {"kind": f"{WORD}board.kinds", "value": BY_KIND},
            shape=shapes.outcomes, picture=drawing.outcomes,
        ),
        Section(
            "rates", "read_rates",
            {"level": f"{WORD}board.levels", "branch_code": TEXT, "team": TEAM, "agent": TEXT, **_RATES},
            shape=shapes.rates, is_by_campaign=True,
        ),
        Section(
            "splits", "read_splits",
            {"kind": f"{WORD}board.splits", "value": TEXT, "dispatched": COUNT, **_RATES},
            shape=shapes.rates, boards=(OF_ONE,), stands=_is_split,
        ),
        Section(
            "success", "read_success",
            {"cycle": TEXT, "arm": f"{WORD}board.arms", "succeeded": COUNT, "subscribers": COUNT,
             "success_rate": SHARE, "gained": SHARE, "gained_low": SHARE, "gained_high": SHARE,
             "is_known": f"{WORD}board.known", "known_on": DAY},
            shape=shapes.success, limit=_HISTORY, is_over_all_teams=True, is_by_campaign=True,
        ),
        Section(
            "effect", "read_effect",
            {"cycle": TEXT, "treated": COUNT, "treated_left": SHARE, "held_out": COUNT, "held_out_left": SHARE,
             "avoided": SHARE, "avoided_low": SHARE, "avoided_high": SHARE, "saves": COUNT},
            picture=drawing.effect, limit=_HISTORY, is_over_all_teams=True, is_by_campaign=True,
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
     "tier": TEXT, "team": TEAM, "branch_code": TEXT, "region_code": TEXT, "value_yuan": YUAN,
     "subscriber": TEXT, "agent": TEXT, "released_at": INSTANT, "due_at": INSTANT, "breached_at": INSTANT},
)  # fmt: skip
