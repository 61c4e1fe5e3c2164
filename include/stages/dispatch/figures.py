"""What a person who is asked to approve a dispatch looks at: it split up, against the cycle before."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from include.config import Config
from include.lake import Lake
from include.models.champions import RULES, Champion
from include.stages import prediction
from include.stages.dispatch.run import Q, champions_of

#: (word, this cycle, cycle before), most first.
Split = list[tuple[str, int, int]]

_SHOWN = 10
_EXPLAINED = 1000


def splits(
    *, db: sa.Connection, lake: Lake, config: Config, key: Mapping[str, str], month: str, revision: int,
    before: str | None, subscribers: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    """The admitted by `region`, `cluster`, `rule`, and the first reasons of the best ranked.

    Counts of this cycle and of `before` (zeros without one), at most ten words a split; `reason` is in
    percent of the subscribers explained: the first thousand by rank, and everybody assigned before.
    """
    values = {**key, "revision": revision, "before": before or ""}
    found: dict[str, Any] = {slice_: [] for slice_ in ("region", "cluster", "rule")}
    for row in db.execute(Q["count_splits"], values):
        found[row.slice].append((row.word or "–", row.warned_now, row.warned_before))
    was = {row.factor: row.subscribers for row in db.execute(Q["count_reasons_before"], values)}
    is_ = _reasons(lake, config, key, month, revision, subscribers[:_EXPLAINED])
    found["reason"] = _shares(is_, was)
    return {slice_: rows[:_SHOWN] for slice_, rows in found.items()}


def champions_before(db: sa.Connection, key: Mapping[str, str], month: str) -> dict[str, Champion] | None:
    """The models of the cycle dispatched before, to score this month with; None where there are none to use.

    The rules are no model, and a model that learned from the month itself cannot score it honestly.
    """
    found: dict[str, Champion] = db.execute(Q["champions_before"], dict(key)).scalar() or {}
    learned = [each.get("trained_for", month) for each in found.values() if each["kind"] != RULES]
    if "pooled" not in found or not learned or max(learned) >= month:
        return None
    return {name: {**each, "is_out_of_fold": False} for name, each in found.items()}


def _reasons(
    lake: Lake, config: Config, key: Mapping[str, str], month: str, revision: int, subscribers: Sequence[str]
) -> Mapping[str, int]:
    champions = champions_of(lake, config, key, revision)
    found = prediction.reasons(
        lake=lake, config=config, month=month, champions=champions, subscriber_ids=list(subscribers),
        revision=revision,
    )  # fmt: skip
    return Counter(reasons[0]["factor"] for reasons in found.values() if reasons)


def _shares(now: Mapping[str, int], before: Mapping[str, int]) -> Split:
    def percent(counts: Mapping[str, int], word: str) -> int:
        return round(100 * counts.get(word, 0) / max(1, sum(counts.values())))

    words = sorted({*now, *before}, key=lambda word: (-now.get(word, 0), -before.get(word, 0), word))
    return [(word, percent(now, word), percent(before, word)) for word in words]
