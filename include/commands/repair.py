"""What the lake lost is made whole: collected anew from the landing folder, made anew from what stands, or dropped.

Every step leaves a lake that readers can trust; killed anywhere, or run again, it goes on with what is left.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from include.config import Config, load_config
from include.database.queries import load
from include.domain.errors import LoopError
from include.domain.periods.months import default_as_of
from include.domain.periods.period import DAILY, cadence_of
from include.lake import Lake
from include.lake.campaigns import (
    GRADES,
    GRADES_REVISED,
    LABELS,
    OUT_OF_FOLD,
    SCORES,
    SCORES_REVISED,
    parted,
)
from include.lake.description import mended
from include.lake.locks import hold
from include.lake.store import open_store
from include.lake.upkeep import Fault, faults, faults_of
from include.run import MonthRun, Run, cycles
from include.stages import collection, features, grading, prediction
from include.stages.collection import losses
from include.stages.collection.migrations import per_campaign
from include.stages.collection.publisher import CONTACTS
from include.stages.collection.sources.delivery import DeliveryKey
from include.stages.features import peers

#: What is made, in the order in which each is made of the ones before, and by which stages.
_MADE = {
    features.TABLE: ("features", "features"),
    peers.TABLE: ("features", "features"),
    SCORES: ("prediction", "grading"),
    GRADES: ("grading", "grading"),
    SCORES_REVISED: ("prediction", "grading"),
    GRADES_REVISED: ("grading", "grading"),
    OUT_OF_FOLD: ("training", "training"),
    LABELS: ("follow_up", "follow_up"),
}
#: What a cycle is dispatched from.
_RECORDS = (SCORES, GRADES)


@dataclass(frozen=True)
class Step:
    """What was done, or, when it `is_left`, what a person is to do."""

    sentence: str
    is_left: bool = False


@dataclass(frozen=True)
class Site:
    """Where a repair is at work; without a database (`db` None) it can only drop."""

    lake: Lake
    landing: Path
    config: Config
    now: datetime
    accept_loss: bool
    db: sa.Connection | None

    def command(self, period: str, first: str, last: str, campaign: str | None = None) -> str:
        """The command by which a stage of the loop makes its output again: of a month, or of a daily cycle."""
        train = " --train" if first == "training" else ""
        whose = f"--campaign {campaign} " if campaign else ""
        key = f"--{'day' if cadence_of(period) == DAILY else 'month'} {period}"
        return (
            f'`python -m include.loop --landing {self.landing} --lake {self.lake.root} --db "$AIRFLOW_CONN_CHURN_DB" '
            f"{whose}{key} --from {first} --until {last}{train}`"
        )


def repaired(
    db: sa.Connection | None, root: str, landing: Path, config: Path, now: datetime, *, accept_loss: bool
) -> Iterator[Step]:
    """Cure every fault of the lake at `root`; each step as it is done, and what remains for a person."""
    if sentence := mended(open_store(root)):
        yield Step(sentence)
    site = Site(Lake(root), landing, load_config(config), now, accept_loss, db)
    if db is not None and (moved := per_campaign.move(db, site.lake)):
        yield Step(f"{moved:,} months of tables were moved to the campaign they were made for.")
    found = faults(site.lake)
    for fault in found:
        if fault.loose:
            site.lake.store.delete(fault.loose)
            yield Step(
                f"{fault.loose} was removed: nobody can read what was put aside there; its counts stand."
            )
    delivered = [fault for fault in found if parted(fault.table)[0] not in _MADE and not fault.loose]
    for table, month, period in dict.fromkeys((each.table, each.month, each.period) for each in delivered):
        _drop(site, table, month, period)
        yield Step(f"{table} of {period or month} was dropped: it was not what was written.")
    yield from _collected(site, delivered)
    for made, words in _MADE.items():
        damaged = ((each.table, each.month) for each in found if parted(each.table)[0] == made)
        for table, month in dict.fromkeys(damaged):
            yield _made(site, table, month, words)


def _drop(site: Site, table: str, month: str, period: str | None = None) -> None:
    if site.db is None:
        site.lake.drop(table, month, period)
        return
    with site.db.begin():
        hold(site.db, table, month)
        site.lake.drop(table, month, period)


# ---------------------------------------------------------------- deliveries


def _collected(site: Site, dropped: list[Fault]) -> Iterator[Step]:
    """Collect again whatever the database says was collected and the lake does not hold."""
    if site.db is None:
        for month in dict.fromkeys(fault.month for fault in dropped):
            yield Step(
                f"To collect it again: {site.command(month, 'collection', 'collection')}.", is_left=True
            )
        return
    with site.db.begin():
        gone = losses.lost(
            site.db, site.lake, lambda table, month: _is_kept(site, table, month), _beside(site)
        )
    for key in gone:
        yield _collected_again(site, site.db, key)


def _is_kept(site: Site, table: str, month: str) -> bool:
    return month >= site.config.retention.oldest_month(table, site.now)


def _beside(site: Site) -> dict[str, str]:
    """The feeds whose deliveries fill a further table."""
    return {name: CONTACTS for name, feed in site.config.sources.feeds.items() if feed.restricted}


def _collected_again(site: Site, db: sa.Connection, key: DeliveryKey) -> Step:
    where = collection.Site(db, site.lake, site.config, site.landing, site.now)
    if where.is_landed(key):
        try:
            result = collection.collect(where, key)
            return Step(f"{key.name} was collected again: {result['rows_out']:,} rows.")
        except LoopError as error:
            return Step(f"{key.name} could not be collected again: {error}", is_left=True)
    if key.feed in site.config.sources.connections:
        again = site.command(key.month, "collection", "collection")
        return Step(f"{key.name} came from a database: {again} asks for it again.", is_left=True)
    return Step(
        f"{key.name} does not lie in {site.landing}. Deliver it there again, then run "
        f"`python -m include.lake repair --lake {site.lake.root} --landing {site.landing}`; until then what reads it "
        "stops.",
        is_left=True,
    )


# ---------------------------------------------------------------- what is made of them


def _made(site: Site, table: str, month: str, words: tuple[str, str]) -> Step:
    """Make a damaged table again, or drop it for its stage to make; what a cycle was dispatched from stays."""
    base, campaign = parted(table)
    record = base in _RECORDS
    if record and site.db is None:
        return Step(f"{table} of {month}: give --db; a cycle may rest on them.", is_left=True)
    try:
        if site.db is not None and _remake(site, site.db, table, month):
            return Step(f"{table} of {month} were made again, the same as they were.")
    except LoopError as error:
        if record:
            return Step(f"{table} of {month} could not be made again: {error}", is_left=True)
    if record and not site.accept_loss and _is_dispatched(site, campaign, month):
        return Step(
            f"{table} of {month} are what its cycle was dispatched from, and cannot be made the same again. Restore "
            "them from the backup, or run the same command with --accept-loss: tickets and evidence stand in the "
            "database, figures of the cycle that need them are not made any more.",
            is_left=True,
        )
    _drop(site, table, month)
    again = site.command(month, *words, campaign)
    return Step(f"{table} of {month} were dropped. To make them again: {again}.", is_left=True)


def _remake(site: Site, db: sa.Connection, table: str, period: str) -> bool:
    """Whether the table stands again, made from what stands as its cycle, or one of the month, says."""
    base, campaign = parted(table)
    campaigns = [campaign] if campaign else list(site.config.campaigns)
    cycle = next((found for each in campaigns if (found := _cycle(db, each, period))), None)
    config = cycles.config_of(db, cycle["config_hash"]) if cycle else site.config
    if base in (features.TABLE, peers.TABLE):
        as_of = default_as_of(period)
        features.build(MonthRun(db=db, lake=site.lake, config=config, month=period, as_of=as_of))
    elif base in _RECORDS and cycle and campaign:
        run = Run(
            db=db, lake=site.lake, config=config, campaign=campaign, cycle=period, month=cycle["month"],
            as_of=cycle["as_of"], now=site.now,
        )  # fmt: skip
        if base == SCORES:
            _score(run)
        else:
            grading.grade(run)
    return site.lake.has(table, period) and not faults_of(site.lake, table, period)


def _score(run: Run) -> None:
    """Score the cycle again by the models it was scored by, where that is known."""
    with run.db.begin():
        fixed = cycles.dispatched_from(run.db, run.campaign, run.cycle)
    stands = run.lake.published(run.scores_table, run.cycle)
    known = fixed if fixed is not None else stands.facts if stands else {}
    chosen = known.get("champions")
    if chosen is None:
        chosen = prediction.champions(run)
    shards = range(run.lake.shards)
    parts = [prediction.predict_shard(run, champions=chosen, shard=shard) for shard in shards]
    prediction.publish(run, champions=chosen, parts=parts)


def _cycle(db: sa.Connection, campaign: str, cycle: str) -> dict[str, Any] | None:
    with db.begin():
        key = {"campaign": campaign, "cycle": cycle}
        found = db.execute(load("cycles")["find_cycle"], key).mappings().one_or_none()
    return dict(found) if found else None


def _is_dispatched(site: Site, campaign: str | None, cycle: str) -> bool:
    found = _cycle(site.db, campaign, cycle) if site.db is not None and campaign else None
    return found is not None and found["fixed_at"] is not None
