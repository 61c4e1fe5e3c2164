"""Who must not be called whatever the score says: gone, porting out, refused, protected. The same for both arms."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import polars as pl

from include.config import Config
from include.database.queries import load
from include.domain.periods.months import ZONE, month_of
from include.lake import Lake
from include.run import Run
from include.subscribers.contact_limits import FEED, limits_said
from include.subscribers.departures import joined, still_gone
from include.subscribers.facts import consent_is_delivered
from include.subscribers.holders import new_holders
from include.subscribers.last_profiles import profiles_of

#: What is asked of a consent: nothing, that it was not refused, that it was given.
Consent = Literal["any", "not_refused", "given"]


def barred_of(run: Run, subscribers: list[str]) -> dict[str, str]:
    """The reason each barred subscriber of a campaign's is barred for, by its kind and whom it is for.

    Whom a campaign wins back has left and applied to port out: that bars from no campaign of `people: left`.
    """
    rules, found = run.rules, dict[str, str]()
    for each, theirs in profiles_of(rules, run.lake, run.month, subscribers).items():
        consent = consent_asked(run.config, run.campaign, run.lake, each)
        frames = _unwelcome(run.lake, each, run.as_of, consent)
        frames += _leaving(run.lake, each, run.as_of) if rules.people == "living" else []
        found |= _found(frames, theirs)
    return found


def consent_asked(config: Config, campaign: str, lake: Lake, month: str) -> Consent:
    """Marketing needs a consent that was given, where any are delivered or contact.yaml refuses without."""
    if config.campaign(campaign).kind == "service":
        return "any"
    is_refused = config.contact.consent_not_delivered == "refuse"
    return "given" if is_refused or consent_is_delivered(lake, month) else "not_refused"


def consent_note(config: Config, campaign: str, lake: Lake, month: str) -> str:
    """That the operator delivers no consents, and what marketing does then; empty where none is missed."""
    if config.campaign(campaign).kind == "service" or consent_is_delivered(lake, month):
        return ""
    does = config.contact.consent_not_delivered
    meaning = {"allow": "everybody counts as having consented", "refuse": "nobody is contacted"}[does]
    return (
        f"subscribers of {month} has no column consents_to_marketing: by consent_not_delivered ({does}) in "
        f"contact.yaml {meaning}."
    )


def barred(
    lake: Lake, month: str, as_of: datetime, subscribers: list[str], consent: Consent = "not_refused"
) -> dict[str, str]:
    """The reason each barred subscriber of `subscribers` is barred for, as known before `as_of`.

    The gravest reason stands: gone, port_out_applied, then limits of contact, then missing consent.
    """
    frames = [*_unwelcome(lake, month, as_of, consent), *_leaving(lake, month, as_of)]
    return _found(frames, subscribers)


def leaving(lake: Lake, month: str, as_of: datetime, subscribers: list[str]) -> dict[str, str]:
    """Those of `subscribers` who are `gone`, or have applied to port out and not come back (`port_out_applied`).

    As known before `as_of`; `month` is the newest profile, which may tell of a later joining.
    """
    return _found(_leaving(lake, month, as_of), subscribers)


def _found(frames: Sequence[pl.LazyFrame | None], subscribers: list[str]) -> dict[str, str]:
    """The reason of each subscriber, a later frame's before an earlier one's."""
    wanted = pl.LazyFrame({"subscriber_id": subscribers}, schema={"subscriber_id": pl.String})
    found: dict[str, str] = {}
    for frame in frames:
        if frame is not None:
            rows = frame.join(wanted, on="subscriber_id", how="semi").collect(engine="streaming")
            found |= dict(rows.select("subscriber_id", "reason").iter_rows())
    return found


def barred_in_database(run: Run) -> dict[str, str]:
    """The reason for each admitted warning of the cycle whose customer must not be called, in any campaign.

    What a person was told counts whenever it was told: a refusal after `as_of` is one all the same.
    """
    values = {**run.key_of_revision, "day": run.as_of.astimezone(ZONE).date()}
    rows = run.db.execute(load("stages/dispatch")["find_barred"], values)
    return {row.subscriber_id: row.reason for row in rows}


def gone(lake: Lake, month: str, as_of: datetime) -> pl.LazyFrame:
    """subscriber_id of everybody who left before `as_of` and has not come back."""
    left = [_changed(lake, month, as_of, "left", "gone"), _churned(lake, month, as_of)]
    nobody = pl.LazyFrame(schema={"subscriber_id": pl.String})
    return pl.concat([nobody, *(each.select("subscriber_id") for each in left if each is not None)]).unique()


def _unwelcome(lake: Lake, month: str, as_of: datetime, consent: Consent) -> list[pl.LazyFrame | None]:
    """Who asked to be left alone, the graver reason last."""
    return [_without_consent(lake, month, consent), _limited(lake, month, as_of)]


def _leaving(lake: Lake, month: str, as_of: datetime) -> list[pl.LazyFrame | None]:
    applied = _changed(lake, month, as_of, "port_out_applied", "port_out_applied")
    return [applied, _changed(lake, month, as_of, "left", "gone"), _churned(lake, month, as_of)]


def _until(lake: Lake, table: str, as_of: datetime) -> pl.LazyFrame | None:
    last = month_of(as_of.astimezone(ZONE).date())
    frames = [lake.scan(table, month) for month in lake.months(table) if month <= last]
    return pl.concat(frames, how="diagonal") if frames else None


def _because(frame: pl.LazyFrame, reason: pl.Expr) -> pl.LazyFrame:
    return frame.select("subscriber_id", reason.alias("reason")).unique("subscriber_id", keep="first")


def _churned(lake: Lake, month: str, as_of: datetime) -> pl.LazyFrame | None:
    rows = _until(lake, "churned", as_of)
    if rows is None:
        return None
    left = rows.filter(pl.col("churned_on") < as_of.astimezone(ZONE).date())
    return _because(still_gone(left, lake, month, as_of), pl.lit("gone"))


def _changed(lake: Lake, month: str, as_of: datetime, kind: str, reason: str) -> pl.LazyFrame | None:
    """Those whose latest word on the matter is `kind`: who returned or joined again afterwards is not barred.

    Joined also by the profile of `month`: the number may be somebody else's by now.
    """
    rows = _until(lake, "subscriber_changes", as_of)
    if rows is None:
        return None
    undone = ["returned", "joined"]
    latest = (
        rows.filter((pl.col("occurred_at") < as_of.astimezone(UTC)) & pl.col("kind").is_in([kind, *undone]))
        .group_by("subscriber_id")
        .agg(pl.col("kind", "occurred_at").sort_by("occurred_at", "kind").last())
        .filter(pl.col("kind") == kind)
    )
    return _because(_not_joined_since(latest, lake, month), pl.lit(reason))


def _not_joined_since(changes: pl.LazyFrame, lake: Lake, month: str) -> pl.LazyFrame:
    day = pl.col("occurred_at").dt.convert_time_zone(ZONE.key).dt.date()
    is_anothers = (pl.col("joined_on") > day).fill_null(False)
    return changes.join(joined(lake, month), on="subscriber_id", how="left").filter(~is_anothers)


def _limited(lake: Lake, month: str, as_of: datetime) -> pl.LazyFrame | None:
    """Who is limited, with every other number of the same customer: it is the person who refused."""
    today = as_of.astimezone(ZONE).date()
    months = [each for each in lake.months(FEED) if each <= month_of(today)]
    if not months:
        return None
    limits = limits_said(lake, months, month, new_holders(lake, month, as_of), today)
    limits = limits.filter(pl.col("valid_from") < today)
    barred = limits.filter(~pl.col("has_lapsed")).select("subscriber_id", "kind")
    people = lake.scan("factors", month)
    if "customer_id" in people.collect_schema().names():
        numbers = people.select("subscriber_id", pl.col("customer_id").alias("customer_key")).drop_nulls()
        theirs = [
            limits.select("customer_key", "kind"),
            barred.join(numbers, on="subscriber_id").drop("subscriber_id"),
        ]
        whose = pl.concat(theirs, how="diagonal").unique()
        others = numbers.join(whose, on="customer_key").select("subscriber_id", "kind")
        barred = pl.concat([barred, others])
    return _because(barred.sort("kind"), pl.col("kind"))


def _without_consent(lake: Lake, month: str, consent: Consent) -> pl.LazyFrame | None:
    if consent == "any":
        return None
    is_given = pl.col("consents_to_marketing").fill_null(consent == "not_refused")
    return _because(lake.scan("factors", month).filter(~is_given), pl.lit("no_consent"))
