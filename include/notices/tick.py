"""What the DAGs run: gather and deliver at every tick, alarms alone at any hour."""

from collections.abc import Mapping
from datetime import datetime
from typing import TypedDict

import sqlalchemy as sa

from include.config import Config
from include.config.readers.notices import Notices
from include.notices.alarms import Alarm, announce, check_heartbeats
from include.notices.delivering import Send, deliver
from include.notices.gathering import gather, gather_alarms
from include.stages.sla import beat


class Delivery(TypedDict):
    """Messages gathered or watchers looked at (`rows_in`), sent or silent (`rows_out`), and how sending went."""

    stage: str
    rows_in: int
    rows_out: int
    sent: int
    failed: int
    dead: int


def tell(
    *, db: sa.Connection, config: Config, notices: Notices, channels: Mapping[str, Send], now: datetime
) -> Delivery:
    """Gather what is to be told now into digests and deliver what is due; leave a heartbeat."""
    gathered = gather(db, config, notices, now)
    done = deliver(db, notices, now, channels)
    with db.begin():
        beat(db, "deliver_notices", now, {"gathered": gathered, **done})
    return {"stage": "notices", "rows_in": gathered, "rows_out": done["sent"], **done}


def check(*, db: sa.Connection, notices: Notices, channels: Mapping[str, Send], now: datetime) -> Delivery:
    """Alarm for watchers that fell silent, and deliver the alarms that stand."""
    silent = check_heartbeats(db, notices, now)
    gather_alarms(db, notices, now)
    done = deliver(db, notices, now, {"operations": channels["operations"]})
    return {"stage": "heartbeats", "rows_in": len(notices.heartbeats), "rows_out": len(silent), **done}


def alarm(
    *, db: sa.Connection, notices: Notices, channels: Mapping[str, Send], now: datetime, alarm: Alarm
) -> bool:
    """Tell operations of one thing, and deliver it at once where it is a page; False when told already."""
    with db.begin():
        is_new = announce(db, alarm.kind, alarm.key, alarm.details, now)
    if is_new:
        gather_alarms(db, notices, now)
        deliver(db, notices, now, {"operations": channels["operations"]})
    return is_new
