"""What the database keeps of limits of contact: which stand, and which numbers went to somebody new since."""

import hashlib
import json
from datetime import date, datetime

import polars as pl
import sqlalchemy as sa

from include.database import copy_rows
from include.database.queries import load
from include.domain.periods.months import ZONE, first_day, month_of
from include.domain.text.canonical import canonical_phone
from include.lake import Lake
from include.subscribers.contact_limits import FEED, PROFILES, limits_said
from include.subscribers.holders import known_since, new_holders

Q = load("stages/limits")
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


def resolve_refusals(db: sa.Connection, lake: Lake, profile: str) -> int:
    """Let refusals told at the desk hold for whom they are about, as the newest profile knows them; how many do anew.

    The desk knows the warned alone: an id may have been typed in another case, or the telephone number in its place,
    and of a subscriber never warned of it knows no customer. Whoever joined after the refusal did not say it.
    """
    said = {"refusal_id": pl.Int64(), "subscriber_id": pl.String(), "said_on": pl.Date()}
    unresolved = pl.DataFrame(
        [tuple(row) for row in db.execute(Q["read_unresolved"])], schema=said, orient="row"
    )
    if unresolved.is_empty() or not lake.has(PROFILES, profile):
        return 0
    people = _people(lake, profile)
    exact = _about(unresolved, people, "subscriber_id")
    unknown = unresolved.join(exact, on="refusal_id", how="anti")
    by_case = _about(unknown, people, "lower").filter(pl.len().over("refusal_id") == 1)
    by_number = _about(unknown.join(by_case, on="refusal_id", how="anti"), people, "msisdn")
    found = pl.concat([exact.filter(pl.col("customer_key") != pl.col("subscriber_id")), by_case, by_number])
    values = {
        "refusal_ids": found["refusal_id"].to_list(),
        "subscribers": found["subscriber_id"].to_list(),
        "customers": found["customer_key"].to_list(),
    }
    return int(db.execute(Q["resolve_refusals"], values).scalar_one())


def _people(lake: Lake, profile: str) -> pl.LazyFrame:
    """Everybody in a profile by whatever may have been typed for them: id, id in small letters, number to call."""
    rows = lake.scan(PROFILES, profile)
    there = rows.collect_schema().names()
    customer = pl.col("customer_id") if "customer_id" in there else pl.lit(None, pl.String)
    joined = pl.col("joined_on") if "joined_on" in there else pl.lit(None, pl.Date)
    people = rows.select(
        "subscriber_id",
        joined.alias("joined_on"),
        pl.coalesce(customer, "subscriber_id").alias("customer_key"),
        pl.col("subscriber_id").str.to_lowercase().alias("lower"),
    )
    if not lake.has("contacts", profile):
        return people.with_columns(msisdn=pl.lit(None, pl.String))
    return people.join(lake.scan("contacts", profile), on="subscriber_id", how="left")


def _about(unresolved: pl.DataFrame, people: pl.LazyFrame, by: str) -> pl.DataFrame:
    """refusal_id, subscriber_id and customer_key of those whom a refusal names `by` what was typed."""
    typed = {
        "subscriber_id": pl.col("subscriber_id"),
        "lower": pl.col("subscriber_id").str.to_lowercase(),
        "msisdn": pl.col("subscriber_id").map_elements(canonical_phone, return_dtype=pl.String),
    }[by]
    asked = unresolved.select("refusal_id", "said_on", typed.alias("typed")).drop_nulls("typed")
    rows = people.join(asked.lazy(), left_on=by, right_on="typed", how="inner")
    is_theirs = (pl.col("joined_on") <= pl.col("said_on")).fill_null(True)
    return (
        rows.filter(is_theirs)
        .select("refusal_id", "subscriber_id", "customer_key")
        .collect(engine="streaming")
    )
