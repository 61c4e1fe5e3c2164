"""Named points of the dispatching, releasing, watching and delivering process, and a victim that stops at one."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path

import sqlalchemy as sa

from include.config import Config, load_config
from include.config.readers.notices import load_notices
from include.database import engine
from include.database.queries import load
from include.domain.periods.months import ZONE
from include.lake import Lake
from include.notices.channels import open_channels
from include.notices.delivering import Message, Send
from include.notices.tick import tell
from include.settings import ROOT
from include.stages.dispatch import dispatch
from include.stages.release import release
from include.stages.sla import watch
from tests.fixtures.beside import with_campaign
from tests.fixtures.runs import run_of

CONFIG = ROOT / "include" / "config"
DISPATCHED = datetime(2026, 11, 5, 6, 30, tzinfo=ZONE)
RELEASED = datetime(2026, 11, 6, 8, 30, tzinfo=ZONE)
#: A working day after the plan was due: a tick then breaches, warns and escalates.
WATCHED = datetime(2026, 11, 13, 10, 0, tzinfo=ZONE)
#: A lease of a message has ended by the second time.
DELIVERED = (datetime(2026, 11, 13, 10, 15, tzinfo=ZONE), datetime(2026, 11, 13, 10, 45, tzinfo=ZONE))

_ASLEEP = 120.0


@dataclass(frozen=True)
class Point:
    """`moment` is before or after a statement of `sql/<file>.sql`; or commit (first), sent, done without one."""

    process: str
    moment: str
    file: str = ""
    statement: str = ""

    def __str__(self) -> str:
        where = f" {self.file}.{self.statement}" if self.statement else ""
        return f"{self.moment}{where}"


def _around(process: str, file: str, *statements: str) -> list[Point]:
    return [Point(process, moment, file, each) for each in statements for moment in ("before", "after")]


def _dispatching(process: str) -> list[Point]:
    return [
        Point(process, "after", "stages/dispatch", "find_cycle"),
        Point(process, "after", "clocks/expiry", "expire_waiting"),
        Point(process, "after", "stages/dispatch", "find_candidates"),
        *_around(
            process,
            "stages/dispatch",
            "draw_arms",
            "forget_decisions",
            "stage_decisions",
            "keep_subscriber_arms",
        ),
        *_around(
            process, "stages/dispatch", "write_assignments", "write_tickets", "write_decisions", "fix_cycle"
        ),
        Point(process, "commit"),
        Point(process, "done"),
    ]


#: Two campaigns that dispatch at once, by the one that is killed: the other one goes on meanwhile.
RIVALS = {"better": "other", "other": "better"}
CAMPAIGNS = {"dispatch": "churn_warning", "better": "churn_warning", "other": "renewal"}

POINTS = [
    *(point for process in CAMPAIGNS for point in _dispatching(process)),
    Point("release", "after", "stages/release", "read_callers"),
    *_around("release", "stages/release", "release_tickets", "expect_later"),
    Point("release", "commit"),
    Point("release", "done"),
    *_around("watch", "stages/sla", "breach_clocks", "warn_clocks", "escalate_clocks", "beat"),
    Point("watch", "commit"),
    Point("watch", "done"),
    *_around("deliver", "notices", "write_messages", "claim_message"),
    Point("deliver", "sent"),
    *_around("deliver", "notices", "mark_delivered"),
    Point("deliver", "commit"),
    Point("deliver", "done"),
]


def both_campaigns() -> Config:
    """The configuration with a campaign beside churn_warning that goes after it."""
    return with_campaign(load_config(CONFIG), "renewal", precedence=20, measure="contract_renewal")


def work(
    process: str, db: sa.Connection, folder: Path, stop: Callable[[], None], again: bool = False
) -> None:
    """Do what the process does at its own time; `stop` is called after each message was sent."""
    config = both_campaigns()
    if process in CAMPAIGNS:
        campaign = CAMPAIGNS[process]
        dispatch(
            run_of(
                db=db,
                lake=Lake(folder / "lake"),
                config=config.of(campaign),
                campaign=campaign,
                cycle="2026-10",
                month="2026-10",
                as_of=datetime(2026, 11, 5, 6, tzinfo=ZONE),
                now=DISPATCHED,
            )
        )
    elif process == "release":
        release(db=db, config=config, now=RELEASED)
    elif process == "watch":
        watch(db=db, config=config, now=WATCHED)
    else:
        notices = load_notices(CONFIG)
        channels = open_channels(notices, folder / "sent", lambda name: NotImplemented)
        stopping = {name: _and_stop(send, stop) for name, send in channels.items()}
        tell(db=db, config=config, notices=notices, channels=stopping, now=DELIVERED[again])


def _and_stop(send: Send, stop: Callable[[], None]) -> Send:
    def sent(message: Message, now: datetime) -> None:
        send(message, now)
        stop()

    return sent


def stop_at(point: Point, url: str, folder: Path, here: Connection) -> None:
    """Work until the point is reached, say so, and wait there to be killed."""

    def stop() -> None:
        here.send(str(point))
        time.sleep(_ASLEEP)

    made = engine(url)
    if point.statement:
        longest = max(re.split(r":\w+", load(point.file)[point.statement].text), key=len)

        @sa.event.listens_for(made, f"{point.moment}_cursor_execute")
        def at_statement(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
            if longest in statement.replace("%%", "%"):
                stop()

    elif point.moment == "commit":
        sa.event.listen(made, "commit", lambda _connection: stop())
    with made.connect() as db:
        work(point.process, db, folder, stop if point.moment == "sent" else lambda: None)
    if point.moment == "done":
        stop()
    here.send("never came there")
