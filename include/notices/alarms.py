"""Alarms for operations: written once per key, and a watcher that has fallen silent is one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from include.config.readers.notices import Heartbeat, Notices
from include.database.queries import load
from include.domain.periods.months import ZONE

Q = load("notices")


@dataclass(frozen=True)
class Alarm:
    """One thing operations are told of, once a day by its `key`; `details` are what the text of its `kind` may use."""

    kind: str
    key: str
    details: Mapping[str, Any]


def announce(db: sa.Connection, kind: str, key: str, details: Mapping[str, Any], now: datetime) -> bool:
    """Tell operations once a day of one thing (`key`), inside the open transaction; False when told already."""
    values = {
        "dedupe_key": f"{kind}/{key}/{now.astimezone(ZONE):%Y-%m-%d}",
        "kind": kind,
        "details": json.dumps(dict(details), ensure_ascii=False),
        "now": now,
    }
    return db.execute(Q["announce"], values).one_or_none() is not None


def check_heartbeats(db: sa.Connection, notices: Notices, now: datetime) -> list[str]:
    """Alarm for every watcher that should have ticked by `now` and has not; returns their names.

    One that was never seen is awaited from the first look on.
    """
    with db.begin():
        silent = silent_watchers(db, notices, now)
        for name, (expected_at, ticked_at) in silent.items():
            details = {
                "watcher": name,
                "expected_at": expected_at.isoformat(),
                "ticked_at": ticked_at.isoformat(),
            }
            announce(db, "heartbeat_missing", name, details, now)
        db.execute(Q["await_heartbeats"], {"names": list(notices.heartbeats), "now": now})
    return list(silent)


def silent_watchers(
    db: sa.Connection, notices: Notices, now: datetime
) -> dict[str, tuple[datetime, datetime]]:
    """Watchers that missed a tick: when it was expected, and the last one seen (or since when it is awaited)."""
    ticked = {row.name: row.ticked_at for row in db.execute(Q["read_heartbeats"])}
    found = {}
    for name, rule in notices.heartbeats.items():
        expected_at = expected_tick(rule, now)
        if name in ticked and ticked[name] < expected_at:
            found[name] = (expected_at, ticked[name])
    return found


def expected_tick(rule: Heartbeat, now: datetime) -> datetime:
    """The newest tick that must be over at `now`, the allowance granted."""
    latest = now.astimezone(ZONE) - timedelta(minutes=rule.allow_minutes)
    first = datetime.combine(latest.date(), rule.since, ZONE)
    if latest < first:
        return datetime.combine(latest.date() - timedelta(days=1), rule.until, ZONE)
    last = datetime.combine(latest.date(), rule.until, ZONE)
    step = timedelta(minutes=rule.every_minutes)
    return min(last, first + (latest - first) // step * step)
