"""Collection: deliveries in the landing folder become months of the lake, reconciled row by row."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from include.config import Config
from include.database.queries import load
from include.domain.errors import NotReady
from include.domain.row_counts import added
from include.lake import Lake
from include.lake.locks import hold
from include.stages.collection import waivers
from include.stages.collection.completeness import refuse_absent, refuse_incomplete, refuse_unlisted
from include.stages.collection.ingest import refuse_above, take_in
from include.stages.collection.intake import Intake, Site
from include.stages.collection.monthly_report import report
from include.stages.collection.publisher import (
    Recorded,
    collected,
    known,
    publish,
    record,
    refuse_changed,
    stands,
    write_parts,
    write_quarantine,
)
from include.stages.collection.results import Collected, Lack, PlannedDelivery, RequiredFeeds
from include.stages.collection.sources import landing_folder
from include.stages.collection.sources.database import days_asked, spooled
from include.stages.collection.sources.delivery import DeliveryKey
from include.stages.collection.staging import staging_folder
from include.stages.collection.validator.erased import kept_out
from include.stages.collection.waivers import Waivers

__all__ = ["DeliveryKey", "Site", "collect", "open_lake", "plan", "report", "require"]


def open_lake(root: str | Path, landing: Path, config: Config) -> Lake:
    """The lake in `root`; at the very first run laid down for as many subscribers as were delivered."""
    if not Lake.exists(root):
        Lake.open_or_create(root, landing_folder.expected_subscribers(landing, config.sources))
    return Lake(root)


def plan(
    site: Site,
    *,
    as_of: datetime,
    month: str | None = None,
    queried: Collection[str] | None = None,
    feeds: Collection[str] | None = None,
) -> list[PlannedDelivery]:
    """The deliveries to collect: new or changed, begun before `as_of`.

    Days of a month that was delivered whole are left alone, and so is what retention.yaml no longer keeps. The
    feeds `queried` by SQL (by default those with a connection in sources.yaml) are asked for `month`, or for the
    days before `as_of`, unless they were delivered as files. Only `feeds` are looked at, by default all.
    """
    with site.db.begin():
        rows = site.db.execute(load("stages/collection")["current_deliveries"]).all()
        approved = waivers.in_force(site.db)
    recorded = {DeliveryKey(row.feed, row.period): row.fingerprint for row in rows}
    found = landing_folder.found(site.landing, site.config.sources, feeds)
    landed = {delivery.key for delivery in found}
    whole = landed | recorded.keys()
    begun = [
        delivery
        for delivery in found
        if delivery.key.starts_before(as_of)
        and delivery.key.month >= site.config.retention.oldest_month(delivery.key.feed, as_of)
        and not _is_covered(delivery.key, whole)
    ]
    at_as_of = replace(site, now=as_of)  # what the lake still keeps then counts
    remaining = (waivers.applied(delivery, approved) for delivery in begun)
    changed = [
        delivery.key
        for delivery in remaining
        if delivery.files and not stands(Intake.of(at_as_of, delivery, approved), recorded)
    ]
    by_query = site.config.sources.connections if queried is None else queried
    asked = [
        key
        for name in sorted(by_query)
        if feeds is None or name in feeds
        for key in _asked(site, name, month, as_of, recorded)
        if key not in landed and not _is_covered(key, whole)
    ]
    return [PlannedDelivery(feed=key.feed, period=key.period) for key in changed + asked]


def _is_covered(key: DeliveryKey, whole: Collection[DeliveryKey]) -> bool:
    """Whether a day is of a month that was delivered whole."""
    return key.is_day and key.of_month in whole


def _asked(
    site: Site, name: str, month: str | None, as_of: datetime, recorded: Recorded
) -> Iterator[DeliveryKey]:
    """The deliveries of the feed `name` that an operator's database is asked for."""
    if site.config.sources.contract(name).asked_by == "day":
        last = max((key.period for key in recorded if key.feed == name and key.is_day), default=None)
        yield from (DeliveryKey(name, day) for day in days_asked(last, as_of))
    elif month and DeliveryKey(name, month).starts_before(as_of):
        yield DeliveryKey(name, month)


def collect(site: Site, key: DeliveryKey) -> Collected:
    """Bring one delivery into the lake; the same rows again change nothing.

    A feed with an open connection is read by its query, unless files of the period have landed. The lake is
    published before the database records it: a run killed in between is repaired by the next. Raises
    BadInput, with nothing published, when too many rows break the contract. Files that a person decided to go
    on without are left out.
    """
    with site.db.begin():
        approved = waivers.in_force(site.db)
    if key.feed not in site.connections or site.is_landed(key):
        return _collect_landed(site, key, approved)
    with staging_folder(site.lake) as folder:
        contract = site.config.sources.contract(key.feed)
        return _bring_in(Intake.of(site, spooled(site.connections[key.feed], contract, key.period, folder)))


def _collect_landed(site: Site, key: DeliveryKey, approved: Waivers) -> Collected:
    delivery = site.landed(key, approved)
    if not delivery.files:  # a person decided to go on without any of them
        return collected(delivery, 0, 0, is_new=False)
    with waivers.advised(delivery, is_required=site.config.sources.feeds[key.feed].required):
        return _bring_in(Intake.of(site, delivery, approved))


def require(site: Site, month: str, seen: Mapping[str, Mapping[str, str]] | None = None) -> RequiredFeeds:
    """Collect the feeds that `month` cannot do without; `lacking` tells, by feed, of the rest.

    Files that were `seen` in the same state by an earlier call, and found incomplete, are not read again.
    """
    new: list[Collected] = []
    lacking: dict[str, Lack] = {}
    with site.db.begin():
        approved = waivers.in_force(site.db)
    for name in (name for name, declared in site.config.sources.feeds.items() if declared.required):
        key, state = DeliveryKey(name, month), ""
        try:
            if site.is_landed(key):
                delivery = site.landed(key, approved)
                state = repr((delivery.state(), delivery.left_out, delivery.is_taken_as_is))
            before = (seen or {}).get(name, {})
            if state and state == before.get("state"):
                lacking[name] = Lack(state=before["state"], why=before["why"])
                continue
            if state or name in site.connections:
                done = collect(site, key)
                new += [done] if done["is_new"] else []
            refuse_absent(site.lake, key)
        except NotReady as error:
            lacking[name] = Lack(state=state, why=str(error))
    counts = added(new)
    return {"stage": "collection", **counts, "deliveries": len(new), "lacking": lacking}


def _bring_in(intake: Intake) -> Collected:
    """Read, judge, stage and publish a delivery, unless it stands."""
    site, key = intake.site, intake.key
    with site.db.begin():
        already = known(intake)
        erased = kept_out(site.db, key.month)
    if already is not None:
        return already
    refuse_unlisted(intake.delivery)
    with staging_folder(site.lake) as folder:
        staged = take_in(intake, folder, erased)
        quarantine = write_quarantine(intake, staged)
        refuse_above(intake.terms.quarantine_share, intake, staged, quarantine)
        refuse_incomplete(intake, staged)
        parts = write_parts(intake, staged)
    with site.db.begin():
        hold(site.db, key.feed, key.month)
        already = known(intake)
        if already is None:
            refuse_changed(intake)
            publish(intake, staged, parts)
            record(intake, staged)
            waivers.keep_in_force(site.db, intake.delivery, site.now)
    return already or collected(intake.delivery, staged.rows_read, staged.rows_quarantined, is_new=True)
