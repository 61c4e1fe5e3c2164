"""What the monthly DAG does between its stages: which month and cycle, which deliveries, which shards."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.domain.errors import BadInput
from include.domain.months import parse_instant, parse_month
from include.orchestration import (
    COLLECTION,
    Workplace,
    called,
    finish_stage,
    run_stage,
    workplace,
    write_part,
)
from include.settings import CAMPAIGN

if TYPE_CHECKING:  # heavy, and a DAG file is read every few seconds
    from sqlalchemy import Connection

    from include.config import Config
    from include.lake import Lake

_log = logging.getLogger("churn")

#: How a mapped collection is called: feed, month and, once it has run, what it put aside.
COLLECTED = "{{ task.op_kwargs['feed'] }} {{ task.op_kwargs['periods'][0][:7] }}{{ put_aside | default('') }}"

#: The approvals by which the month is scored and graded again.
_RESCORED = ("last_champion", "rules_only")
_ROWS = ("rows_in", "rows_out", "quarantined")
# How many lines of the quarantine table a log bears; `python -m include.quarantine` shows all.
_LINES = 50


def open_cycle(params: Mapping[str, Any], partition_key: str | None) -> dict[str, Any]:
    """Open the cycle a run works on, or take up the one that stands; lay down the lake when there is none."""
    from include.settings import lake_root
    from include.stages import collection

    with workplace() as place:
        month = month_of_run(params["month"], partition_key)
        opened = _opened(place, month, parse_instant(params["as_of"]) if params["as_of"] else None)
        collection.open_lake(lake_root(), place.landing, place.config)
        return opened


def reopen_cycle(cycle: Mapping[str, Any]) -> dict[str, Any]:
    """The cycle as it stands now: a task cleared after the dispatch must not touch what people act on.

    Its configuration stays the one the run was opened with.
    """
    with workplace(cycle) as place:
        return _opened(place, cycle["month"], datetime.fromisoformat(cycle["as_of"]))


def _opened(place: Workplace, month: str, as_of: datetime | None) -> dict[str, Any]:
    from include import cycles

    opened = cycles.open_cycle(
        db=place.db, config=place.config, campaign=CAMPAIGN, cycle=month, as_of=as_of, now=place.now
    )
    return opened.as_json()


def month_of_run(param: str | None, partition_key: str | None) -> str:
    """The month a run is for: its partition key or the Param `month`, exactly one of them."""
    if param and partition_key:
        raise BadInput(
            f"This run has the partition key {partition_key} and the Param month {param}. Give one."
        )
    named = param or partition_key
    if not named:
        raise BadInput('This run has no month. Trigger it with the Param month, like {"month": "2026-10"}.')
    return parse_month(named)


def by_feed_and_month(deliveries: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Group deliveries ({"feed", "period"}) by feed and month: years of days are not thousands of tasks."""
    groups: dict[tuple[str, str], list[str]] = {}
    for delivery in deliveries:
        groups.setdefault((delivery["feed"], delivery["period"][:7]), []).append(delivery["period"])
    return [{"feed": feed, "periods": sorted(periods)} for (feed, _), periods in sorted(groups.items())]


def collect_required(
    cycle: Mapping[str, Any], seen: Mapping[str, Mapping[str, str]]
) -> tuple[dict[str, Any], int]:
    """Collect the feeds the month cannot do without; what came and lacks, and the hour to wait until."""
    from include.stages import collection

    with workplace(cycle) as place:
        sources = place.config.sources
        required = [name for name, feed in sources.feeds.items() if feed.required]
        opened = [place.connections(name) for name in required]
        connections = {name: connection for each in opened for name, connection in each.items()}
        found = called(place, collection.require, cycle, {"connections": connections, "seen": seen})
        return found, sources.completeness.wait_until_hour


def collect_periods(cycle: Mapping[str, Any], feed: str, periods: Iterable[str]) -> dict[str, Any]:
    """Collect the deliveries of one feed and month, one after the other; their counts added up."""
    from include.stages import collection

    with workplace(cycle) as place:
        given = {"feed": feed, "connections": place.connections(feed)}
        done = [called(place, collection.collect, cycle, {**given, "period": period}) for period in periods]
    return {"feed": feed, "deliveries": len(done), **_added(done)}


