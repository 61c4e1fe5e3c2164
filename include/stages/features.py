"""Factors of month M for every subscriber, shard by shard, from the months M−5 to M of the lake.

Nothing after the end of M is read, so the factors of a month are the same whenever they are made.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import polars as pl
from sqlalchemy import Connection

from include.config import Config
from include.config.factors import IDENTITY, Factors
from include.database import lock
from include.domain.errors import LoopError, NotReady
from include.domain.months import last_day, month_start, shift
from include.expressions.grammar import EVENT, MONTHLY, ROW, Expression
from include.expressions.windows import AGE, DAYS, MONTHS_BACK, FactorCompiler
from include.lake import Lake, Manifest, Part

TABLE = "factors"
# Raised when the same inputs would give other values than before.
_ENGINE = 1
_EVENT_FEEDS = ("service_events", "subscriber_changes")
_USE = ("data_mb", "voice_out_minutes", "voice_in_minutes")
_PROFILE: Mapping[str, pl.DataType] = {
    **dict.fromkeys(("customer_id", "region_code", "branch_code", "manager_code", "plan_code"), pl.String()),
    "plan_fee_yuan": pl.Float64(),
    "consents_to_marketing": pl.Boolean(),
    "status": pl.String(),
    "joined_on": pl.Date(),
}
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


def compute_shard(
    *, lake: Lake, config: Config, month: str, shard: int, as_of: datetime, run_id: str
) -> dict[str, Any]:
    """Compute and write one shard; the Part as a dict with the fingerprint of what it was made from.

    A shard already published from the same inputs is not computed again. NotReady when M has not ended at
    `as_of` or its required feeds are absent.
    """
    plan = make_plan(lake, config, month, as_of)
    standing = _standing(lake, plan)
    if standing is None:
        frame = shard_frame(lake, config.factors, plan, shard)
        part = lake.write_part(TABLE, month, shard, frame, run_id)
    else:
        part = next(part for part in standing.parts if part.shard == shard)
    return {**asdict(part), "fingerprint": plan.fingerprint}


def publish(
    *, db: Connection, lake: Lake, config: Config, month: str, parts: list[dict[str, Any]]
) -> dict[str, Any]:
    """Make the computed shards the month's factors; NotReady when the inputs changed in between."""
    plan = make_plan(lake, config, month, month_start(shift(month, 1)))
    if {part["fingerprint"] for part in parts} != {plan.fingerprint}:
        raise NotReady(
            f"The feeds or factors.yaml changed while the factors of {month} were computed. Run it again."
        )
    written = [Part(**{key: part[key] for key in ("name", "shard", "period", "rows")}) for part in parts]
    if sorted(part.shard for part in written) != list(range(lake.shards)):
        raise NotReady(f"The factors of {month} lack a shard of {lake.shards}. Compute every shard first.")
    with db.begin():
        lock(db, TABLE, month)
        standing = _standing(lake, plan)
        if standing is None:
            facts = {"factors": list(plan.factors), "left_out": plan.left_out}
            lake.publish(TABLE, month, written, fingerprint=plan.fingerprint, facts=facts)
    return _result(plan, sum(part.rows for part in written), unchanged=standing is not None)


def build(
    *, db: Connection, lake: Lake, config: Config, month: str, as_of: datetime, run_id: str
) -> dict[str, Any]:
    """All shards in turn, then publish; returns at once when nothing changed since the last time."""
    plan = make_plan(lake, config, month, as_of)
    standing = _standing(lake, plan)
    if standing is not None:
        return _result(plan, standing.rows, unchanged=True)
    compute = partial(compute_shard, lake=lake, config=config, month=month, as_of=as_of, run_id=run_id)
    parts = [compute(shard=shard) for shard in range(lake.shards)]
    return publish(db=db, lake=lake, config=config, month=month, parts=parts)


def make_plan(lake: Lake, config: Config, month: str, as_of: datetime) -> Plan:
    """Which factors can be made for the month, and the fingerprint of all they are made from."""
    if as_of < month_start(shift(month, 1)):
        raise NotReady(
            f"{month} has not ended at {as_of.isoformat()}. Give a later as_of or an earlier month."
        )
    for feed in ("subscribers", "usage_months"):
        if not lake.has(feed, month):
            raise NotReady(f"No {feed} rows for {month}. Deliver {feed}/month={month} first.")
    there = _columns(lake, month)
    reasons = {factor.name: _reason(factor.parsed, there, month) for factor in config.factors.factors}
    inputs = _inputs(lake, month)
    described = [_ENGINE, config.texts["factors.yaml"], [_identify(manifest) for manifest in inputs]]
    return Plan(
        month,
        tuple(name for name, reason in reasons.items() if not reason),
        {name: reason for name, reason in reasons.items() if reason},
        sum(manifest.rows for manifest in inputs[:2]),
        hashlib.sha256(json.dumps(described).encode()).hexdigest(),
    )


