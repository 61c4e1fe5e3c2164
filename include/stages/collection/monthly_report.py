"""What stands for a month after collection, and what its operator did not deliver."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from include.config import Config
from include.database.queries import load
from include.domain.errors import NotReady
from include.domain.periods.months import month_start
from include.lake import Lake
from include.stages.collection import known_ids, waivers
from include.subscribers.profiles import without_profile

_NAMED_AT_MOST = 20
# How many causes of quarantine the run itself tells; `python -m include.commands.quarantine` tells all.
_WORST = 5
# An id that is, or holds, such a word is the last row of somebody's spreadsheet.
_TOTAL = r"合[计計]|[总總][计計数數和]|[小共累][计計]|[汇彙][总總]|^(?:grand|sub)?totals?$|^sum(?:total)?$|^overall$"


def report(*, db: Connection, lake: Lake, config: Config, month: str, as_of: datetime) -> dict[str, Any]:
    """What stands for the month: counts, and in `notes` one sentence per missing feed or column.

    Raises NotReady when a feed the loop cannot do without is absent or empty, BadInput when a feed names too many
    people whom no profile knows.
    """
    if month_start(month) >= as_of:
        raise NotReady(f"{month} begins after {as_of.isoformat()}. Choose a later as_of or an earlier month.")
    for feed, declared in config.sources.feeds.items():
        if declared.required and not (lake.has(feed, month) and lake.manifest(feed, month).rows):
            raise NotReady(f"No {feed} rows for {month}. Deliver {feed}/month={month} first.")
    # also the days after the month: who refused or left since is asked before anybody is called
    named = [each for each in known_ids.measure(db, lake, config, [month]) if each.period[:7] >= month]
    with db.begin():
        totals = db.execute(load("stages/collection")["month_totals"], {"month": month}).one()
        without = waivers.of_month(db, month)
        by_feed = db.execute(load("stages/collection")["month_totals_by_feed"], {"month": month}).all()
        aside = db.execute(load("stages/collection")["quarantine_of_month"], {"month": month}).fetchmany(
            _WORST
        )
        cleared = db.execute(load("stages/collection")["cleared_of_month"], {"month": month}).all()
    missing = [feed for feed in config.sources.feeds if not lake.has(feed, month)]
    stand = {feed: lake.manifest(feed, month).facts for feed in config.sources.feeds if feed not in missing}
    absent = {
        feed: [name for name in config.sources.feeds[feed].columns if name not in facts["columns"]]
        for feed, facts in stand.items()
    }
    ignored = {feed: facts["ignored_columns"] for feed, facts in stand.items() if facts["ignored_columns"]}
    unprofiled, total_rows = _usage_without_profile(lake, month)
    return {
        "stage": "collection",
        "month": month,
        "rows_in": totals.rows_read,
        "rows_out": totals.rows_accepted,
        "quarantined": totals.rows_quarantined,
        "deliveries": totals.deliveries,
        "missing_feeds": missing,
        "missing_columns": {feed: names for feed, names in absent.items() if names},
        "ignored_columns": ignored,
        "usage_without_profile": unprofiled,
        "known_ids": known_ids.told(named),
        "values_not_taken": sum(row.rows for row in cleared),
        "goes_on_without": without,
        "by_feed": {
            row.feed: {
                "read": row.rows_read,
                "accepted": row.rows_accepted,
                "quarantined": row.rows_quarantined,
            }
            for row in by_feed
        },
        "worst": [_put_aside(row) for row in aside],
        "notes": [
            *map(waivers.described, without),
            *_notes(config, month, missing, absent, ignored),
            *_notes_on_strangers(month, unprofiled, total_rows),
            *known_ids.notes(lake, named),
            *map(_put_aside, aside),
            *map(_not_taken, cleared[:_WORST]),
        ],
    }


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


def _notes(
    config: Config,
    month: str,
    missing: Sequence[str],
    absent: Mapping[str, Sequence[str]],
    ignored: Mapping[str, Sequence[str]],
) -> list[str]:
    feeds = config.sources.feeds
    notes = [f"feed {feed} was not delivered for {month}; {feeds[feed].when_absent}" for feed in missing]
    notes += [
        f"{feed} of {month} came without {_listed(names)}; what needs them is left out"
        for feed, names in absent.items()
        if names
    ]
    notes += [
        f"{feed} of {month} brought columns sources.yaml does not declare; ignored: {_listed(names)}"
        for feed, names in ignored.items()
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
        words = _listed(total_rows)
        notes.append(
            f"usage_months {month} holds what looks like a total row ({words}); it is nobody's usage"
        )
    return notes


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED_AT_MOST
    return ", ".join(names[:_NAMED_AT_MOST]) + (f" and {more:,} more" if more > 0 else "")
