"""What a stage counts and costs, as every edge measures, tells and keeps it."""

import json
import resource
import time
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict, TypeVar, cast
from uuid import uuid4

from include.database.queries import load
from include.run import Run

_COUNTS = (("rows_in", "read"), ("rows_out", "accepted"), ("quarantined", "quarantined"))
_NOT_TOLD = {"stage", "feed", "period", "month", "message", "name", *(name for name, _ in _COUNTS)}


class Counts(TypedDict):
    """Rows read, accepted and put aside; `message` says in a sentence what numbers do not."""

    stage: str
    rows_in: int
    rows_out: int
    quarantined: NotRequired[int]
    message: NotRequired[str]


Result = TypeVar("Result", bound=Mapping[str, Any])


def new_name() -> str:
    """A name for the files of one attempt, which no other attempt shares."""
    return uuid4().hex[:12]


def peak_mb() -> int:
    """The most memory this process ever held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measured(result: Result, started: float) -> Result:
    """The result with the `seconds` since `started` (monotonic) and the `peak_mb` of this process."""
    seconds = round(time.monotonic() - started, 2)
    return cast(Result, {**result, "seconds": seconds, "peak_mb": peak_mb()})


def described(result: Mapping[str, Any]) -> str:
    """One line: "collection usage_months 2026-10: 20,000 read, 19,996 accepted, 4 quarantined, …"."""
    about = (result["stage"], result.get("feed"), result.get("period") or result.get("month"))
    counts = [f"{result[name]:,} {word}" for name, word in _COUNTS if isinstance(result.get(name), int)]
    figures = [
        f"{name} {value:,}"
        for name, value in result.items()
        if name not in _NOT_TOLD and isinstance(value, int | float) and not isinstance(value, bool)
    ]
    listed = ", ".join(counts + figures)
    return f"{' '.join(word for word in about if word)}: {listed}. {result.get('message', '')}".strip()


def record(run: Run, facts: Mapping[str, Any], *, seconds: float, peak_mb: float) -> None:
    """Keep with the cycle what a finished stage counted (`facts`, JSON), for summaries and the board."""
    text = json.dumps(facts, ensure_ascii=False)
    row = {**run.key, "stage": facts["stage"], "now": run.now, "seconds": seconds, "peak_mb": peak_mb}
    with run.db.begin():
        run.db.execute(load("cycles")["record_stage"], {**row, "facts": text})