def shard_frame(lake: Lake, library: Factors, plan: Plan, shard: int) -> pl.DataFrame:
    """The factors table of one shard: identity columns, then one Float64 column per available factor."""
    compiler = FactorCompiler(library.words)
    wanted = [factor for factor in library.factors if factor.name in plan.factors]
    values = [compiler.compile(factor.parsed).alias(factor.name) for factor in wanted]
    # tenure_months is both identity and factor: one column serves as both.
    values = [value for value in values if value.meta.output_name() not in IDENTITY]
    identity = _identity_values(lake.scan("usage_months", plan.month).collect_schema().names())
    wide = _with_usage(lake, plan.month, shard, _population(lake, plan.month, shard), [*values, *identity])
    for feed, aggregates in compiler.aggregates.items():
        wide = wide.join(
            _aggregated(lake, plan.month, shard, feed, aggregates), on="subscriber_id", how="left"
        )
    made = wide.with_columns(identity).select(*IDENTITY, *values).collect(engine="streaming")
    if made["subscriber_id"].n_unique() != made.height:
        raise LoopError(
            f"A feed of {plan.month} holds a subscriber twice in shard {shard}. Deliver it again."
        )
    return made


def _standing(lake: Lake, plan: Plan) -> Manifest | None:
    """The published factors when they were made from the very same inputs."""
    if not lake.has(TABLE, plan.month):
        return None
    manifest = lake.manifest(TABLE, plan.month)
    return manifest if manifest.fingerprint == plan.fingerprint else None


