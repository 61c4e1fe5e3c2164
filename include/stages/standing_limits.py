"""What the database keeps of limits of contact: which stand, and which numbers went to somebody new since."""

import hashlib
import json
from datetime import date, datetime

import polars as pl
import sqlalchemy as sa

from include.database import copy_rows
from include.domain.months import ZONE, first_day, month_of
from include.lake import Lake
from include.queries import load
from include.stages.contact_limits import FEED, PROFILES, limits_said
from include.stages.holders import known_since, new_holders

Q = load("limits")
_COLUMNS = ("subscriber_id", "customer_key", "kind", "valid_from", "valid_to", "month")


def keep_standing(db: sa.Connection, lake: Lake, profile: str, now: datetime) -> dict[str, str]:
    """Fill the months of the feed that changed anew; what each month is filled from, by month.

    A month that has left the lake keeps its limits: a refusal holds for good. `profile` is the newest month.
    """
    loaded: dict[str, str] = dict(db.execute(Q["read_loaded"]).scalar() or {})
    holders, today = _keep_holders(db, lake, profile, now), now.astimezone(ZONE).date()
    profiles = [month for month in lake.months(PROFILES) if month <= profile]
    made_of = [*(lake.manifest(PROFILES, month).fingerprint for month in profiles), holders.write_csv()]
    by_whom = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()
    delivered = [month for month in lake.months(FEED) if month <= month_of(today)]
    stand = {month: f"{lake.manifest(FEED, month).fingerprint}/{by_whom}" for month in delivered}
    changed = [month for month, known in stand.items() if loaded.get(month) != known]
    if changed:
        rows = limits_said(lake, changed, profile, holders.lazy(), today)
        db.execute(Q["forget_months"], {"months": changed})
        db.execute(Q["stage_limits"])
        given = rows.select(_COLUMNS).collect(engine="streaming")
        copy_rows(db, "limits_given", _COLUMNS, given.iter_rows())
        db.execute(Q["keep_limits"], {"now": now})
    return loaded | stand


def _keep_holders(db: sa.Connection, lake: Lake, profile: str, now: datetime) -> pl.DataFrame:
    """Bring `new_holders` up to what the lake knows, and read it: a leaving the lake does not reach back to stays."""
    rows = new_holders(lake, profile, now).collect(engine="streaming")
    since = known_since(lake)
    db.execute(Q["stage_holders"])
    copy_rows(db, "holders_given", rows.columns, rows.iter_rows())
    db.execute(Q["forget_holders"], {"since": first_day(since) if since else None})
    db.execute(Q["keep_holders"])
    stand = [tuple(row) for row in db.execute(Q["read_holders"])]
    return pl.DataFrame(stand, schema=rows.schema, orient="row")


def in_force(db: sa.Connection, today: date) -> pl.LazyFrame:
    """Every limit that has not ended: subscriber_id, said_on, holds_for_number."""
    columns = {"subscriber_id": pl.String(), "said_on": pl.Date(), "holds_for_number": pl.Boolean()}
    rows = [tuple(row) for row in db.execute(Q["read_in_force"], {"today": today})]
    return pl.LazyFrame(rows, schema=columns, orient="row")
