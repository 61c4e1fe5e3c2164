"""What offers are judged by, for many subscribers at once: their profile of the month beside their factors."""

import functools
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Required, TypedDict, cast

import polars as pl

from include.config import Config
from include.config.readers.factors import PROFILE as PROFILE_COLUMNS
from include.config.readers.strategies import FACTS
from include.domain.contact.offer import LEAD, Facts, Judged, choose, fitting_offers
from include.domain.periods.months import ZONE
from include.lake import Lake
from include.subscribers.histories import Histories
from include.subscribers.profiles import age_and_contract
from include.subscribers.situation import judged_by, reasons_in, truths

_SNAPSHOT = (
    "is_student", "is_enterprise", "network_type", "device_code", "plan_data_mb", "plan_voice_minutes",
    "balance_yuan", "arrears_yuan",
)  # fmt: skip
# Read from the snapshot as well, by campaigns and for what a list is split by.
_ALSO = ("channel_code", "status")
#: The column of the snapshot a fact is made of, where it is not called the same.
_MADE_OF = {
    "tenure_months": "joined_on",
    "age_years": "birth_year",
    "days_to_contract_end": "contract_ends_on",
    "numbers_on_account": "account_id",
}
#: Facts that evidence keeps beside factors and identity, so that offers made later can be judged by them.
PROFILE = (*_SNAPSHOT, "age_years", "days_to_contract_end", "numbers_on_account", "has_applied_to_port_out")

#: A category is what people typed: no number to call, and no story.
_DIGITS, _LONGEST = re.compile(r"\d[\d\s-]{5,}\d"), 60


def facts_of(lake: Lake, config: Config, month: str, subscribers: Sequence[str]) -> pl.DataFrame:
    """One row per subscriber of `subscribers`, in their order: subscriber_id and every fact that is known.

    Whoever has applied to port out was barred before; what the operator did not deliver is no column.
    """
    wanted = pl.LazyFrame({"subscriber_id": subscribers}, schema={"subscriber_id": pl.String})
    factors = lake.scan("factors", month)
    there = factors.collect_schema().names()
    named = [
        name
        for name in there
        if name in FACTS or name in config.strategies.names_read or name == "app_logins"
    ]
    rows = wanted.join(factors.select("subscriber_id", *named), on="subscriber_id", how="left")
    if lake.has("subscribers", month):
        profile = _profile(lake, month)
        new = [name for name in profile.collect_schema().names() if name not in named]
        rows = rows.join(profile.select(new), on="subscriber_id", how="left")
    known = rows.with_columns(has_applied_to_port_out=pl.lit(False)).collect(engine="streaming")
    return wanted.collect().join(known, on="subscriber_id", how="left", maintain_order="left")


def fact_rows(lake: Lake, month: str, names: Collection[str], shard: int | None = None) -> pl.LazyFrame:
    """The factors rows of a month with those facts of `names` that the profile alone tells."""
    factors = lake.scan("factors", month, shard)
    if not lake.has("subscribers", month):
        return factors
    there = factors.collect_schema().names()
    profile = _profile(lake, month, shard)
    new = [name for name in profile.collect_schema().names() if name in names and name not in there]
    return (
        factors.join(profile.select("subscriber_id", *new), on="subscriber_id", how="left")
        if new
        else factors
    )


def why_unknown(lake: Lake, month: str, name: str) -> str:
    """Why a factor or fact is known of nobody in a month; empty when it is known."""
    manifest = lake.manifest("factors", month)
    if name in manifest.facts["factors"]:
        return ""
    if name in manifest.facts["left_out"]:
        return f"the factor {name}, which is left out: {manifest.facts['left_out'][name]}"
    if name not in (*PROFILE_COLUMNS, "consents_to_marketing"):
        there = lake.scan("factors", month).collect_schema().names()
        return "" if name in there else f"the factor {name}, which is left out: not in factors.yaml"
    column = _MADE_OF.get(name, name)
    if column in _delivered(lake, month):
        return ""
    return f"{name}, which is not delivered: subscribers of {month} has no column {column}"


def consent_is_delivered(lake: Lake, month: str) -> bool:
    """Whether the operator tells of a month who consents to marketing."""
    return "consents_to_marketing" in _delivered(lake, month)


class Event(TypedDict, total=False):
    """What evidence tells of an event: its day (ISO), and what of it was delivered."""

    day: Required[str]
    kind: str
    product: str | None
    category: str | None


