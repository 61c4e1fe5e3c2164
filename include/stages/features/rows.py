"""The rows of the factors table: everybody who belongs to a month, with their usage and events, per shard."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from include.config.expressions.arithmetic import mean_across, over_constant
from include.config.expressions.grammar import REGIONAL_FEEDS
from include.config.expressions.windows import AGE, DAYS, MONTHS_BACK, FactorCompiler
from include.config.readers.factors import IDENTITY, Factors
from include.domain.errors import LoopError
from include.domain.periods.months import last_day, month_start, shift
from include.lake import Lake
from include.stages.features import peers
from include.subscribers.histories import Histories
from include.subscribers.profiles import living

_USE = ("data_mb", "voice_out_minutes", "voice_in_minutes")


@dataclass(frozen=True)
class MonthRows:
    """The factors table of a month, made of the `factors` that are available for it."""

    lake: Lake
    library: Factors
    month: str
    factors: Collection[str]

    def peer_means(self) -> pl.DataFrame:
        """The means that the available factors compare people of the month with (see the module peers)."""
        compiler, _ = _compiled(self.library, self.factors)
        return peers.means(self.lake, self.month, compiler.peers) if compiler.peers else pl.DataFrame()

    def of_shard(self, shard: int, means: pl.DataFrame | None = None) -> pl.DataFrame:
        """One shard: identity columns, then one Float64 column per available factor.

        `means` are the `peer_means` of the month, made here when not given. LoopError when a feed holds somebody twice.
        """
        lake, month = self.lake, self.month
        compiler, values = _compiled(self.library, self.factors)
        identity = _identity_values(lake.scan("usage_months", month).collect_schema().names())
        histories = Histories.of(lake, month, shard)
        wide = _with_usage(histories, month, living(lake, month, shard), [*values, *identity])
        for feed, aggregates in compiler.aggregates.items():
            if feed in REGIONAL_FEEDS:
                happened = _by_region(lake, month, shard, feed, aggregates)
                wide = wide.join(happened, on=REGIONAL_FEEDS[feed], how="left")
            else:
                happened = _aggregated(histories, month, feed, aggregates)
                wide = wide.join(happened, on="subscriber_id", how="left")
        if compiler.peers:
            known = self.peer_means() if means is None else means
            compared = known.lazy().select("plan_code", "region_code", *compiler.peers)
            wide = wide.join(compared, on=("plan_code", "region_code"), how="left", nulls_equal=True)
        made = wide.with_columns(identity).select(*IDENTITY, *values).collect(engine="streaming")
        if made["subscriber_id"].n_unique() != made.height:
            raise LoopError(f"A feed of {month} holds a subscriber twice in shard {shard}. Deliver it again.")
        return made


def _compiled(library: Factors, factors: Collection[str]) -> tuple[FactorCompiler, list[pl.Expr]]:
    compiler = FactorCompiler(library.words)
    wanted = [factor for factor in library.factors if factor.name in factors]
    values = [compiler.compile(factor.parsed).alias(factor.name) for factor in wanted]
    # tenure_months is both identity and factor: one column serves as both.
    return compiler, [value for value in values if value.meta.output_name() not in IDENTITY]


def _identity_values(delivered: Sequence[str]) -> list[pl.Expr]:
    """Cluster, value and activity; activity is unknown where the operator delivers no kind of use."""
    tenure = pl.col("tenure_months")
    early = pl.when(tenure < 6).then(pl.lit("under_6")).when(tenure < 12).then(pl.lit("6_to_12"))
    uses = [pl.col(f"{name}@0").fill_null(0.0) > 0 for name in _USE if name in delivered]
    used = pl.any_horizontal(uses) if uses else pl.lit(None, pl.Boolean)
    return [
        early.otherwise(pl.lit("over_12")).alias("cluster"),
        # four decimals, like the bills: a mean of exactly 30 must not miss a limit of 30 by a float's error
        mean_across([pl.col(f"bill_yuan@{back}") for back in range(3)]).round(4).alias("value_yuan"),
        used.alias("is_active"),
    ]


# ---------------------------------------------------------------- what they did


def _with_usage(
    histories: Histories, month: str, rows: pl.LazyFrame, values: Sequence[pl.Expr]
) -> pl.LazyFrame:
    """Join one file per month: columns "bill_yuan@0" … "@5", only those that `values` read."""
    wanted = {name for value in values for name in value.meta.root_names() if "@" in name}
    for back in range(MONTHS_BACK):
        past, columns = shift(month, -back), sorted(name for name in wanted if name.endswith(f"@{back}"))
        there: list[str] = []
        if columns and histories.lake.has("usage_months", past):
            scan = histories.usage(past)
            delivered = set(scan.collect_schema().names())
            there = [name for name in columns if name.partition("@")[0] in delivered]
            picked = [pl.col(name.partition("@")[0]).cast(pl.Float64).alias(name) for name in there]
            rows = rows.join(scan.select("subscriber_id", *picked), on="subscriber_id", how="left")
        absent = [pl.lit(None, pl.Float64).alias(name) for name in columns if name not in there]
        rows = rows.with_columns(absent)
    return rows


def _aggregated(histories: Histories, month: str, feed: str, aggregates: Sequence[pl.Expr]) -> pl.LazyFrame:
    """One row per subscriber with events in M−5 … M: what the factors count over them."""
    months = [(back, shift(month, -back)) for back in range(MONTHS_BACK)]
    scans = [
        histories.events(feed, past).with_columns(pl.lit(back).alias(AGE))
        for back, past in months
        if histories.lake.has(feed, past)
    ]
    cut = month_start(shift(month, 1)).astimezone(UTC)
    events = pl.concat(scans, how="diagonal").filter(pl.col("occurred_at") < cut)
    return as_known(events, cut).group_by("subscriber_id").agg(aggregates)


def _by_region(lake: Lake, month: str, shard: int, feed: str, aggregates: Sequence[pl.Expr]) -> pl.LazyFrame:
    """One row per region of the shard's people; what befell no region in particular befell them all.

    Few rows, always in the same order: a mean is the same in every shard.
    """
    place, days = REGIONAL_FEEDS[feed], [shift(month, -back) for back in range(MONTHS_BACK)]
    scans = [
        lake.scan(feed, past).with_columns(pl.lit(back).alias(AGE))
        for back, past in enumerate(days)
        if lake.has(feed, past)
    ]
    end = pl.lit(last_day(month))
    events = pl.concat(scans, how="diagonal").filter(pl.col("occurred_on") <= end)
    events = events.with_columns(
        pl.selectors.decimal().cast(pl.Float64), (end - pl.col("occurred_on")).dt.total_days().alias(DAYS)
    )
    known = events.sort("event_id").collect()
    regions = lake.scan("subscribers", month, shard).select(place).unique().collect().drop_nulls()
    everywhere = known.filter(pl.col(place).is_null()).drop(place).join(regions, how="cross")
    local = known.join(regions, on=place)
    there = pl.concat([local, everywhere], how="diagonal").sort("event_id")
    return there.group_by(place, maintain_order=True).agg(aggregates).lazy()


def as_known(events: pl.LazyFrame, cut: datetime) -> pl.LazyFrame:
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
    return over_constant(duration.dt.total_seconds().cast(pl.Float64), 3600)
