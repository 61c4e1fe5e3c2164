"""Factors of month M for every subscriber, shard by shard, from the months M−5 to M of the lake.

Nothing after the end of M is read, so the factors of a month are the same whenever they are made.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypedDict

import polars as pl

from include.config import Config
from include.config.expressions.grammar import EVENT, MONTHLY, ROW, Expression
from include.config.expressions.windows import MONTHS_BACK
from include.database import lock
from include.domain.errors import NotReady
from include.domain.periods.months import month_start, shift
from include.lake import Lake, Manifest, Part, drafts
from include.lake.locks import hold
from include.lake.manifest import PartFacts
from include.run import MonthRun
from include.run.results import Counts, new_name
from include.stages.collection import losses
from include.stages.features import peers
from include.stages.features.rows import MonthRows
from include.subscribers.profiles import without_profile

TABLE = "factors"
# Raised when the same inputs would give other values than before.
_ENGINE = 7
_EVENT_FEEDS = ("service_events", "subscriber_changes", "market_events")
_DERIVED = {
    "tenure_months": "joined_on",
    "days_to_contract_end": "contract_ends_on",
    "age_years": "birth_year",
}
_DERIVED_EVENT = {"repair_hours": "resolved_at", "open_hours": "occurred_at"}


@dataclass(frozen=True)
class Plan:
    """What a month's factors are made from: the available ones, the reasons of the others, the inputs."""

    month: str
    factors: tuple[str, ...]
    left_out: dict[str, str]
    rows_in: int
    fingerprint: str


class DraftFacts(PartFacts):
    """A shard that is written and not yet published, with the fingerprint of what it was made from."""

    fingerprint: str


class PeersMade(TypedDict):
    """How many rows of plan and region were made; none where they stood."""

    month: str
    rows: int


class Featured(Counts):
    """factors: how many could be made; left_out: why the others could not; unchanged: they stood."""

    factors: int
    left_out: dict[str, str]
    usage_without_profile: int
    unchanged: bool


def compute_shard(run: MonthRun, *, shard: int) -> DraftFacts:
    """Compute and write one shard.

    Factors are common to all campaigns: a shard that another run has made from the same inputs, published or
    about to be, is taken as it is. NotReady when M has not ended at `as_of` or its required feeds are absent.
    """
    plan = plan_of(run)
    with run.db.begin():
        return _shard(run, plan, shard)


def compute_peers(run: MonthRun) -> PeersMade:
    """Make the means of plan and region that all shards compare their people with; counts.

    A shard computed without them makes them itself, so that the values are the same; this saves the work.
    """
    with run.db.begin():
        losses.refuse_lost(run.db, run.lake, partial(_is_read, run.month))
        return {"month": run.month, "rows": _peers(run, plan_of(run))}


def publish(run: MonthRun, *, parts: Sequence[DraftFacts]) -> Featured:
    """Make the computed shards the month's factors; NotReady when the inputs changed in between."""
    with run.db.begin():
        losses.refuse_lost(run.db, run.lake, partial(_is_read, run.month))
        return _published(run, parts)


def build(run: MonthRun) -> Featured:
    """All shards in turn, then publish; returns at once when nothing changed since the last time.

    One run makes a month's factors; whoever else asks for them waits and finds them made.
    """
    with run.db.begin():
        hold(run.db, TABLE, run.month)
        plan = plan_of(run)
        standing = _standing(run.lake, plan)
        if standing is not None and not _lacks_peers(run.lake, plan):
            return _result(plan, standing, unchanged=True)
        losses.refuse_lost(run.db, run.lake, partial(_is_read, run.month))
        _peers(run, plan)
        return _published(run, [_shard(run, plan, shard) for shard in range(run.lake.shards)])


def _shard(run: MonthRun, plan: Plan, shard: int) -> DraftFacts:
    """One shard as it was made from the plan's inputs, by whichever run; by this one where none has."""
    lock(run.db, "shard", TABLE, plan.month, shard)
    part = _made(run.lake, plan, shard)
    if part is None:
        frame = MonthRows(run.lake, run.config.factors, plan.month, plan.factors).of_shard(
            shard, _means(run, plan)
        )
        part = run.lake.write_part(TABLE, plan.month, shard, frame, new_name())
        drafts.leave(run.lake, TABLE, plan.month, part, plan.fingerprint)
    return {**part.as_facts(), "fingerprint": plan.fingerprint}


