"""What stands for a month after collection, and what its operator did not deliver."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from include.config import Config
from include.database.queries import load
from include.domain.errors import NotReady
from include.domain.periods.months import month_start
from include.domain.text.listing import first_of
from include.lake import Lake
from include.stages.collection import known_ids, waivers
from include.stages.collection.completeness import refuse_absent
from include.stages.collection.results import FeedRows, MonthReport, WaiverInForce
from include.stages.collection.sources.delivery import DeliveryKey
from include.subscribers.profiles import without_profile

# How many causes of quarantine the run itself tells; `python -m include.commands.quarantine` tells all.
_WORST = 5
# An id that is, or holds, such a word is the last row of somebody's spreadsheet.
_TOTAL = r"合[计計]|[总總][计計数數和]|[小共累][计計]|[汇彙][总總]|^(?:grand|sub)?totals?$|^sum(?:total)?$|^overall$"


def report(*, db: Connection, lake: Lake, config: Config, month: str, as_of: datetime) -> MonthReport:
    """What stands for the month: counts, and in `notes` one sentence per missing feed or column.

    Raises NotReady when a feed the loop cannot do without is absent or empty, BadInput when a feed names too many
    people whom no profile knows.
    """
    if month_start(month) >= as_of:
        raise NotReady(f"{month} begins after {as_of.isoformat()}. Choose a later as_of or an earlier month.")
    for name, declared in config.sources.feeds.items():
        if declared.required:
            refuse_absent(lake, DeliveryKey(name, month))
    # also the days after the month: who refused or left since is asked before anybody is called
    named = [each for each in known_ids.measure(db, lake, config, [month]) if each.key.month >= month]
    recorded, brought = _recorded(db, month), _brought(lake, config, month)
    unprofiled, total_rows = _usage_without_profile(lake, month)
    return {
        "stage": "collection",
        "month": month,
        "rows_in": recorded.totals.rows_read,
        "rows_out": recorded.totals.rows_accepted,
        "quarantined": recorded.totals.rows_quarantined,
        "deliveries": recorded.totals.deliveries,
        "missing_feeds": brought.missing_feeds,
        "missing_columns": brought.missing_columns,
        "ignored_columns": brought.ignored_columns,
        "usage_without_profile": unprofiled,
        "known_ids": known_ids.by_feed(named),
        "values_not_taken": sum(row.rows for row in recorded.cleared),
        "goes_on_without": recorded.waived,
        "by_feed": {row.feed: _rows_of(row) for row in recorded.by_feed},
        "worst": [_put_aside(row) for row in recorded.quarantined],
        "notes": [
            *map(waivers.described, recorded.waived),
            *_notes(config, month, brought),
            *_notes_on_strangers(month, unprofiled, total_rows),
            *known_ids.notes(lake, named),
            *map(_put_aside, recorded.quarantined),
            *map(_not_taken, recorded.cleared[:_WORST]),
        ],
    }


@dataclass(frozen=True)
class _Recorded:
    """What the database says of a month: counts of its deliveries, what goes without, what was not taken."""

    totals: Any
    waived: list[WaiverInForce]
    by_feed: Sequence[Any]
    quarantined: Sequence[Any]
    cleared: Sequence[Any]


def _recorded(db: Connection, month: str) -> _Recorded:
    queries, wanted = load("stages/collection"), {"month": month}
    with db.begin():
        return _Recorded(
            totals=db.execute(queries["month_totals"], wanted).one(),
            waived=waivers.of_month(db, month),
            by_feed=db.execute(queries["month_totals_by_feed"], wanted).all(),
            quarantined=db.execute(queries["quarantine_of_month"], wanted).fetchmany(_WORST),
            cleared=db.execute(queries["cleared_of_month"], wanted).all(),
        )


@dataclass(frozen=True)
class _Brought:
    """Which declared feeds and columns a month did not bring, and which columns nobody declared."""

    missing_feeds: list[str]
    missing_columns: dict[str, list[str]]
    ignored_columns: dict[str, list[str]]


def _brought(lake: Lake, config: Config, month: str) -> _Brought:
    feeds = config.sources.feeds
    missing = [name for name in feeds if not lake.has(name, month)]
    facts = {name: lake.manifest(name, month).facts for name in feeds if name not in missing}
    absent = {
        name: [column for column in feeds[name].columns if column not in each["columns"]]
        for name, each in facts.items()
    }
    return _Brought(
        missing_feeds=missing,
        missing_columns={name: columns for name, columns in absent.items() if columns},
        ignored_columns={
            name: each["ignored_columns"] for name, each in facts.items() if each["ignored_columns"]
        },
    )


def _rows_of(row: Any) -> FeedRows:
    return {"read": row.rows_read, "accepted": row.rows_accepted, "quarantined": row.rows_quarantined}


def _put_aside(row: Any) -> str:
    return (
        f"{row.rows:,} rows of {row.feed} {row.period} are in quarantine: {row.column_name} {row.reason}, "
        f"first in line {row.first_line} of {row.file}"
    )


def _not_taken(row: Any) -> str:
    return (
        f"{row.rows:,} values of {row.feed} {row.period} were not taken, their rows were: {row.column_name} "
        f"{row.reason}, first in line {row.first_line} of {row.file}"
    )


def _usage_without_profile(lake: Lake, month: str) -> tuple[int, list[str]]:
    """Subscribers who used the network but are not in the month's profile: kept, and counted.

    Beside the count the words of total rows among their ids.
    """
    count, total_rows = 0, set[str]()
    for shard in range(lake.shards):
        ids = without_profile(lake, month, shard).collect(engine="streaming")["subscriber_id"]
        words = ids.str.to_lowercase().str.replace_all(r"[\W_]+", "").str.extract(f"({_TOTAL})")
        count, total_rows = count + len(ids), total_rows | set(words.drop_nulls())
    return count, sorted(total_rows)


def _notes(config: Config, month: str, brought: _Brought) -> list[str]:
    feeds = config.sources.feeds
    notes = [
        f"feed {name} was not delivered for {month}; {feeds[name].when_absent}"
        for name in brought.missing_feeds
    ]
    notes += [
        f"{name} of {month} came without {first_of(columns)}; what needs them is left out"
        for name, columns in brought.missing_columns.items()
    ]
    notes += [
        f"{name} of {month} brought columns sources.yaml does not declare; ignored: {first_of(columns)}"
        for name, columns in brought.ignored_columns.items()
    ]
    return notes


def _notes_on_strangers(month: str, unprofiled: int, total_rows: Sequence[str]) -> list[str]:
    notes = []
    if unprofiled:
        notes.append(
            f"{unprofiled:,} subscribers of usage_months {month} have no profile row; they are kept, and nobody "
            "is warned of them"
        )
    if total_rows:
        words = first_of(total_rows)
        notes.append(
            f"usage_months {month} holds what looks like a total row ({words}); it is nobody's usage"
        )
    return notes
