"""What the DAG of a campaign does for its collection: which deliveries become tasks, what is told of them."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict

from include.domain.row_counts import RowCounts, added
from include.orchestration import COLLECTION, Workplace, of_cycle, workplace
from include.orchestration.campaign import has_factors

if TYPE_CHECKING:  # heavy, and a DAG file is read every few seconds
    from include.run import Run
    from include.run.cycles import CycleFacts
    from include.stages.collection import Site
    from include.stages.collection.results import FeedRows, MonthReport, PlannedDelivery, RequiredFeeds

_log = logging.getLogger("churn")

#: How a mapped collection is called: feed, month and, once it has run, what it put aside.
COLLECTED = "{{ task.op_kwargs['feed'] }} {{ task.op_kwargs['periods'][0][:7] }}{{ put_aside | default('') }}"

# How many lines of the quarantine table a log bears; `python -m include.commands.quarantine` shows all.
_LINES = 50


class FeedMonth(TypedDict):
    """The deliveries of one feed and month that one task collects."""

    feed: str
    periods: list[str]


class CollectedMonth(RowCounts):
    """What a task collected of its feed and month."""

    feed: str
    deliveries: int


class Counted(RowCounts):
    """Rows of so many deliveries."""

    deliveries: int


def site_of(place: Workplace, connections: Mapping[str, Any] | None = None) -> "Site":
    """Where collection works in a task; `connections` are the open ones to the operator's databases, by feed."""
    from include.stages.collection import Site

    return Site(place.db, place.lake, place.config, place.landing, place.now, connections or {})


def plan(cycle: "CycleFacts") -> list[FeedMonth]:
    """What is to be collected, by feed and month.

    A day whose factors stand asks no database for that month once more.
    """
    from include.stages import collection

    with workplace(cycle) as place:
        month = None if has_factors(place, cycle) else cycle["month"]
        as_of = datetime.fromisoformat(cycle["as_of"])
        return by_feed_and_month(collection.plan(site_of(place), as_of=as_of, month=month))


def by_feed_and_month(deliveries: "Iterable[PlannedDelivery]") -> list[FeedMonth]:
    """Group deliveries by feed and month: years of days are not thousands of tasks."""
    groups: dict[tuple[str, str], list[str]] = {}
    for delivery in deliveries:
        groups.setdefault((delivery["feed"], delivery["period"][:7]), []).append(delivery["period"])
    return [FeedMonth(feed=name, periods=sorted(periods)) for (name, _), periods in sorted(groups.items())]


def require(cycle: "CycleFacts", seen: Mapping[str, Mapping[str, str]]) -> "tuple[RequiredFeeds, int]":
    """Collect the feeds the month cannot do without; what came and lacks, and the hour to wait until.

    Nothing lacks for a day whose factors stand.
    """
    from include.stages import collection
    from include.stages.collection.results import RequiredFeeds

    with workplace(cycle) as place:
        sources = place.config.sources
        if has_factors(place, cycle):
            nothing = RequiredFeeds(
                stage="collection", rows_in=0, rows_out=0, quarantined=0, deliveries=0, lacking={}
            )
            return nothing, 0
        required = [name for name, declared in sources.feeds.items() if declared.required]
        opened = [place.connections(name) for name in required]
        connections = {name: connection for each in opened for name, connection in each.items()}
        started = time.monotonic()
        found = collection.require(site_of(place, connections), cycle["month"], seen)
        return of_cycle(found, started, cycle), sources.completeness.wait_until_hour


def collect(cycle: "CycleFacts", wanted: FeedMonth) -> CollectedMonth:
    """Collect the deliveries of one feed and month, one after the other; their counts added up."""
    from include.stages import collection

    name, done = wanted["feed"], []
    with workplace(cycle) as place:
        site = site_of(place, place.connections(name))
        for period in wanted["periods"]:
            started = time.monotonic()
            collected = collection.collect(site, collection.DeliveryKey(name, period))
            done.append(of_cycle(collected, started, cycle))
    return {"feed": name, "deliveries": len(done), **added(done)}


def report(run: "Run", *, collected: Sequence[Counted]) -> "MonthReport":
    """What stands for the month after collection, with the counts of what this run `collected`."""
    from include.commands.quarantine import put_aside, table
    from include.stages import collection

    stands = collection.report(db=run.db, lake=run.lake, config=run.config, month=run.month, as_of=run.as_of)
    for note in stands["notes"]:
        _log.warning("collection: %s", note)
    if aside := put_aside(run.db, run.month):
        _log.info("In quarantine of %s, the most rows first:\n%s", run.month, table(aside[:_LINES]))
    return {**stands, "deliveries": sum(each["deliveries"] for each in collected), **added(collected)}


def labelled(result: CollectedMonth) -> CollectedMonth:
    """Show beside the mapped task what it put aside, then give its result on."""
    from airflow.sdk import get_current_context

    share = f": {result['quarantined']:,} of {result['rows_in']:,} rows in quarantine"
    get_current_context()["put_aside"] = share if result["quarantined"] else ""
    return result


def announce(result: "MonthReport", outlet_events: Any) -> "MonthReport":
    """Tell the asset `collection` what stands for the month, in words its page shows; then give the result on."""
    outlet_events[COLLECTION].extra = {
        "month": result["month"],
        "rows": {name: _in_words(counts) for name, counts in result["by_feed"].items()},
        "worst in quarantine": result["worst"],
        "goes on without": result["goes_on_without"],
        "not delivered": result["missing_feeds"],
    }
    return result


def _in_words(counts: "FeedRows") -> str:
    return (
        f"{counts['read']:,} read, {counts['accepted']:,} accepted, {counts['quarantined']:,} in quarantine"
    )