def _made(lake: Lake, plan: Plan, shard: int) -> Part | None:
    if standing := _standing(lake, plan, shard=shard):
        return next(part for part in standing.parts if part.shard == shard)
    return drafts.left(lake, TABLE, plan.month, shard, plan.fingerprint)


def _peers(run: MonthRun, plan: Plan) -> int:
    """Publish the peers of the month unless they stand; how many rows were made."""
    hold(run.db, peers.TABLE, plan.month)
    if not _lacks_peers(run.lake, plan):
        return 0
    made = MonthRows(run.lake, run.config.factors, plan.month, plan.factors).peer_means()
    if made.width:
        part = run.lake.write_part(peers.TABLE, plan.month, 0, made, new_name())
        run.lake.publish(peers.TABLE, plan.month, [part], fingerprint=plan.fingerprint)
    return made.height


def _published(run: MonthRun, parts: Sequence[DraftFacts]) -> Featured:
    """The month as these parts make it, or as another run has from the same inputs."""
    lake, month = run.lake, run.month
    plan = make_plan(lake, run.config, month, month_start(shift(month, 1)))
    if {part["fingerprint"] for part in parts} != {plan.fingerprint}:
        raise NotReady(
            f"The feeds or factors.yaml changed while the factors of {month} were computed. Run it again."
        )
    written = [Part.of(part) for part in parts]
    if sorted(part.shard for part in written) != list(range(lake.shards)):
        raise NotReady(f"The factors of {month} lack a shard of {lake.shards}. Compute every shard first.")
    hold(run.db, TABLE, month)
    standing = _standing(lake, plan)
    made = standing or lake.publish(
        TABLE, month, written, fingerprint=plan.fingerprint, facts=_facts(lake, plan)
    )
    drafts.forget(lake, TABLE, month)
    return _result(plan, made, unchanged=standing is not None)


def plan_of(run: MonthRun) -> Plan:
    """The plan of the run's month; see `make_plan`."""
    return make_plan(run.lake, run.config, run.month, run.as_of)


def make_plan(lake: Lake, config: Config, month: str, as_of: datetime) -> Plan:
    """Which factors can be made for the month, and the fingerprint of all they are made from."""
    if as_of < month_start(shift(month, 1)):
        raise NotReady(
            f"{month} has not ended at {as_of.isoformat()}. Give a later as_of or an earlier month."
        )
    for feed in ("subscribers", "usage_months"):
        if not lake.has(feed, month):
            raise NotReady(f"No {feed} rows for {month}. Deliver {feed}/month={month} first.")
    there, gaps = _columns(lake, month), _gaps(lake, month)
    reasons = {factor.name: _reason(factor.parsed, there, gaps, month) for factor in config.factors.factors}
    left_out = {name: reason for name, reason in reasons.items() if reason}
    inputs = _inputs(lake, month)
    # what is left out hangs on months older than the inputs, too: the first ever delivered may make a gap
    described = [
        _ENGINE,
        config.texts["factors.yaml"],
        [_identify(manifest) for manifest in inputs],
        left_out,
    ]
    return Plan(
        month,
        tuple(name for name, reason in reasons.items() if not reason),
        left_out,
        sum(manifest.rows for manifest in inputs[:2]),
        hashlib.sha256(json.dumps(described).encode()).hexdigest(),
    )


def _standing(lake: Lake, plan: Plan, table: str = TABLE, shard: int | None = None) -> Manifest | None:
    """The published factors (or peers) when they were made from the very same inputs, and are still what they were."""
    manifest = lake.published(table, plan.month)
    if manifest is None or manifest.fingerprint != plan.fingerprint:
        return None
    return lake.standing(table, plan.month, shard=shard)


def _lacks_peers(lake: Lake, plan: Plan) -> bool:
    """Whether the peers are to be made: the factors are, or those that were made for them are damaged."""
    if _standing(lake, plan, peers.TABLE):
        return False
    return _standing(lake, plan) is None or lake.has(peers.TABLE, plan.month)


