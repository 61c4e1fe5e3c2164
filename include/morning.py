"""What the morning's DAG does before it hands out tickets: the day feeds come in and reach the tickets."""

from typing import Any

from include import settings
from include.domain.day_feeds import FEEDS
from include.domain.errors import BadInput, LoopError, NotReady
from include.orchestration import Workplace, called, workplace

_NO_LAKE = "There is no lake yet; the first run of churn_warning makes one."


def collect_days() -> dict[str, Any]:
    """Collect what has landed of the day feeds; one failure stops no other delivery, but is told at the end."""
    from include.stages import collection

    with workplace() as place:
        if not _has_lake():
            return {"stage": "collection", "rows_in": 0, "rows_out": 0, "quarantined": 0, "message": _NO_LAKE}
        given = {"as_of": place.now, "feeds": FEEDS}
        planned = called(place, collection.plan, None, given)
        return _collected(place, planned)


def _collected(place: Workplace, planned: list[dict[str, str]]) -> dict[str, Any]:
    from include.stages import collection

    done: list[dict[str, Any]] = []
    failed: list[LoopError] = []
    for delivery in planned:
        try:
            given = {**delivery, "connections": place.connections(delivery["feed"])}
            done.append(called(place, collection.collect, None, given))
        except LoopError as error:
            failed.append(error)
    if failed:
        kind = NotReady if all(isinstance(error, NotReady) for error in failed) else BadInput
        raise kind(f"{' '.join(map(str, failed))} Until then nothing is released.")
    counts = {name: sum(each[name] for each in done) for name in ("rows_in", "rows_out", "quarantined")}
    return {"stage": "collection", "deliveries": len(done), **counts}


def process_limits() -> dict[str, Any]:
    """Cancel, freeze and unfreeze tickets by what is known now."""
    from include.stages import limits

    with workplace() as place:
        if not _has_lake():
            return {"stage": "limits", "rows_in": 0, "rows_out": 0, "message": _NO_LAKE}
        result: dict[str, Any] = called(place, limits.process, None, {})
        return result


def _has_lake() -> bool:
    from include.lake import Lake

    return Lake.exists(settings.lake_root())
