"""Limits: what the day feeds say reaches the tickets. The gone and the refusing are cancelled, applicants frozen."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime

import polars as pl
import sqlalchemy as sa

from include.clocks.calendar import fill_calendar
from include.clocks.ticket_clocks import read_clocks
from include.config import Config
from include.database import copy_rows, lock
from include.database.queries import load
from include.domain.day_feeds import FEEDS
from include.domain.periods.months import ZONE, month_of
from include.lake import Lake
from include.run.results import Counts
from include.stages.collection import losses
from include.stages.limits.standing import in_force, keep_standing, resolve_refusals
from include.subscribers.contact_limits import newest_profile, noteworthy_of
from include.subscribers.eligibility import leaving

Q = load("stages/limits")
#: Without these, somebody gone or porting out would be called; a limit of contact that was known stays known.
_NEVER_WITHOUT = ("churned", "subscriber_changes")


class Limited(Counts):
    """What reached the tickets; told: limits of contact a person should know of, ahead: changes after now."""

    cancelled: int
    cancelled_because: dict[str, int]
    frozen: int
    unfrozen: int
    standing: dict[str, int]
    told: dict[str, int]
    ahead: int


def process(*, db: sa.Connection, lake: Lake, config: Config, now: datetime) -> Limited:
    """Bring tickets and standing limits up to what the lake knows before `now`, in one transaction.

    The result follows from the lake and the tickets as they stand, not from what was processed before: twice,
    after a kill, with days delivered late, anew or in another order it is the same.
    """
    with db.begin():
        losses.refuse_lost(db, lake, lambda feed, _: feed in _NEVER_WITHOUT)
        fill_calendar(db, config, now)  # first: a change of the calendar waits for whoever holds tickets
        lock(db, "limits")
        today = now.astimezone(ZONE).date()
        profile = newest_profile(lake, now)
        loaded = keep_standing(db, lake, profile, now)
        resolved = resolve_refusals(db, lake, profile)
        noteworthy = noteworthy_of(lake, profile, in_force(db, today)) | {"resolved": resolved}
        subscribers = list(db.execute(Q["read_unfinished"]).scalars())
        _stage(db, leaving(lake, profile, now, subscribers))
        values = {"now": now, "today": today}
        db.execute(Q["stage_limited"], values)
        db.execute(Q["lock_concerned"])
        because = {row.reason: row.tickets for row in db.execute(Q["cancel_tickets"], values)}
        frozen = db.execute(Q["freeze_tickets"], values).scalar_one()
        unfrozen = _unfreeze(db, config, now)
        standing = {row.kind: row.limits for row in db.execute(Q["count_standing"], values)}
        db.execute(Q["beat"], values | {"facts": json.dumps({"loaded": loaded})})
    changed = sum(because.values()) + frozen + unfrozen
    return {
        "stage": "limits",
        "rows_in": len(subscribers),
        "rows_out": changed,
        "cancelled": sum(because.values()),
        "cancelled_because": because,
        "frozen": frozen,
        "unfrozen": unfrozen,
        "standing": standing,
        "told": noteworthy,
        "ahead": _ahead(lake, now),
        "message": " ".join([_known_until(lake, today), *_sentences(noteworthy)]),
    }


def _unfreeze(db: sa.Connection, config: Config, now: datetime) -> int:
    """Let the frozen tickets of those who stay go on, each by the rules and the calendar of its kind."""
    staying = db.execute(Q["find_staying"]).all()
    if not staying:
        return 0
    terms, clocks = read_clocks(db, config, now).at_release(staying, now.astimezone(ZONE))
    values = {
        "ticket_ids": [ticket.ticket_id for ticket in staying],
        "terms": terms,
        "clocks": json.dumps(clocks, ensure_ascii=False),
    }
    return int(db.execute(Q["unfreeze_tickets"], values | {"now": now}).scalar_one())


def _stage(db: sa.Connection, reasons: Mapping[str, str]) -> None:
    db.execute(Q["stage_leaving"])
    copy_rows(db, "limits_stage", ("subscriber_id", "reason"), sorted(reasons.items()))


def _ahead(lake: Lake, now: datetime) -> int:
    """Changes of today that are dated later than `now`: known, and not in force yet."""
    changes, month = "subscriber_changes", month_of(now.astimezone(ZONE).date())
    if not lake.has(changes, month):
        return 0
    later = lake.scan(changes, month).filter(pl.col("occurred_at") >= now.astimezone(UTC))
    return int(later.select(pl.len()).collect().item())


def _sentences(noteworthy: Mapping[str, int]) -> list[str]:
    """What is told of limits of contact, beside how many stand; nothing of what there is none of."""
    sentences = {
        "lapsed": "{} limits of contact were said by a former holder of the number: they lapsed for the number and hold"
        " for the customer who said them.",
        "rejoined": "{} limits of contact are older than the joining of their number, and no leaving lies between:"
        " they stand.",
        "resolved": "{} refusals told at the desk hold for the subscriber or customer they are about, too, as the"
        " profiles know them.",
        "unknown": "{} limits of contact name ids no profile has: they are kept, and hold as soon as one has.",
    }
    return [words.format(f"{noteworthy[name]:,}") for name, words in sentences.items() if noteworthy[name]]


def _known_until(lake: Lake, today: date) -> str:
    """Up to which day or month each feed was delivered: silence of an operator must be seen."""
    known = []
    for feed in FEEDS:
        months = [month for month in lake.months(feed) if month <= month_of(today)]
        last = max(lake.manifest(feed, months[-1]).periods) if months else None
        known.append(f"{feed} is known until {last}" if last else f"{feed} was never delivered")
    return "; ".join(known) + "."
