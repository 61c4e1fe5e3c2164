"""The way out: a message is leased, sent and marked; at least once, and twice only when killed in between."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypedDict

import sqlalchemy as sa

from include.config.readers.notices import Notices
from include.database.queries import load
from include.domain.errors import LoopError
from include.notices.alarms import announce
from include.notices.texts import masked

Q = load("notices")

# longer than a task may run: whoever holds a lease is dead when it ends
_LEASE = timedelta(minutes=15)
_LONGEST_PAUSE = timedelta(hours=2)
_MOST_AT_ONCE = 2000
# a server that refuses so often in a row is down; the rest waits without using up attempts
_PATIENCE = 3
_ERROR_LENGTH = 300


class NotDelivered(LoopError):
    """A message could not be handed over; `is_final` when no repetition can help."""

    def __init__(self, sentence: str, *, is_final: bool = False) -> None:
        super().__init__(sentence)
        self.is_final = is_final


@dataclass(frozen=True)
class Message:
    """One digest on its way. `dedupe_key` is the same at every attempt."""

    message_id: int
    dedupe_key: str
    channel: str
    address: str | None
    severity: str
    subject: str
    body: str
    attempts: int
    staff_code: str | None = None


class Sent(TypedDict):
    """Messages handed over, to be tried again, and given up."""

    sent: int
    failed: int
    dead: int


#: Hands one message over at an instant, or raises NotDelivered.
Send = Callable[[Message, datetime], None]


def deliver(db: sa.Connection, notices: Notices, now: datetime, channels: Mapping[str, Send]) -> Sent:
    """Send what is due through its channel; several may do so at once. Returns counts: sent, failed, dead.

    A failure is tried again after ever longer pauses; after the configured attempts the message is dead and
    operations are alarmed.
    """
    done: Counter[str] = Counter(sent=0, failed=0, dead=0)
    refusals = dict.fromkeys(channels, 0)
    for _ in range(_MOST_AT_ONCE):
        usable = [name for name, refused in refusals.items() if refused < _PATIENCE]
        message = _claim(db, now, usable)
        if message is None:
            break
        try:
            channels[message.channel](message, now)
        except NotDelivered as error:
            refusals[message.channel] += 1
            done[_failed(db, notices, message, error, now)] += 1
        else:
            refusals[message.channel] = 0
            _mark(db, "mark_delivered", message, now=now)
            done["sent"] += 1
    return {"sent": done["sent"], "failed": done["failed"], "dead": done["dead"]}


def _claim(db: sa.Connection, now: datetime, channels: list[str]) -> Message | None:
    with db.begin():
        values = {"now": now, "leased_until": now + _LEASE, "channels": channels}
        row = db.execute(Q["claim_message"], values).mappings().one_or_none()
    return None if row is None else Message(**row)


def _failed(db: sa.Connection, notices: Notices, message: Message, error: NotDelivered, now: datetime) -> str:
    why = masked(" ".join(str(error).split()))[:_ERROR_LENGTH]
    if not error.is_final and message.attempts < notices.attempts:
        pause = timedelta(minutes=notices.first_retry_minutes) * 2 ** (message.attempts - 1)
        _mark(db, "mark_failed", message, error=why, next_attempt_at=now + min(pause, _LONGEST_PAUSE))
        return "failed"
    with db.begin():
        db.execute(Q["mark_dead"], {"message_id": message.message_id, "error": why, "now": now})
        if message.channel != "operations":  # an alarm about an alarm would never end
            details = {"message_id": message.message_id, "attempts": message.attempts, "why": why}
            announce(db, "message_dead", str(message.message_id), details, now)
    return "dead"


def _mark(db: sa.Connection, statement: str, message: Message, **values: Any) -> None:
    with db.begin():
        db.execute(Q[statement], {"message_id": message.message_id, **values})


def retry_dead(db: sa.Connection, now: datetime) -> int:
    """Put every dead message back on its way; returns how many."""
    with db.begin():
        return len(db.execute(Q["revive_messages"], {"now": now}).all())
