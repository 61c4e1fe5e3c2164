"""What an analysis judges by: who left after a month and, where the operations database is open, who was contacted."""

from datetime import datetime

import polars as pl
from sqlalchemy import Connection

from include.lake import Lake
from include.stages import examples, labels
from include.stages.examples import LabelledMonth

_NO_WEIGHTS = {"subscriber_id": pl.String, "weight": pl.Float64}


def labelled_month(
    lake: Lake, campaign: str, month: str, horizon: int, as_of: datetime, db: Connection | None
) -> LabelledMonth:
    """The label of a month; with `db` whom somebody contacted drops and the held-out weigh for them.

    Without it everybody counts as they went, for the lake does not know who was contacted.
    """
    if db is not None:
        return examples.labelled_month(db, lake, campaign, month, horizon, as_of)
    return LabelledMonth(month, labels.leavers(lake, month, horizon), pl.DataFrame(schema=_NO_WEIGHTS))
