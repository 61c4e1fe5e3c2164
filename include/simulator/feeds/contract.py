"""The landing contract as the simulator writes it: columns in order, and internal numbers made text."""

import polars as pl

from include.simulator.market import MarketEvents
from include.simulator.province import first_day, month_named

COLUMNS: dict[str, tuple[str, ...]] = {
    "subscribers": (
        "subscriber_id", "joined_on", "msisdn", "customer_id", "account_id", "plan_code", "plan_fee_yuan",
        "plan_data_mb", "plan_voice_minutes", "contract_ends_on", "birth_year", "is_student",
        "is_enterprise", "region_code", "branch_code", "channel_code", "seller_code", "manager_code",
        "network_type", "device_code", "balance_yuan", "arrears_yuan", "consents_to_marketing", "status",
    ),
    "usage_months": (
        "subscriber_id", "bill_yuan", "data_mb", "voice_out_minutes", "voice_in_minutes", "sms_count",
        "out_of_bundle_yuan", "out_of_bundle_data_yuan", "topup_yuan", "topup_count", "active_days",
        "business_transactions", "app_logins", "community_posts", "competitor_plan_queries",
        "call_attempts", "dropped_calls",
    ),
    "service_events": (
        "event_id", "subscriber_id", "occurred_at", "kind", "product", "category", "resolved_at",
        "satisfaction", "duration_seconds", "text",
    ),
    "market_events": ("event_id", "occurred_on", "kind", "region_code", "operator_code", "value", "text"),
    "subscriber_changes": ("subscriber_id", "occurred_at", "kind"),
    "contact_limits": ("subscriber_id", "kind", "valid_from", "valid_to", "source"),
    "churned": ("subscriber_id", "churned_on", "reason"),
}  # fmt: skip

_MARKET_TEXTS = {"price_cut": "竞争对手下调套餐资费", "plan_launch": "竞争对手推出新套餐", "sentiment": ""}


def subscriber_id(offset: int) -> pl.Expr:
    """The id of a local number in the block that starts at `offset`: S and eight digits."""
    return ("S" + (pl.col("row") + offset).cast(pl.String).str.zfill(8)).alias("subscriber_id")


def events_feed(frame: pl.DataFrame, month: int, offset: int) -> pl.DataFrame:
    """service_events: an event's id hangs on its subscriber, so nobody else's treatment renames it."""
    name = month_named(month).replace("-", "")
    number = (pl.col("key") + offset * 64).cast(pl.String).str.zfill(10)
    opened = pl.col("occurred_at")
    return frame.with_columns(
        subscriber_id(offset),
        (f"E{name}-" + number).alias("event_id"),
        _instant(opened).alias("occurred_at"),
        _instant(opened + pl.col("open_seconds")).alias("resolved_at"),
    )


def changes_feed(frame: pl.DataFrame, offset: int) -> pl.DataFrame:
    """subscriber_changes, with the column `day` the delivery goes by."""
    return frame.with_columns(subscriber_id(offset), _instant(pl.col("occurred_at")).alias("occurred_at"))


def limits_feed(frame: pl.DataFrame, offset: int) -> pl.DataFrame:
    """contact_limits, with the column `day` the delivery goes by; valid_to is empty when for good."""
    return frame.with_columns(
        subscriber_id(offset),
        _date(pl.col("day")).alias("valid_from"),
        pl.when(pl.col("valid_to") > 0).then(_date(pl.col("valid_to"))).alias("valid_to"),
    )


def churned_feed(frame: pl.DataFrame, offset: int) -> pl.DataFrame:
    """churned of one month."""
    return frame.with_columns(subscriber_id(offset), _date(pl.col("churned_on")).alias("churned_on"))


def market_feed(events: MarketEvents, month: int) -> pl.DataFrame:
    """market_events of one month."""
    name = month_named(month).replace("-", "")
    frame = pl.DataFrame(
        {
            "occurred_on": first_day(month) + events.day,
            "kind": events.kind,
            "region": events.region + 1,
            "operator_code": events.operator,
            "value": events.value,
        }
    ).with_row_index("number", offset=1)
    return frame.with_columns(
        (f"M{name}-" + pl.col("number").cast(pl.String).str.zfill(4)).alias("event_id"),
        _date(pl.col("occurred_on")).alias("occurred_on"),
        ("R" + pl.col("region").cast(pl.String).str.zfill(2)).alias("region_code"),
        pl.col("kind").replace_strict(_MARKET_TEXTS).alias("text"),
    )


def _instant(seconds: pl.Expr) -> pl.Expr:
    """ISO 8601 with the offset of Shanghai, from seconds of local time since 1970-01-01."""
    return pl.from_epoch(seconds, time_unit="s").dt.strftime("%Y-%m-%dT%H:%M:%S+08:00")


def _date(days: pl.Expr) -> pl.Expr:
    return days.cast(pl.Int32).cast(pl.Date)
