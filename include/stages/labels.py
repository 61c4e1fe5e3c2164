"""Labels: who left in the months after a month, known only once those months are complete (docs: time)."""

import hashlib
import json
from datetime import datetime

import polars as pl

from include.domain.errors import NotReady
from include.domain.months import is_past_grace, month_start, shift
from include.lake import Lake

CHURNED = "churned"


def window(month: str, horizon: int) -> list[str]:
    """The months in which leaving counts as churn after `month`: M+1 … M+H."""
    return [shift(month, ahead) for ahead in range(1, horizon + 1)]


def is_complete(lake: Lake, month: str, as_of: datetime) -> bool:
    """Whether everybody who left in `month` is known at `as_of`; a month without a delivery never is."""
    if month_start(shift(month, 1)) > as_of or not lake.has(CHURNED, month):
        return False
    return bool(lake.manifest(CHURNED, month).facts.get("complete")) or is_past_grace(month, as_of)


def is_labelled(lake: Lake, month: str, horizon: int, as_of: datetime) -> bool:
    """Whether the whole label window of `month` lies before `as_of`."""
    return all(is_complete(lake, ahead, as_of) for ahead in window(month, horizon))


def labelled_months(lake: Lake, until: str, horizon: int, as_of: datetime) -> list[str]:
    """Months up to `until` with usage, profiles and a label known at `as_of`, oldest first."""
    observed = set(lake.months("usage_months")) & set(lake.months("subscribers"))
    return [m for m in sorted(observed) if m <= until and is_labelled(lake, m, horizon, as_of)]


def leavers(lake: Lake, month: str, horizon: int) -> pl.DataFrame:
    """Who left in the label window of `month`: subscriber_id, churned_on (the first time), reason.

    Raises NotReady when a month of the window was not delivered: that month has no label.
    """
    missing = [ahead for ahead in window(month, horizon) if not lake.has(CHURNED, ahead)]
    if missing:
        raise NotReady(f"{month} has no label: churned {missing[0]} was not delivered. Deliver it first.")
    frames = [_leavers_of(lake, ahead) for ahead in window(month, horizon)]
    together = pl.concat(frames).collect().sort("churned_on", "subscriber_id", "reason")
    return together.unique("subscriber_id", keep="first", maintain_order=True)


def with_labels(people: pl.LazyFrame, left: pl.DataFrame) -> pl.LazyFrame:
    """`people` with has_churned (Boolean), churned_on and reason of those in `left`."""
    marked = left.lazy().with_columns(has_churned=pl.lit(True))
    joined = people.join(marked, on="subscriber_id", how="left", maintain_order="left")
    return joined.with_columns(pl.col("has_churned").fill_null(False))


def fingerprint(lake: Lake, month: str, horizon: int) -> str:
    """What the label of `month` is made of; changes when its population or its window does."""
    made_of = [lake.manifest("factors", month).fingerprint]
    made_of += [lake.manifest(CHURNED, ahead).fingerprint for ahead in window(month, horizon)]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()


def _leavers_of(lake: Lake, month: str) -> pl.LazyFrame:
    feed = lake.scan(CHURNED, month)
    names = feed.collect_schema().names()
    reason = (
        pl.col("reason").cast(pl.String) if "reason" in names else pl.lit(None, pl.String).alias("reason")
    )
    return feed.select(pl.col("subscriber_id"), pl.col("churned_on").cast(pl.Date), reason)
