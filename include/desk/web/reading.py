"""The desk's own small pool: row-level security by the person, and no statement that outlives its page.

The desk shares a process with Airflow's execution API. Few connections and a statement time-out keep a slow
query from starving task heartbeats.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from include.database import DESK_ROLE, engine
from include.database.queries import load

Q = load("desk/actions")

CONNECTIONS = 4
WAIT_SECONDS = 5
STATEMENT_MS = 5000


class Database:
    """The operations database with desk rights."""

    def __init__(self, url: str) -> None:
        self._engine = engine(
            url, role=DESK_ROLE, pool_size=CONNECTIONS, max_overflow=0, pool_timeout=WAIT_SECONDS,
            connect_args={"options": f"-c statement_timeout={STATEMENT_MS}"},
        )  # fmt: skip

    @contextmanager
    def reading(self, staff_id: int | None) -> Iterator[sa.Connection]:
        """One transaction that sees what `staff_id` may see; without one, no ticket at all."""
        with self._engine.connect() as db, db.begin():
            if staff_id is not None:
                db.execute(Q["identify"], {"staff_id": str(staff_id)})
            yield db

    @contextmanager
    def working(self) -> Iterator[sa.Connection]:
        """A connection for the ticket functions, which make their own transactions."""
        with self._engine.connect() as db:
            yield db

    def close(self) -> None:
        """Give every connection back to the server."""
        self._engine.dispose()
