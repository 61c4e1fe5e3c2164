"""Facts delivered later than a cycle: which months of which feeds they need, when those are known, what they say."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import polars as pl

from include.config.readers.campaign.later import CHURNED, EVENTS, LEFT, PROFILE, USAGE, Fact
from include.domain.errors import NotReady
from include.domain.periods.horizon import Window
from include.domain.periods.months import ZONE, first_day, past_grace_on, shift
from include.lake import Lake

#: Whether somebody stands in the profile of the cycle's month, and in that of the horizon's last month.
BEFORE, AFTER = "@before", "@after"
#: What `leavers` gives where nobody is known to have left.
NOBODY = pl.DataFrame(schema={"subscriber_id": pl.String, "churned_on": pl.Date, "reason": pl.String})


@dataclass(frozen=True)
class Need:
    """A month of a feed, with the columns that are read of it."""

    feed: str
    month: str
    columns: frozenset[str]


@dataclass(frozen=True)
class Knowledge:
    """From which day on something can be known, and which deliveries it lacks for that."""

    on: date
    lacks: tuple[str, ...]

    def is_there(self, as_of: datetime) -> bool:
        """Whether it is known at `as_of`."""
        return not self.lacks and self.on <= as_of.astimezone(ZONE).date()

    def why_unknown(self, as_of: datetime) -> str:
        """What keeps it from being known at `as_of`, for people; empty when nothing does."""
        if self.is_there(as_of):
            return ""
        if self.on > as_of.astimezone(ZONE).date():
            return f"not known yet, on {self.on.isoformat()}"
        return f"not known: {', '.join(self.lacks)}"


def knowledge(lake: Lake, facts: Iterable[Fact], window: Window, as_of: datetime) -> Knowledge:
    """When what the facts say of the time of `window` is known: once all of it is delivered and complete."""
    needed = needs(lake, facts, window)
    lacks = (_lack(lake, need) for need in needed)
    return Knowledge(
        max(_known_on(lake, need, window, as_of) for need in needed), tuple(lack for lack in lacks if lack)
    )


def needs(lake: Lake, facts: Iterable[Fact], window: Window) -> list[Need]:
    """The months the facts are read from, in a fixed order.

    Of the month the horizon ends in the profile always belongs to it, for it tells who was there, and where the
    operator delivers leavings at all these do, for they tell who was not any more.
    """
    named = list(facts)
    columns: dict[tuple[str, str], set[str]] = {}
    if reads_leaving(lake, named):
        columns |= {(CHURNED, month): set() for month in window.months}
    for is_later, month in ((False, window.month), (True, window.last_month)):
        if read := _profiled(named, is_later):
            columns.setdefault((PROFILE, month), set())
            for fact in read:
                columns.setdefault((fact.feed, month), set()).add(fact.column)
    if any(fact.feed == EVENTS for fact in named):
        columns |= {(EVENTS, month): {"kind", "occurred_at"} for month in window.months}
    return [Need(feed, month, frozenset(read)) for (feed, month), read in columns.items()]


def reads_leaving(lake: Lake, facts: Sequence[Fact]) -> bool:
    """Whether leavings are asked for: by name, or to tell who is missing in a later profile because of one."""
    is_named = any(fact.name == LEFT for fact in facts)
    return is_named or bool(_profiled(facts, is_later=True) and lake.months(CHURNED))


def with_facts(people: pl.LazyFrame, lake: Lake, facts: Sequence[Fact], window: Window) -> pl.LazyFrame:
    """`people` (subscriber_id) with each fact by its name, LEFT, and BEFORE and AFTER where profiles are read."""
    rows = people.select("subscriber_id")
    left = leavers(lake, window) if reads_leaving(lake, facts) else NOBODY
    rows = _joined(rows, left.lazy().select("subscriber_id", pl.lit(True).alias(LEFT)))
    rows = rows.with_columns(pl.col(LEFT).fill_null(False))
    for is_later, month in ((False, window.month), (True, window.last_month)):
        if read := _profiled(facts, is_later):
            for columns in _read(lake, read, month, AFTER if is_later else BEFORE):
                rows = _joined(rows, columns)
    if counted := [fact for fact in facts if fact.feed == EVENTS]:
        rows = _joined(rows, _counts(lake, counted, window))
        rows = rows.with_columns(pl.col(fact.name).fill_null(0) for fact in counted)
    present = [name for name in (BEFORE, AFTER) if name in rows.collect_schema()]
    return rows.with_columns(pl.col(name).fill_null(False) for name in present)


def leavers(lake: Lake, window: Window) -> pl.DataFrame:
    """Who left within `window`: subscriber_id, churned_on (the first time), reason.

    Raises NotReady when a month of it was not delivered: then nobody knows.
    """
    missing = [ahead for ahead in window.months if not lake.has(CHURNED, ahead)]
    if missing:
        raise NotReady(
            f"{window.month} has no label: churned {missing[0]} was not delivered. Deliver it first."
        )
    together = pl.concat([_leavers_of(lake, ahead) for ahead in window.months])
    if not window.is_of_whole_months:
        together = together.filter(pl.col("churned_on").is_between(window.begins_at.date(), window.last_day))
    found = together.collect().sort("churned_on", "subscriber_id", "reason")
    return found.unique("subscriber_id", keep="first", maintain_order=True)


# ---------------------------------------------------------------- when it is known


def _lack(lake: Lake, need: Need) -> str:
    """What of it was not delivered, for people; empty when all of it was."""
    if not lake.has(need.feed, need.month):
        return f"{need.feed} of {need.month} was not delivered"
    if need.columns and (
        absent := need.columns - set(lake.scan(need.feed, need.month).collect_schema().names())
    ):
        return f"{need.feed} of {need.month} has no column {min(absent)}"
    return ""


def _known_on(lake: Lake, need: Need, window: Window, as_of: datetime) -> date:
    """The day from which on a month counts as complete: by its marker once it is over, else by its grace.

    Events that come by the day are complete once every day of the window has come.
    """
    after = first_day(shift(need.month, 1))
    grace = past_grace_on(need.month)
    stands = lake.manifest(need.feed, need.month) if lake.has(need.feed, need.month) else None
    if need.feed == EVENTS and _comes_by_day(lake, need.month):
        ends_on = window.ends_at.date()
        came = set(stands.periods) if stands else set()
        is_due = ends_on <= as_of.astimezone(ZONE).date()
        return grace if is_due and not came.issuperset(window.days_in(need.month)) else ends_on
    return after if stands and stands.facts.get("complete") else grace


def _comes_by_day(lake: Lake, month: str) -> bool:
    """Whether service events of the month come by the day, or, before any of it came, those of the newest before."""
    delivered = [each for each in lake.months(EVENTS) if each <= month]
    return bool(delivered) and delivered[-1] not in lake.manifest(EVENTS, delivered[-1]).periods


# ---------------------------------------------------------------- what they say


def _profiled(facts: Iterable[Fact], is_later: bool) -> list[Fact]:
    """The facts of profile and usage of the one month or the other."""
    return [fact for fact in facts if fact.feed in (PROFILE, USAGE) and fact.is_later == is_later]


def _read(lake: Lake, facts: Sequence[Fact], month: str, presence: str) -> Iterator[pl.LazyFrame]:
    for feed in (PROFILE, USAGE):
        named = [pl.col(fact.column).cast(fact.dtype).alias(fact.name) for fact in facts if fact.feed == feed]
        if feed == PROFILE:
            yield lake.scan(feed, month).select("subscriber_id", pl.lit(True).alias(presence), *named)
        elif named:
            yield lake.scan(feed, month).select("subscriber_id", *named)


def _counts(lake: Lake, facts: Sequence[Fact], window: Window) -> pl.LazyFrame:
    at = pl.col("occurred_at")
    inside = (at >= window.begins_at.astimezone(UTC)) & (at < window.ends_at.astimezone(UTC))
    events = [
        lake.scan(EVENTS, month).select("subscriber_id", "occurred_at", "kind") for month in window.months
    ]
    counted = pl.concat(events).filter(inside).group_by("subscriber_id")
    return counted.agg(
        (pl.col("kind") == fact.column).sum().cast(pl.Float64).alias(fact.name) for fact in facts
    )


def _joined(rows: pl.LazyFrame, more: pl.LazyFrame) -> pl.LazyFrame:
    return rows.join(more, on="subscriber_id", how="left")


def _leavers_of(lake: Lake, month: str) -> pl.LazyFrame:
    feed = lake.scan(CHURNED, month)
    names = feed.collect_schema().names()
    reason = (
        pl.col("reason").cast(pl.String) if "reason" in names else pl.lit(None, pl.String).alias("reason")
    )
    return feed.select(pl.col("subscriber_id"), pl.col("churned_on").cast(pl.Date), reason)
