"""What the DAG of a campaign does for its collection: which deliveries become tasks, what is told of them."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from include.orchestration import COLLECTION, called, workplace
from include.orchestration.campaign import has_factors

if TYPE_CHECKING:  # heavy, and a DAG file is read every few seconds
    from include.run import Run
    from include.run.cycles import CycleFacts

_log = logging.getLogger("churn")

#: How a mapped collection is called: feed, month and, once it has run, what it put aside.
COLLECTED = "{{ task.op_kwargs['feed'] }} {{ task.op_kwargs['periods'][0][:7] }}{{ put_aside | default('') }}"

_ROWS = ("rows_in", "rows_out", "quarantined")
# How many lines of the quarantine table a log bears; `python -m include.commands.quarantine` shows all.
_LINES = 50


def plan(cycle: "CycleFacts") -> list[dict[str, Any]]:
    """What is to be collected, by feed and month.

    A day whose factors stand asks no database for that month once more.
    """
    from include.stages import collection

    with workplace(cycle) as place:
        asked = {"month": None} if has_factors(place, cycle) else {}
        return by_feed_and_month(called(place, collection.plan, cycle, asked))


def by_feed_and_month(deliveries: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Group deliveries ({"feed", "period"}) by feed and month: years of days are not thousands of tasks."""
    groups: dict[tuple[str, str], list[str]] = {}
    for delivery in deliveries:
        groups.setdefault((delivery["feed"], delivery["period"][:7]), []).append(delivery["period"])
    return [{"feed": feed, "periods": sorted(periods)} for (feed, _), periods in sorted(groups.items())]


def require(cycle: "CycleFacts", seen: Mapping[str, Mapping[str, str]]) -> tuple[dict[str, Any], int]:
    """Collect the feeds the month cannot do without; what came and lacks, and the hour to wait until.

    Nothing lacks for a day whose factors stand.
    """
    from include.stages import collection

    with workplace(cycle) as place:
        sources = place.config.sources
        if has_factors(place, cycle):
            return {**dict.fromkeys((*_ROWS, "deliveries"), 0), "lacking": {}}, 0
        required = [name for name, feed in sources.feeds.items() if feed.required]
        opened = [place.connections(name) for name in required]
        connections = {name: connection for each in opened for name, connection in each.items()}
        found = called(place, collection.require, cycle, {"connections": connections, "seen": seen})
        return found, sources.completeness.wait_until_hour


def collect(cycle: "CycleFacts", feed: str, periods: Iterable[str]) -> dict[str, Any]:
    """Collect the deliveries of one feed and month, one after the other; their counts added up."""
    from include.stages import collection

    with workplace(cycle) as place:
        given = {"feed": feed, "connections": place.connections(feed)}
        done = [called(place, collection.collect, cycle, {**given, "period": period}) for period in periods]
    return {"feed": feed, "deliveries": len(done), **_added(done)}


def report(run: "Run", *, collected: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What stands for the month after collection, with the counts of what this run `collected`."""
    from include.commands.quarantine import put_aside, table
    from include.stages import collection

    standing = collection.report(
        db=run.db, lake=run.lake, config=run.config, month=run.month, as_of=run.as_of
    )
    for note in standing.get("notes", ()):
        _log.warning("collection: %s", note)
    if aside := put_aside(run.db, run.month):
        _log.info("In quarantine of %s, the most rows first:\n%s", run.month, table(aside[:_LINES]))
    return {**standing, "deliveries": sum(each["deliveries"] for each in collected), **_added(collected)}


def labelled(result: dict[str, Any]) -> dict[str, Any]:
    """Show beside the mapped task what it put aside, then give its result on."""
    from airflow.sdk import get_current_context

    told = f": {result['quarantined']:,} of {result['rows_in']:,} rows in quarantine"
    get_current_context()["put_aside"] = told if result["quarantined"] else ""
    return result


def announce(result: dict[str, Any], outlet_events: Any) -> dict[str, Any]:
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