class OtherNumber(TypedDict, total=False):
    """What evidence tells of another number of the customer, as far as it was delivered."""

    plan_code: str | None
    plan_fee_yuan: Decimal | None
    status: str | None


def splits_of(
    lake: Lake, month: str, names: Sequence[str], subscribers: Sequence[str]
) -> dict[str, dict[str, float | str | bool | None]]:
    """By subscriber what a list is split by: each of `names` with its value in the profile, null where unknown."""
    if not names:
        return {}
    wanted = pl.LazyFrame({"subscriber_id": subscribers}, schema={"subscriber_id": pl.String})
    rows = fact_rows(lake, month, names).join(wanted, on="subscriber_id", how="semi")
    there = [name for name in names if name in rows.collect_schema()]
    absent = [pl.lit(None).alias(name) for name in names if name not in there]
    found = rows.select("subscriber_id", *there, *absent).collect(engine="streaming")
    return {row.pop("subscriber_id"): row for row in found.to_dicts()}


def _delivered(lake: Lake, month: str) -> list[str]:
    """The columns of the snapshot of a month; of the factors where there is none."""
    table = "subscribers" if lake.has("subscribers", month) else "factors"
    return lake.scan(table, month).collect_schema().names()


def _profile(lake: Lake, month: str, shard: int | None = None) -> pl.LazyFrame:
    """The facts the snapshot tells; `numbers_on_account` only of all shards together."""
    scan = lake.scan("subscribers", month, shard)
    there = scan.collect_schema().names()
    numbers = pl.when(pl.col("account_id").is_not_null()).then(pl.len().over("account_id")).cast(pl.Float64)
    derived = {**age_and_contract(there, month), "account_id": numbers.alias("numbers_on_account")}
    plain = [pl.col(name).cast(FACTS[name]) for name in (*_SNAPSHOT, *_ALSO) if name in there]
    return scan.select("subscriber_id", *plain, *(fact for name, fact in derived.items() if name in there))


def open_faults(
    histories: Histories, months: Sequence[str], as_of: datetime, subscribers: Sequence[str]
) -> dict[str, list[Event]] | None:
    """By subscriber the fault reports of `months` not resolved at `as_of`, newest first: day, product, category.

    None when no month says what was resolved: then nobody knows what is open.
    """
    found: dict[str, list[Event]] = {}
    is_known = False
    at = as_of.astimezone(UTC)
    for month in reversed(months):
        if not histories.lake.has("service_events", month):
            continue
        events = histories.events("service_events", month)
        there = events.collect_schema().names()
        if "resolved_at" not in there:
            continue
        is_known = True
        is_open = (pl.col("kind") == "fault_report") & (_utc("occurred_at") < at)
        is_open &= pl.col("resolved_at").is_null() | (_utc("resolved_at") >= at)
        shown = [name for name in ("product", "category") if name in there]
        rows = events.filter(is_open, pl.col("subscriber_id").is_in(list(subscribers))).select(
            "subscriber_id", "event_id", "occurred_at", *shown
        )
        for row in rows.sort("occurred_at", "event_id", descending=True).collect().iter_rows(named=True):
            found.setdefault(row["subscriber_id"], []).append(_as_told(row, shown))
    return found if is_known else None


def events_of_people(events: pl.LazyFrame, subscribers: Sequence[str]) -> dict[str, list[Event]]:
    """By subscriber those of `events` that befell them, newest first: day, kind, product, category."""
    there = events.collect_schema().names()
    shown = [name for name in ("kind", "product", "category") if name in there]
    order = [name for name in ("occurred_at", "event_id", "kind") if name in there]
    rows = events.filter(pl.col("subscriber_id").is_in(list(subscribers)))
    found: dict[str, list[Event]] = {}
    for row in rows.sort(order, descending=True).collect(engine="streaming").iter_rows(named=True):
        found.setdefault(row["subscriber_id"], []).append(_as_told(row, shown))
    return found


def _as_told(event: Mapping[str, Any], shown: Sequence[str]) -> Event:
    """The day of an event and what else of it may be told."""
    what = {name: event[name] for name in shown}
    if what.get("category"):
        what["category"] = _DIGITS.sub("***", what["category"])[:_LONGEST]
    day = event["occurred_at"].astimezone(ZONE).date().isoformat()
    return cast(Event, {"day": day, **what})


