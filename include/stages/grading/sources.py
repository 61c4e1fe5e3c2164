"""Sources: whom a campaign looks at before anything else is asked: everybody, or whom something befell lately.

An event or an outcome is looked for on whole days (Asia/Shanghai) before the day of `as_of`, so that the cycles of a
daily campaign find each one once, though a day is delivered when it is over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Protocol

import polars as pl

from include.config.expressions import compile_row
from include.config.expressions.grammar import ROW
from include.config.readers.campaign import Event
from include.config.readers.campaign.admission import FOUND
from include.database.queries import load
from include.domain.errors import NotDelivered
from include.domain.periods.months import ZONE, month_of
from include.run import MonthRun, Run
from include.stages.features.rows import as_known
from include.subscribers.eligibility import gone
from include.subscribers.histories import Histories
from include.subscribers.holders import new_holders
from include.subscribers.last_profiles import profiles_of

Q = load("stages/sources")

_LAST = {"subscriber_id": pl.String, "times": pl.Float64, "last_on": pl.Date}


@dataclass(frozen=True)
class Found:
    """Whom a source found: subscriber_id, `times` and `days_ago`; None for everybody. `note` tells what it lacked."""

    people: pl.DataFrame | None
    note: str = ""


@dataclass(frozen=True)
class Group:
    """Those a campaign looks at by the factors of `month`: everybody of it (None), or whom its source found."""

    month: str
    people: pl.DataFrame | None


class Source(Protocol):
    """Looks for people; NotDelivered, with what lacks, where nobody can know them."""

    def __call__(self, run: Run) -> Found: ...


def find(run: Run) -> Found:
    """Whom the campaign's source finds; nobody, and the note why, where what it looks at was not delivered."""
    source = run.rules.source
    try:
        return SOURCES["event" if source.event else "outcome" if source.outcome else "factors"](run)
    except NotDelivered as error:
        return Found(pl.DataFrame(schema={"subscriber_id": pl.String, **FOUND}), str(error))


def groups(run: Run, found: pl.DataFrame | None) -> list[Group]:
    """Those of `found` with factors, by the month that tells of them: the cycle's own, or the last of who has left."""
    if run.rules.people == "living":
        return [Group(run.month, found)]
    left = gone(run.lake, run.month, run.as_of)
    theirs = left.collect(engine="streaming")
    theirs = theirs if found is None else found.join(theirs, on="subscriber_id", how="semi")
    last = profiles_of(run.rules, run.lake, run.month, theirs["subscriber_id"].to_list())
    return [Group(month, theirs.filter(pl.col("subscriber_id").is_in(ids))) for month, ids in last.items()]


def _everybody(run: Run) -> Found:
    return Found(None)


def _event(run: Run) -> Found:
    """Whom an event of the feed befell, without what befell a number's former holder."""
    event = run.rules.source.event
    assert event is not None  # noqa: S101  # asked of campaigns with one alone
    since = _today(run) - timedelta(days=event.within_days)
    missing = _missing_days(run, event, since)
    events = events_of(run, event)
    last = events.group_by("subscriber_id").agg(
        pl.len().cast(pl.Float64).alias("times"), pl.col("day").max().alias("last_on")
    )
    note = f"{event.feed} lacks {', '.join(missing)}: nobody is found by what befell them then."
    return Found(_ago(run, last.collect(engine="streaming")), note if missing else "")


def events_of(run: MonthRun, event: Event) -> pl.LazyFrame:
    """The events a source looks for, with the `day` of each, as they were known at `as_of`."""
    lake, today = run.lake, _today(run)
    since = today - timedelta(days=event.within_days)
    histories = Histories(lake, new_holders(lake, run.month, run.as_of).collect(engine="streaming"))
    months = [each for each in _months(since, today) if lake.has(event.feed, each)]
    rows = pl.concat([histories.events(event.feed, each) for each in months], how="diagonal")
    day = pl.col("occurred_at").dt.convert_time_zone(ZONE.key).dt.date().alias("day")
    days = rows.with_columns(day).filter(pl.col("day") >= since, pl.col("day") < today)
    events = as_known(days, run.as_of.astimezone(UTC))
    if event.condition is None:
        return events
    if lacking := event.condition.needs(ROW) - set(events.collect_schema().names()):
        raise NotDelivered(f"{event.feed} delivers no column for {min(lacking)}, which the source needs.")
    return events.filter(compile_row(event.condition, words=run.config.factors.words))


def _today(run: MonthRun) -> date:
    """The day of `as_of`, of which nothing is known yet."""
    return run.as_of.astimezone(ZONE).date()


def _missing_days(run: Run, event: Event, since: date) -> list[str]:
    """The days looked at that were not delivered; NotDelivered where that is every one of them."""
    known: dict[str, set[str]] = {}
    for month in _months(since, _today(run)):
        has = run.lake.has(event.feed, month)
        known[month] = set(run.lake.manifest(event.feed, month).periods) if has else set()
    days = [since + timedelta(days=after) for after in range(event.within_days)]
    missing = [day for day in days if not {month_of(day), day.isoformat()} & known[month_of(day)]]
    if len(missing) == len(days):
        when = f"from {since} to {days[-1]}" if len(days) > 1 else f"of {since}"
        ever = f"for the days {when}" if run.lake.months(event.feed) else "ever"
        raise NotDelivered(f"Nothing of {event.feed} was delivered {ever}, so nobody is found.")
    return [day.isoformat() for day in missing]


def _outcome(run: Run) -> Found:
    """Whose ticket of another campaign ended so, unless the number went to somebody new since."""
    named = run.rules.source.outcome
    assert named is not None  # noqa: S101  # asked of campaigns with one alone
    since = _today(run) - timedelta(days=named.within_days)
    values: dict[str, object] = {"campaign": named.campaign, "outcomes": list(named.outcomes)}
    values |= {"since": _start(since), "until": _start(_today(run))}
    with run.db.begin():
        rows: Sequence[Any] = run.db.execute(Q["find_closed"], values).all()
    closed = pl.DataFrame([tuple(row) for row in rows], schema=_LAST, orient="row")
    holders = new_holders(run.lake, run.month, run.as_of).collect(engine="streaming")
    theirs = closed.join(holders, on="subscriber_id", how="left")
    is_formers = (pl.col("last_on") < pl.col("joined_on")).fill_null(False)
    return Found(_ago(run, theirs.filter(~is_formers)))


def _ago(run: Run, last: pl.DataFrame) -> pl.DataFrame:
    ago = (pl.lit(_today(run)) - pl.col("last_on")).dt.total_days().cast(pl.Float64)
    return last.select("subscriber_id", "times", ago.alias("days_ago")).sort("subscriber_id")


def _months(since: date, until: date) -> list[str]:
    """The months of the days from `since` until before `until`, oldest first."""
    days = (since + timedelta(days=after) for after in range((until - since).days))
    return list(dict.fromkeys(month_of(day) for day in days))


def _start(day: date) -> datetime:
    return datetime.combine(day, time(0), ZONE)


#: Where people come from, by its word in a campaign's file; another kind of source is one function more.
SOURCES: Mapping[str, Source] = {"factors": _everybody, "event": _event, "outcome": _outcome}
