"""Expiry: a ticket that waited as long as its campaign lets it is stale, whoever dispatches or releases next."""

from datetime import datetime

import sqlalchemy as sa

from include.database.queries import load

Q = load("clocks/expiry")


def expire_waiting(db: sa.Connection, now: datetime) -> int:
    """Expire what is stale at `now`, of every campaign, inside the open transaction; how many there were.

    How long a ticket may wait was written with it at its dispatch, so the files of other campaigns are not needed.
    """
    return db.execute(Q["expire_waiting"], {"now": now}).rowcount