def _utc(instant: str) -> pl.Expr:
    """A column of instants in the zone of the instant it is compared with: Parquet's statistics know no other."""
    return pl.col(instant).dt.convert_time_zone("UTC")


def other_numbers(lake: Lake, month: str, subscribers: Sequence[str]) -> dict[str, list[OtherNumber]]:
    """The other numbers of the customer of each subscriber: plan, fee and status, never whose they are."""
    if not lake.has("subscribers", month):
        return {}
    people = lake.scan("subscribers", month)
    there = people.collect_schema().names()
    if "customer_id" not in there:
        return {}
    shown = [name for name in ("plan_code", "plan_fee_yuan", "status") if name in there]
    known = people.filter(pl.col("customer_id").is_not_null())
    wanted = known.filter(pl.col("subscriber_id").is_in(list(subscribers))).select(
        pl.col("subscriber_id").alias("of"), "customer_id"
    )
    pairs = wanted.join(known, on="customer_id").filter(pl.col("of") != pl.col("subscriber_id"))
    found: dict[str, list[OtherNumber]] = {}
    rows = pairs.select("of", "subscriber_id", *shown).sort("of", "subscriber_id").collect(engine="streaming")
    for row in rows.iter_rows(named=True):
        found.setdefault(row["of"], []).append(cast(OtherNumber, {name: row[name] for name in shown}))
    return found


class Chooser:
    """Judges offers for many subscribers; people who are alike in everything that counts are judged once."""

    def __init__(self, config: Config, rows: pl.DataFrame) -> None:
        self._known = config.strategies
        found = truths(self._known, rows)
        self._truths = dict(zip(rows["subscriber_id"], found, strict=True))
        self._judge = functools.cache(self._judge_alike)

    def facts(self, subscriber: str, phases: Sequence[str], channels: Sequence[str] | None = None) -> Facts:
        """The facts of one subscriber."""
        return judged_by(self._known, self._truths[subscriber], phases, channels=channels)

    def judged(
        self,
        subscriber: str,
        reasons: Sequence[str],
        phases: Sequence[str],
        channels: Sequence[str] | None = None,
    ) -> list[Judged]:
        """The offers for a subscriber, best first, as a lead may record them and without a limit of budget."""
        alike = tuple(self._truths[subscriber].items())
        return self._judge(
            alike, tuple(reasons), tuple(phases), None if channels is None else tuple(channels)
        )

    def _judge_alike(
        self,
        alike: tuple[tuple[str, bool | None], ...],
        reasons: tuple[str, ...],
        phases: tuple[str, ...],
        channels: tuple[str, ...] | None,
    ) -> list[Judged]:
        facts = judged_by(self._known, dict(alike), phases, channels=channels)
        return fitting_offers(facts, reasons, self._known.book, LEAD, None)


class Chosen(TypedDict):
    """What evidence keeps of the choice: what is known of the subscriber, and what was chosen by it."""

    profile: dict[str, Any]
    strategy: dict[str, Any]


def choosing(
    lake: Lake, config: Config, month: str, campaign: str, subscribers: Sequence[str]
) -> Callable[[str, Mapping[str, Any]], Chosen]:
    """What adds to the evidence of a subscriber the profile, and the strategy chosen with its runner-up."""
    rows = facts_of(lake, config, month, subscribers)
    kept = [name for name in PROFILE if name in rows.columns]
    profiles = {row.pop("subscriber_id"): row for row in rows.select("subscriber_id", *kept).to_dicts()}
    chooser = Chooser(config, rows)
    phases = [config.phase(campaign)]

    def chosen(subscriber: str, evidence: Mapping[str, Any]) -> Chosen:
        reasons = reasons_in(evidence, config.strategies)
        choice = choose(chooser.judged(subscriber, reasons, phases), reasons)
        strategy = {
            "reason": choice.reason,
            "reasons": reasons,
            "segments": sorted(chooser.facts(subscriber, phases).segments),
            "chosen": _named(choice.best),
            "runner_up": _named(choice.runner_up),
        }
        return {"profile": profiles[subscriber], "strategy": strategy}

    return chosen


def _named(judged: Judged | None) -> dict[str, Any] | None:
    if judged is None:
        return None
    return {
        "strategy": judged.offer.strategy,
        "offer": judged.offer.name,
        "cost_yuan": str(judged.offer.cost_yuan),
    }