def _means(run: MonthRun, plan: Plan) -> pl.DataFrame:
    """The peers of the month as they stand for these inputs, or made anew."""
    if _standing(run.lake, plan, peers.TABLE):
        return run.lake.scan(peers.TABLE, plan.month).collect()
    return MonthRows(run.lake, run.config.factors, plan.month, plan.factors).peer_means()


def _facts(lake: Lake, plan: Plan) -> dict[str, Any]:
    strangers = (without_profile(lake, plan.month, shard).select(pl.len()) for shard in range(lake.shards))
    unprofiled = sum(each.collect(engine="streaming").item() for each in strangers)
    return {
        "factors": list(plan.factors),
        "left_out": plan.left_out,
        "usage_without_profile": unprofiled,
    }


def _result(plan: Plan, made: Manifest, *, unchanged: bool) -> Featured:
    return {
        "stage": "features",
        "rows_in": plan.rows_in,
        "rows_out": made.rows,
        "quarantined": 0,
        "factors": len(plan.factors),
        "left_out": plan.left_out,
        "usage_without_profile": made.facts["usage_without_profile"],
        "unchanged": unchanged,
    }


def _identify(manifest: Manifest) -> list[str]:
    what = manifest.fingerprint or ",".join(part.name for part in manifest.parts)
    return [manifest.table, manifest.month, what]


def _inputs(lake: Lake, month: str) -> list[Manifest]:
    """The manifests a month's factors depend on, those of M first."""
    window = [shift(month, -back) for back in range(MONTHS_BACK)]
    wanted = [("subscribers", month)]
    wanted += [(feed, past) for feed in ("usage_months", *_EVENT_FEEDS) for past in window]
    # whoever ever left, or came back, decides who belongs to the month
    wanted += [
        (feed, past)
        for feed in ("churned", "subscriber_changes")
        for past in lake.months(feed)
        if past <= month and (feed, past) not in wanted
    ]
    return [lake.manifest(feed, past) for feed, past in wanted if lake.has(feed, past)]


def _is_read(month: str, feed: str, past: str) -> bool:
    """Whether the factors of a month hang on a month of a feed."""
    return past <= month and (past > shift(month, -MONTHS_BACK) or feed in ("churned", "subscriber_changes"))


# ---------------------------------------------------------------- what can be made


def _columns(lake: Lake, month: str) -> dict[str, frozenset[str]]:
    """The columns each feed delivered for M, with the derived ones they allow; absent feeds are left out."""
    there = {}
    for feed in ("subscribers", "usage_months", *_EVENT_FEEDS):
        if lake.has(feed, month):
            columns = set(lake.scan(feed, month).collect_schema().names())
            derived = _DERIVED if feed == "subscribers" else _DERIVED_EVENT
            columns |= {name for name, source in derived.items() if source in columns}
            there[feed] = frozenset(columns)
    return there


def _gaps(lake: Lake, month: str) -> dict[str, list[str]]:
    """Per event feed the months M−5 to M that were not delivered although the feed had begun, oldest first.

    A month in which nothing happened is delivered without rows, so an absent one is unknown, whatever the feed.
    Before its first delivery a feed has not begun: who starts with the loop need not wait for its factors.
    """
    window = [shift(month, -back) for back in reversed(range(MONTHS_BACK))]
    found = {}
    for feed in _EVENT_FEEDS:
        delivered = lake.months(feed)
        begun = min([*delivered, month])
        found[feed] = [past for past in window if past >= begun and past not in delivered]
    return found


def _reason(
    expression: Expression,
    there: Mapping[str, frozenset[str]],
    gaps: Mapping[str, Sequence[str]],
    month: str,
) -> str:
    """Why a factor cannot be made for the month; empty when it can."""
    needed = [("subscribers", name) for name in expression.needs(ROW)]
    needed += [("usage_months", name) for name in expression.needs(MONTHLY)]
    needed += [(feed, name) for feed, _, name in (full.partition(".") for full in expression.needs(EVENT))]
    for feed, name in sorted(needed):
        if feed not in there:
            return f"{feed} was not delivered for {month}"
        if name not in there[feed]:
            return f"{feed} of {month} has no column {_DERIVED.get(name, _DERIVED_EVENT.get(name, name))}"
    for feed, months in sorted(expression.windows.items()):
        if unknown := [past for past in gaps[feed] if past > shift(month, -months)]:
            return f"{feed} was not delivered for {', '.join(unknown)}"
    return ""
