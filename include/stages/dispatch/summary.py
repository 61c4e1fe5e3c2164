"""What a dispatch says of itself: counts by decision and team, and the cut explained."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from include.clocks.capacity import Capacity
from include.domain.dispatch import unreached
from include.domain.dispatch.assignment import HELD_OUT, TREATED, Decision
from include.stages.dispatch.decision import YIELDS
from include.stages.dispatch.routing import counts_of_routes
from include.stages.dispatch.run import CandidateRow, Dispatched, Dispatching
from include.stages.dispatch.size import warned
from include.subscribers.eligibility import consent_note
from include.words.reach import cut_in_words


def summary_of(
    run: Dispatching, decisions: Sequence[Decision], rows: Mapping[str, CandidateRow], capacity: Capacity
) -> Dispatched:
    """The counts of a dispatch, its `cut` and, as `message`, the cut in English."""
    counts = _counted(each.decision for each in decisions)
    whole = capacity.of_cycle
    explained = _cut(run, decisions, rows, capacity)
    summary = {
        "stage": "dispatch",
        "rows_in": len(decisions),
        "rows_out": counts.get(TREATED, 0),
        "treated": counts.get(TREATED, 0),
        "held_out": counts.get(HELD_OUT, 0),
        "not_reached": counts.get("not_reached", 0),
        **counts_of_routes(run, decisions),
        "ineligible": _counted(each.reason for each in decisions if each.reason),
        "yields_to": _counted(
            rows[each.candidate.subscriber_id]["yields_to"] for each in decisions if each.reason == YIELDS
        ),
        "capacity": None if whole is None else sum(whole.values()),
        "teams": _by_team(decisions, whole),
        "high": warned(run),
        "scored": run.grades.rows,
        "cut": explained,
        "message": " ".join([explained["en"], *_unstaffed(decisions, whole), *_consent(run)]),
    }
    return cast(Dispatched, summary)


def _consent(run: Dispatching) -> list[str]:
    note = consent_note(run.config, run.campaign, run.lake, run.month)
    return [note] if note else []


def _by_team(decisions: Sequence[Decision], whole: Mapping[str, int] | None) -> dict[str, dict[str, Any]]:
    """Per team its capacity, and the decisions about its customers."""
    teams = {each.candidate.team for each in decisions} | set(whole or {})
    return {
        team: {"capacity": None if whole is None else whole.get(team, 0)}
        | _counted(each.decision for each in decisions if each.candidate.team == team)
        for team in sorted(teams)
    }


def _cut(
    run: Dispatching, decisions: Sequence[Decision], rows: Mapping[str, CandidateRow], capacity: Capacity
) -> dict[str, Any]:
    effect = run.config.teams.assumed_effect
    missed = [_missed(each, rows) for each in decisions if _would_be_called(run, each)]
    contacts = {team: capacity.of_one_agent(team) for team in {each.team for each in missed}}
    worth = unreached.one_more_agent(missed, contacts, effect)
    counts = Counter(each.decision for each in decisions)
    return {
        "one_more_agent": [
            {"team": each.team, "tickets": each.tickets, "yuan_a_month": _number(each.yuan)} for each in worth
        ],
        "assumed_effect": effect,
        "effect_is": "assumed",
        **cut_in_words(counts, worth[0] if worth else None, effect),
    }


def _would_be_called(run: Dispatching, each: Decision) -> bool:
    return each.decision == "not_reached" and run.arms[each.candidate.customer_key].arm == TREATED


def _missed(each: Decision, rows: Mapping[str, CandidateRow]) -> unreached.Missed:
    row = rows[each.candidate.subscriber_id]
    return unreached.Missed(each.candidate.team, row["value_yuan"], row["probability"])


def _unstaffed(decisions: Sequence[Decision], whole: Mapping[str, int] | None) -> list[str]:
    """What to do about teams that have customers and nobody to call them."""
    missed = Counter(each.candidate.team for each in decisions if each.decision == "not_reached")
    return [
        f"Team {team} has nobody who can call: {count:,} of its customers are not reached."
        " Hire for it, or name who takes its overflow in teams.yaml."
        for team, count in sorted(missed.items())
        if whole is not None and not whole.get(team)
    ]


def _number(yuan: Any) -> float | None:
    return None if yuan is None else float(yuan)


def _counted(words: Iterable[Any]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))