def report_collection(
    *,
    db: "Connection",
    lake: "Lake",
    config: "Config",
    month: str,
    as_of: datetime,
    collected: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """What stands for the month after collection, with the counts of what this run `collected`."""
    from include.quarantine import put_aside, table
    from include.stages import collection

    standing = collection.report(db=db, lake=lake, config=config, month=month, as_of=as_of)
    for note in standing.get("notes", ()):
        _log.warning("collection: %s", note)
    if aside := put_aside(db, month):
        _log.info("In quarantine of %s, the most rows first:\n%s", month, table(aside[:_LINES]))
    return {**standing, "deliveries": sum(each["deliveries"] for each in collected), **_added(collected)}


def labelled(result: dict[str, Any]) -> dict[str, Any]:
    """Show beside the mapped task what it put aside, then give its result on."""
    from airflow.sdk import get_current_context

    told = f": {result['quarantined']:,} of {result['rows_in']:,} rows in quarantine"
    get_current_context()["put_aside"] = told if result["quarantined"] else ""
    return result


def announce_collection(result: dict[str, Any], outlet_events: Any) -> dict[str, Any]:
    """Tell the asset `collection` what stands for the month, in words its page shows; then give the result on."""
    outlet_events[COLLECTION].extra = {
        "month": result["month"],
        "rows": {feed: _in_words(counts) for feed, counts in result["by_feed"].items()},
        "worst in quarantine": result["worst"],
        "goes on without": result["goes_on_without"],
        "not delivered": result["missing_feeds"],
    }
    return result


def _in_words(counts: Mapping[str, int]) -> str:
    return (
        f"{counts['read']:,} read, {counts['accepted']:,} accepted, {counts['quarantined']:,} in quarantine"
    )


def _added(results: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    counted = list(results)
    return {name: sum(each[name] for each in counted) for name in _ROWS}


def shards() -> list[int]:
    """The shard numbers of the lake, one mapped task each."""
    with workplace() as place:
        return list(range(place.lake.shards))


def rescore(cycle: Mapping[str, Any], choice: str) -> dict[str, Any]:
    """Score and grade a month not dispatched yet again, by `last_champion` or `rules_only`; what else skips.

    Through the same stages as before; the champion of the register stays what it is for the next month.
    """
    from include.stages import dispatch, grading, prediction

    if choice not in _RESCORED:
        raise AirflowSkipException("The scores stay as they are.")
    chosen = run_stage(_other_champions, cycle, choice=choice)
    made = [write_part(prediction.predict_shard, cycle, champions=chosen, shard=each) for each in shards()]
    finish_stage(prediction.publish, cycle, made, champions=chosen)
    graded = finish_stage(grading.grade, cycle)
    return {**graded, "fingerprint": run_stage(dispatch.fingerprint, cycle)}


def plans(cycle: Mapping[str, Any], choices: Mapping[str, Any], tries: int) -> list[dict[str, Any] | None]:
    """The plan of a dispatch as the last of so many entries as were planned in this run.

    Each entry has a question of its own: Airflow never changes one that was asked, not even when it is cleared.
    """
    from include.stages import dispatch

    return [None] * (tries - 1) + [run_stage(dispatch.plan_size, cycle, **choices)]


def assign(
    cycle: Mapping[str, Any],
    size: Mapping[str, Any],
    approved: Mapping[str, Any] | None,
    rescored: Mapping[str, Any] | None,
    choices: Mapping[str, Any],
) -> dict[str, Any]:
    """Dispatch what may go out of the plan that stands, and of no other."""
    from include.stages import dispatch

    return finish_stage(dispatch.dispatch, cycle, **may_go(size, approved, rescored), **choices)


def may_go(
    size: Mapping[str, Any], approved: Mapping[str, Any] | None, rescored: Mapping[str, Any] | None
) -> dict[str, Any]:
    """How many of which plan: what was approved, or what scoring again by that approval made of it.

    Unasked no more than needs no asking: people may have been hired since.
    """
    if not size["ask"]:
        return {"most": size["tickets_unasked"], "planned": size["fingerprint"]}
    if not approved:
        raise AirflowFailException(
            f"Nothing was dispatched: nobody approved plan {size['fingerprint']}, made since the last answer. "
            "Clear dispatch.approve to ask."
        )
    made = rescored if rescored and approved["choice"] in _RESCORED else approved
    return {"most": approved["most"], "planned": made["fingerprint"]}


def how_to_dispatch(params: Mapping[str, Any]) -> dict[str, Any]:
    """The Params that planning and dispatching must read alike."""
    return {name: params[name] for name in ("dispatch_late", "top_up")}


def _other_champions(
    *, db: "Connection", config: "Config", campaign: str, cycle: str, month: str, choice: str
) -> dict[str, Any]:
    from include.stages.champions import POOLED, rules_champion
    from include.stages.dispatch import champions_before

    if choice == "rules_only":
        return {POOLED: rules_champion(config.texts["rules.yaml"])}
    with db.begin():
        last = champions_before(db, {"campaign": campaign, "cycle": cycle}, month)
    if last is None:
        raise BadInput(
            f"No cycle before {cycle} was scored by a model. Clear dispatch.approve, choose another."
        )
    return last
