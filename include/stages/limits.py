"""Limits: what the day feeds say reaches the tickets. The gone and the refusing are cancelled, applicants frozen."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import polars as pl
import sqlalchemy as sa

from include.config import Config
from include.database import copy_rows, lock
from include.domain.months import ZONE, month_of
from include.lake import Lake
from include.queries import load
from include.stages.calendar import fill_calendar
from include.stages.clocks import read_clocks
from include.stages.eligibility import leaving

Q = load("limits")

#: The feeds an operator delivers by the day, collected every morning before anything is handed out.
FEEDS = ("subscriber_changes", "contact_limits")
_FEED = "contact_limits"
_COLUMNS = ("subscriber_id", "customer_key", "kind", "valid_from", "valid_to", "month")


def process(*, db: sa.Connection, lake: Lake, config: Config, now: datetime) -> dict[str, Any]:
    """Bring tickets and standing limits up to what the lake knows before `now`, in one transaction.

    The result follows from the lake and the tickets as they stand, not from what was processed before: twice,
    after a kill, with days delivered late, anew or in another order it is the same.
    """
    with db.begin():
        lock(db, "limits")
        today = now.astimezone(ZONE).date()
        loaded = _keep_standing(db, lake, today, now)
        subscribers = list(db.execute(Q["read_unfinished"]).scalars())
        _stage(db, leaving(lake, _newest_profile(lake, today), now, subscribers))
        values = {"now": now, "today": today}
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
        "message": _known_until(lake, today),
    }


def _unfreeze(db: sa.Connection, config: Config, now: datetime) -> int:
    """Let the frozen tickets of those who stay go on, each by the rules and the calendar of its kind."""
    staying = db.execute(Q["find_staying"]).all()
    if not staying:
        return 0
    fill_calendar(db, config, now)
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


def _keep_standing(db: sa.Connection, lake: Lake, today: date, now: datetime) -> dict[str, str]:
    """Fill the months of the feed that changed anew; what each month is filled from, by month.

    A month that has left the lake keeps its limits: a refusal holds for good.
    """
    loaded: dict[str, str] = dict(db.execute(Q["read_loaded"]).scalar() or {})
    profile = _newest_profile(lake, today)
    by_customer = (
        lake.manifest("subscribers", profile).fingerprint if lake.has("subscribers", profile) else ""
    )
    delivered = [month for month in lake.months(_FEED) if month <= month_of(today)]
    stand = {month: f"{lake.manifest(_FEED, month).fingerprint}/{by_customer}" for month in delivered}
    changed = [month for month, known in stand.items() if loaded.get(month) != known]
    if changed:
        db.execute(Q["forget_months"], {"months": changed})
        db.execute(Q["stage_limits"])
        copy_rows(db, "limits_given", _COLUMNS, _limits(lake, changed, profile, today).iter_rows())
        db.execute(Q["keep_limits"], {"now": now})
    return loaded | stand


def _limits(lake: Lake, months: Sequence[str], profile: str, today: date) -> pl.DataFrame:
    """The limits of these months that stand on `today` or later, each with the key of its customer."""
    shape = pl.LazyFrame(schema={"valid_to": pl.Date})  # a column the operator may lack
    frames = [lake.scan(_FEED, month).with_columns(pl.lit(month).alias("month")) for month in months]
    rows = pl.concat([shape, *frames], how="diagonal")
    is_open = pl.col("valid_to").is_null() | (pl.col("valid_to") >= today) | (pl.col("kind") == "refused")
    wanted = ("subscriber_id", "kind", "valid_from", "valid_to", "month")
    standing = rows.filter(is_open).select(wanted).unique()
    keyed = standing.join(_customers(lake, profile), on="subscriber_id", how="left")
    with_key = keyed.with_columns(pl.coalesce("customer_id", "subscriber_id").alias("customer_key"))
    return with_key.select(_COLUMNS).collect(engine="streaming")


def _customers(lake: Lake, profile: str) -> pl.LazyFrame:
    """The customer behind each number; nobody's when the profile does not say."""
    if lake.has("subscribers", profile):
        people = lake.scan("subscribers", profile)
        if "customer_id" in people.collect_schema().names():
            return people.select("subscriber_id", "customer_id")
    return pl.LazyFrame(schema={"subscriber_id": pl.String, "customer_id": pl.String})


def _newest_profile(lake: Lake, today: date) -> str:
    """The newest month that has a profile, else the month of `today`."""
    known = [month for month in lake.months("subscribers") if month <= month_of(today)]
    return known[-1] if known else month_of(today)


def _known_until(lake: Lake, today: date) -> str:
    """Up to which day or month each feed was delivered: silence of an operator must be seen."""
    told = []
    for feed in FEEDS:
        months = [month for month in lake.months(feed) if month <= month_of(today)]
        last = max(lake.manifest(feed, months[-1]).periods) if months else None
        told.append(f"{feed} is known until {last}" if last else f"{feed} was never delivered")
    return "; ".join(told) + "."
