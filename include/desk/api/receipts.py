"""Idempotency keys: a request repeated under its key gets the answer of the first time, and is not done again.

The receipt is written in the transaction of the action, so that both stand or neither. What was refused changed
nothing, leaves none, and may be sent again under the same key.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from include.desk.acting import identify
from include.desk.errors import KeyReused
from include.queries import load

Q = load("desk_receipts")


@dataclass(frozen=True)
class Receipt:
    """The key of one request of one person."""

    staff_id: int
    key: str
    request_sha256: str
    ticket_id: int
    now: datetime

    def find(self, db: sa.Connection) -> int | None:
        """The version the first request left; None when there was none, KeyReused when it asked for another thing."""
        with db.begin():
            identify(db, self.staff_id)
            found = db.execute(Q["find_receipt"], self._values()).one_or_none()
        if found is None:
            return None
        if found.request_sha256 != self.request_sha256:
            raise KeyReused
        return int(found.version)

    def write(self, db: sa.Connection, version: int) -> None:
        """Keep the answer, in the transaction of the action."""
        db.execute(Q["forget_receipts"], self._values())
        db.execute(Q["write_receipt"], self._values() | {"version": version})

    def _values(self) -> dict[str, Any]:
        return {
            name: getattr(self, name) for name in ("staff_id", "key", "request_sha256", "ticket_id", "now")
        }


def request_sha256(*asked: object) -> str:
    """What was asked for, as 64 characters that do not tell it."""
    told = json.dumps(asked, sort_keys=True, default=str)
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