def _result(plan: Plan, rows: int, *, unchanged: bool) -> dict[str, Any]:
    return {
        "stage": "features",
        "rows_in": plan.rows_in,
        "rows_out": rows,
        "quarantined": 0,
        "factors": len(plan.factors),
        "left_out": plan.left_out,
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
    wanted += [("churned", past) for past in lake.months("churned") if past <= month]
    return [lake.manifest(feed, past) for feed, past in wanted if lake.has(feed, past)]


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


def _reason(expression: Expression, there: Mapping[str, frozenset[str]], month: str) -> str:
    """Why a factor cannot be made for the month; empty when it can."""
    needed = [("subscribers", name) for name in expression.needs(ROW)]
    needed += [("usage_months", name) for name in expression.needs(MONTHLY)]
    needed += [(feed, name) for feed, _, name in (full.partition(".") for full in expression.needs(EVENT))]
    for feed, name in sorted(needed):
        if feed not in there:
            return f"{feed} was not delivered for {month}"
        if name not in there[feed]:
            return f"{feed} of {month} has no column {_DERIVED.get(name, _DERIVED_EVENT.get(name, name))}"
    return ""


# ---------------------------------------------------------------- who


def _population(lake: Lake, month: str, shard: int) -> pl.LazyFrame:
    """Everybody in the snapshot or the usage of M who has not left by its end, with the profile of M."""
    profile = _profile(lake, month, shard)
    unknown = lake.scan("usage_months", month, shard).select("subscriber_id")
    unknown = unknown.join(profile, on="subscriber_id", how="anti")
    everybody = pl.concat([profile, unknown], how="diagonal")
    staying = everybody.filter(pl.col("status").ne_missing("closed"))
    for past in lake.months("churned"):
        if past <= month:
            left = lake.scan("churned", past, shard).filter(pl.col("churned_on") <= last_day(month))
            staying = staying.join(left.select("subscriber_id"), on="subscriber_id", how="anti")
    return staying


def _profile(lake: Lake, month: str, shard: int) -> pl.LazyFrame:
    """The snapshot of M with every identity column (null when not delivered) and the derived ones."""
    scan = lake.scan("subscribers", month, shard)
    there = scan.collect_schema().names()
    absent = {name: dtype for name, dtype in _PROFILE.items() if name not in there}
    numbers = pl.selectors.decimal().cast(pl.Float64)
    return scan.with_columns(
        numbers, *(pl.lit(None, dtype).alias(name) for name, dtype in absent.items())
    ).with_columns(_tenure(last_day(month)).alias("tenure_months"), *_profile_numbers(there, month))


def _profile_numbers(there: Sequence[str], month: str) -> list[pl.Expr]:
    end = pl.lit(last_day(month))
    numbers = {
        "contract_ends_on": (pl.col("contract_ends_on") - end).dt.total_days().alias("days_to_contract_end"),
        "birth_year": (end.dt.year() - pl.col("birth_year")).alias("age_years"),
    }
    return [number.cast(pl.Float64) for column, number in numbers.items() if column in there]


def _tenure(end: date) -> pl.Expr:
    """Calendar months from joined_on to `end`; whoever joined on the 31st completes a month on a 30th."""
    joined = pl.col("joined_on").dt
    whole = (end.year - joined.year()) * 12 + end.month - joined.month()
    days = end.day - pl.min_horizontal(joined.day(), pl.lit(end.day))
    return (whole.cast(pl.Float64) + days.cast(pl.Float64) / 31).clip(lower_bound=0.0)


def _identity_values(delivered: Sequence[str]) -> list[pl.Expr]:
    """Cluster, value and activity; activity is unknown where the operator delivers no kind of use."""
    tenure = pl.col("tenure_months")
    early = pl.when(tenure < 6).then(pl.lit("under_6")).when(tenure < 12).then(pl.lit("6_to_12"))
    uses = [pl.col(f"{name}@0").fill_null(0.0) > 0 for name in _USE if name in delivered]
    used = pl.any_horizontal(uses) if uses else pl.lit(None, pl.Boolean)
    return [
        early.otherwise(pl.lit("over_12")).alias("cluster"),
        pl.mean_horizontal([pl.col(f"bill_yuan@{back}") for back in range(3)]).alias("value_yuan"),
        used.alias("is_active"),
    ]


# ---------------------------------------------------------------- what they did


def _with_usage(
    lake: Lake, month: str, shard: int, rows: pl.LazyFrame, values: Sequence[pl.Expr]
) -> pl.LazyFrame:
    """Join one file per month: columns "bill_yuan@0" … "@5", only those that `values` read."""
    wanted = {name for value in values for name in value.meta.root_names() if "@" in name}
    for back in range(MONTHS_BACK):
        past, columns = shift(month, -back), sorted(name for name in wanted if name.endswith(f"@{back}"))
        there: list[str] = []
        if columns and lake.has("usage_months", past):
            scan = lake.scan("usage_months", past, shard)
            delivered = set(scan.collect_schema().names())
            there = [name for name in columns if name.partition("@")[0] in delivered]
            picked = [pl.col(name.partition("@")[0]).cast(pl.Float64).alias(name) for name in there]
            rows = rows.join(scan.select("subscriber_id", *picked), on="subscriber_id", how="left")
        absent = [pl.lit(None, pl.Float64).alias(name) for name in columns if name not in there]
        rows = rows.with_columns(absent)
    return rows


def _aggregated(lake: Lake, month: str, shard: int, feed: str, aggregates: Sequence[pl.Expr]) -> pl.LazyFrame:
    """One row per subscriber with events in M−5 … M: what the factors count over them."""
    months = [(back, shift(month, -back)) for back in range(MONTHS_BACK)]
    scans = [
        lake.scan(feed, past, shard).with_columns(pl.lit(back).alias(AGE))
        for back, past in months
        if lake.has(feed, past)
    ]
    cut = month_start(shift(month, 1)).astimezone(UTC)
    events = pl.concat(scans, how="diagonal").filter(pl.col("occurred_at") < cut)
    return _with_known(events, cut).group_by("subscriber_id").agg(aggregates)


def _with_known(events: pl.LazyFrame, cut: datetime) -> pl.LazyFrame:
    """Events as they were known at `cut`: a repair finished later is still open, its rating not given."""
    there = events.collect_schema()
    events = events.with_columns((pl.lit(cut) - pl.col("occurred_at")).dt.total_days().alias(DAYS))
    end = pl.lit(cut)
    if "resolved_at" in there:
        known = pl.col("resolved_at") < cut
        resolved = pl.when(known).then(pl.col("resolved_at"))
        events = events.with_columns(_hours(resolved - pl.col("occurred_at")).alias("repair_hours"))
        end = pl.coalesce(resolved, pl.lit(cut))
        if "satisfaction" in there:
            rated = pl.when(known | pl.col("resolved_at").is_null()).then(pl.col("satisfaction"))
            events = events.with_columns(rated.alias("satisfaction"))
    return events.with_columns(_hours(end - pl.col("occurred_at")).alias("open_hours"))


def _hours(duration: pl.Expr) -> pl.Expr:
    return duration.dt.total_seconds().cast(pl.Float64) / 3600
