"""What a person who is asked to approve a dispatch looks at: it split up, against the cycle before."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypedDict, cast

import sqlalchemy as sa

from include.models.champions import RULES, Champion
from include.run import Run
from include.stages import prediction
from include.stages.dispatch.run import Q, champions_of

#: (word, this cycle, cycle before), most first.
Split = list[tuple[str, int, int]]

_SHOWN = 10
_EXPLAINED = 1000


class Splits(TypedDict):
    """The admitted split up, each against the cycle before."""

    region: Split
    cluster: Split
    rule: Split
    reason: Split


def splits(run: Run, *, before: str | None, subscribers: Sequence[str]) -> Splits:
    """The admitted by `region`, `cluster`, `rule`, and the first reasons of the best ranked.

    Counts of this cycle and of `before` (zeros without one), at most ten words a split; `reason` is in
    percent of the subscribers explained: the first thousand by rank, and everybody assigned before.
    """
    values = {**run.key_of_revision, "before": before or ""}
    found: dict[str, Split] = {slice_: [] for slice_ in ("region", "cluster", "rule")}
    for row in run.db.execute(Q["count_splits"], values):
        found[row.slice].append((row.word or "–", row.warned_now, row.warned_before))
    was = {row.factor: row.subscribers for row in run.db.execute(Q["count_reasons_before"], values)}
    found["reason"] = _shares(_reasons(run, subscribers[:_EXPLAINED]), was)
    return cast(Splits, {slice_: rows[:_SHOWN] for slice_, rows in found.items()})


def champions_before(db: sa.Connection, key: Mapping[str, str], month: str) -> dict[str, Champion] | None:
    """The models of the cycle dispatched before, to score this month with; None where there are none to use.

    The rules are no model, and a model that learned from the month itself cannot score it honestly.
    """
    found: dict[str, Champion] = db.execute(Q["champions_before"], dict(key)).scalar() or {}
    learned = [each.get("trained_for", month) for each in found.values() if each["kind"] != RULES]
    if "pooled" not in found or not learned or max(learned) >= month:
        return None
    return {name: {**each, "is_out_of_fold": False} for name, each in found.items()}


def _reasons(run: Run, subscribers: Sequence[str]) -> Mapping[str, int]:
    found = prediction.reasons(
        lake=run.lake, month=run.month, champions=champions_of(run), subscriber_ids=list(subscribers)
    )
    return Counter(reasons[0]["factor"] for reasons in found.values() if reasons)


def _shares(now: Mapping[str, int], before: Mapping[str, int]) -> Split:
    def percent(counts: Mapping[str, int], word: str) -> int:
        return round(100 * counts.get(word, 0) / max(1, sum(counts.values())))

    words = sorted({*now, *before}, key=lambda word: (-now.get(word, 0), -before.get(word, 0), word))
    return [(word, percent(now, word), percent(before, word)) for word in words]
