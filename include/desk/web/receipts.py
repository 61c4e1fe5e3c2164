"""Once: what is sent again under its key gets the answer of the first time, and is not done again.

The receipt is written in the transaction of the action, so that both stand or neither. What was refused changed
nothing, leaves none, and may be sent again under the same key. Forms and programs go the same way.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from include.database import lock
from include.database.queries import load
from include.desk.tickets.transaction import identify
from include.desk.web.errors import KeyReused

Q = load("desk/receipts")
#: Longer than any honest repetition.
KEPT = timedelta(days=7)
#: What the same person sends without a key in the same words is the same once more: a second click, a form reloaded.
IN_THE_SAME_WORDS = timedelta(minutes=10)


@dataclass(frozen=True)
class Receipt:
    """The key of one request of one person, and what it asks for."""

    staff_id: int
    key: str
    request_sha256: str
    now: datetime
    counts_for: timedelta = KEPT

    def find(self, db: sa.Connection) -> list[Any]:
        """What the first request led to, if there was one; KeyReused when that asked for another thing."""
        found = db.execute(Q["find_receipt"], self._values()).one_or_none()
        if found is None:
            return []
        if found.request_sha256 != self.request_sha256:
            raise KeyReused
        return [found.answer]

    def write(self, db: sa.Connection, answer: Any) -> None:
        """Keep what the request led to, in the transaction of the action."""
        db.execute(Q["forget_receipts"], self._values())
        db.execute(Q["write_receipt"], self._values() | {"answer": json.dumps(answer)})

    def forget(self, db: sa.Connection) -> None:
        """Let the request be made again: what it asked for failed after all."""
        with db.begin():
            identify(db, self.staff_id)
            db.execute(Q["forget_receipt"], self._values())

    def _values(self) -> dict[str, Any]:
        return {
            "staff_id": self.staff_id, "key": self.key, "request_sha256": self.request_sha256, "now": self.now,
            "since": self.now - self.counts_for, "forgotten_since": self.now - KEPT,
        }  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What a request led to, and whether it was this one that did it."""

    value: Any
    is_first: bool


def once(db: sa.Connection, receipt: Receipt | None, act: Callable[[], Any]) -> Answer:
    """What `act` answers (as JSON keeps it), or answered when it was asked for the first time.

    `act` and its receipt are one transaction. Sent twice at once, the second waits for the first.
    """
    if receipt is None:
        return Answer(act(), is_first=True)
    with db.begin():
        identify(db, receipt.staff_id)
        lock(db, "receipt", receipt.staff_id, receipt.key)
        if kept := receipt.find(db):
            return Answer(kept[0], is_first=False)
        answer = act()
        receipt.write(db, answer)
    return Answer(answer, is_first=True)


def read_answer(db: sa.Connection, staff_id: int, key: str, now: datetime) -> Any:
    """What a request of the person led to, to tell on the page after it; None when there is no such one."""
    return db.execute(
        Q["find_receipt"], {"staff_id": staff_id, "key": key, "since": now - KEPT}
    ).scalar_one_or_none()


def request_sha256(*asked: object) -> str:
    """What was asked for, as 64 characters that do not tell it."""
    text = json.dumps(asked, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
