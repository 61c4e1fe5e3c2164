"""One lock per table and period of the lake: whoever publishes, drops, erases, repairs or copies one holds it."""

import sqlalchemy as sa

from include.database import lock

#: Tables that are written together with another, under the lock of that one.
_WRITTEN_WITH = {"contacts": "subscribers"}


def hold(db: sa.Connection, table: str, period: str) -> None:
    """Keep everybody else from writing a period of a table to the end of the open transaction.

    period: what the table is published by, a month, or the day of a daily campaign's cycle; days delivered of a feed
    are part of their month.
    """
    lock(db, "lake", _WRITTEN_WITH.get(table, table), period)
