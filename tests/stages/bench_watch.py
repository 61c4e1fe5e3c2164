"""A tick of the watcher over many open tickets, a quiet one, and the row-by-row loop beside them.

    python -m tests.stages.bench_watch --tickets 1000000 --sample 20000

Makes its own PostgreSQL in a temporary folder. One ticket in fifty has a clock to warn of, one in fifty one to
breach, one in a hundred a breach that climbs. The loop is what an ORM tutorial does: every open clock is loaded,
looked at, changed and committed; it works a sample, which is put back before the set-based tick.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from include.clocks.calendar import fill_calendar
from include.clocks.ticket_clocks import read_clocks
from include.config import Config
from include.config.readers.campaign import CLOCKS, load_config
from include.config.readers.notices import load_notices
from include.database import engine, upgrade
from include.domain.periods.months import ZONE
from include.local.postgres import Server
from include.notices.gathering import gather
from include.settings import ROOT
from include.stages import sla

#: Wednesday evening: what was released on Friday is due, what was released on Monday warns.
NOW = datetime(2026, 11, 11, 18, 15, tzinfo=ZONE)
FRIDAY, MONDAY, TODAY = (datetime(2026, 11, day, 8, 30, tzinfo=ZONE) for day in (6, 9, 11))
QUARTER = timedelta(minutes=15)
_PLAN = {"plan": CLOCKS["plan"]}
AGENTS, TEAMS = 500, ("vip", "mid_high", "new_subscriber")

_FILL = (
    "insert into staff (staff_code, name, role, team, contacts_per_day) select 'A' || n, 'A' || n,"
    " case when n % 50 = 0 then 'lead' when n % 101 = 0 then 'manager' else 'agent' end,"
    " (array['vip', 'mid_high', 'new_subscriber'])[1 + n % 3], 12 from generate_series(1, :agents) as n",
    "insert into tickets (assignment_id, campaign, cycle, subscriber_id, customer_key, state, version, team, grade,"
    " tier, rank, dispatched_at, expected_on, released_at, assignee_id) select n, 'churn_warning', '2026-10', 'S' || n,"
    " 'S' || n, 'in_progress', 1, (array['vip', 'mid_high', 'new_subscriber'])[1 + n % 3], 'high', 'priority', n,"
    " :today, '2026-11-06', :today, 1 + (n / 50) % :agents from generate_series(1, :tickets) as n",
    "insert into ticket_events (ticket_id, version, kind, to_state, actor, occurred_at)"
    " select ticket_id, 1, 'contact', 'in_progress', 'bench', :today from tickets",
    # one in fifty warns, one in fifty breaches, the others' plans lie ahead
    "insert into ticket_clocks (ticket_id, clock, stops, started_at, warn_at, due_at, is_provisional, explanation)"
    " select t.ticket_id, 'plan', 'plan', c.started_at, c.warn_at, c.due_at, c.is_provisional, c.explanation"
    " from tickets as t inner join jsonb_to_recordset(cast(:clocks as jsonb)) as c (kind integer,"
    " started_at timestamptz,"
    " warn_at timestamptz, due_at timestamptz, is_provisional boolean, explanation jsonb)"
    " on c.kind = case t.rank % 50 when 0 then 0 when 1 then 1 else 2 end",
    # first contacts are met, but for one in a hundred, breached on Tuesday and the lead's from now on
    "insert into ticket_clocks (ticket_id, clock, stops, started_at, warn_at, due_at, is_provisional, explanation,"
    " met_at, breached_at, noticed_at, escalated_to, escalate_at) select ticket_id, 'first_contact', 'contact',"
    " started_at, warn_at, cast(:tuesday as timestamptz), false, explanation,"
    " case when ticket_id % 100 <> 2 then cast(:today as timestamptz) end,"
    " case when ticket_id % 100 = 2 then cast(:tuesday as timestamptz) end,"
    " case when ticket_id % 100 = 2 then cast(:tuesday as timestamptz) end,"
    " case when ticket_id % 100 = 2 then 'assignee' end,"
    " case when ticket_id % 100 = 2 then cast(:wednesday as timestamptz) end from ticket_clocks",
)


def fill(url: str, db: sa.Connection, config: Config, tickets: int) -> None:
    """Open tickets with both clocks; keys to assignments are left out, the watcher never looks at them."""
    with db.begin():
        fill_calendar(db, config, NOW)
        terms = read_clocks(db, config, NOW).terms()
    clocks = [
        {**terms.started(_PLAN, started)[0], "kind": kind, "started_at": started.isoformat()}
        for kind, started in enumerate((FRIDAY, MONDAY, TODAY))
    ]
    evening = NOW.replace(minute=0)
    values = {
        "tickets": tickets,
        "agents": AGENTS,
        "today": TODAY,
        "clocks": json.dumps(clocks),
        "tuesday": evening - timedelta(days=1),
        "wednesday": evening,
    }
    made = engine(url, role=None)
    with made.connect() as superuser:
        with superuser.begin():
            superuser.execute(sa.text("set local session_replication_role = replica"))
            for statement in _FILL:
                superuser.execute(sa.text(statement), values)
        superuser.execution_options(isolation_level="AUTOCOMMIT").execute(sa.text("vacuum analyze"))
    made.dispose()


# ------------------------------------------------------------ the loop beside it


class Base(DeclarativeBase):
    """Mapped classes."""


class Ticket(Base):
    """What the loop needs of a ticket."""

    __tablename__ = "tickets"
    ticket_id: Mapped[int] = mapped_column(primary_key=True)
    assignee_id: Mapped[int | None]


class Clock(Base):
    """A clock."""

    __tablename__ = "ticket_clocks"
    ticket_id: Mapped[int] = mapped_column(primary_key=True)
    clock: Mapped[str] = mapped_column(primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    warn_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True))
    due_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True))
    warned_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    met_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    breached_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    noticed_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
    escalated_to: Mapped[str | None]


class Notice(Base):
    """A notice."""

    __tablename__ = "notices"
    notice_id: Mapped[int] = mapped_column(sa.Identity(always=True), primary_key=True)
    dedupe_key: Mapped[str]
    kind: Mapped[str]
    audience: Mapped[str]
    staff_id: Mapped[int | None]
    ticket_id: Mapped[int | None]
    details: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    created_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True))


def loop(made: sa.Engine, sample: int, now: datetime) -> int:
    """Look at every open ticket of the sample in turn; how many rows were written."""
    written = 0
    with Session(made, expire_on_commit=False) as session:
        for ticket in session.scalars(sa.select(Ticket).where(Ticket.ticket_id <= sample)).all():
            running = sa.select(Clock).where(Clock.ticket_id == ticket.ticket_id, Clock.met_at.is_(None))
            for clock in session.scalars(running):
                written += _judge(session, ticket, clock, now)
            session.commit()
    return written


def _judge(session: Session, ticket: Ticket, clock: Clock, now: datetime) -> int:
    if clock.breached_at is None and clock.due_at < now:
        clock.breached_at, clock.noticed_at, clock.escalated_to = clock.due_at, now, "assignee"
        kind = "clock_breached"
    elif (
        clock.escalated_to == "assignee" and clock.breached_at and clock.breached_at < now - timedelta(days=1)
    ):
        clock.escalated_to, kind = "lead", "clock_breached"
    elif clock.warned_at is None and clock.warn_at <= now and clock.breached_at is None:
        clock.warned_at, kind = now, "clock_warned"
    else:
        return 0
    key = f"loop/{kind}/{ticket.ticket_id}/{clock.clock}"
    session.add(
        Notice(
            dedupe_key=key,
            kind=kind,
            audience="assignee",
            staff_id=ticket.assignee_id,
            ticket_id=ticket.ticket_id,
            details={"clock": clock.clock},
            created_at=now,
        )
    )
    return 2


_PUT_BACK = (
    "update ticket_clocks set warned_at = null, breached_at = null, noticed_at = null, escalated_to = null"
    " where ticket_id <= :sample and clock = 'plan'",
    "update ticket_clocks set escalated_to = 'assignee' where ticket_id <= :sample and escalated_to = 'lead'",
    "delete from notices",
)

# ------------------------------------------------------------ the figures


def measure(db: sa.Connection, made: sa.Engine, config: Config, sample: int) -> dict[str, Any]:
    """Seconds and rows of the loop over its sample, of a busy tick, of a quiet one, and of gathering."""
    found: dict[str, Any] = {}
    started = time.perf_counter()
    found["loop_rows"] = loop(made, sample, NOW)
    found["loop_seconds"] = time.perf_counter() - started
    started = time.perf_counter()
    loop(made, sample, NOW + QUARTER)
    found["loop_quiet_seconds"] = time.perf_counter() - started
    with db.begin():
        for statement in _PUT_BACK:
            db.execute(sa.text(statement), {"sample": sample})
    for name, now in (("busy", NOW), ("quiet", NOW + QUARTER)):
        started = time.perf_counter()
        told = sla.watch(db=db, config=config, now=now)
        found[f"{name}_seconds"] = time.perf_counter() - started
        found[f"{name}_facts"] = {kind: told[kind] for kind in ("warned", "breached", "escalated")}
        # a stamp for each, a notice for each but a breach, whose notice is its escalation; and the heartbeat
        found[f"{name}_rows"] = 2 * (told["warned"] + told["escalated"]) + told["breached"] + 1
    started = time.perf_counter()
    notices = load_notices(ROOT / "include" / "config")
    found["digests"] = gather(db, config, notices, NOW + timedelta(hours=15))
    found["gather_seconds"] = time.perf_counter() - started
    return found


def report(tickets: int, sample: int, found: dict[str, Any]) -> str:
    """The figures as text."""
    loop_all, loop_quiet = (tickets / sample * found[f"loop{kind}_seconds"] for kind in ("", "_quiet"))
    return "\n".join(
        [
            f"{tickets:,} open tickets, {2 * tickets:,} clocks",
            f"busy tick   {found['busy_seconds']:8.2f} s  {found['busy_rows']:>9,} rows  {found['busy_facts']}",
            f"quiet tick  {found['quiet_seconds']:8.3f} s  {found['quiet_rows']:>9,} rows",
            f"gathering   {found['gather_seconds']:8.2f} s  {found['digests']:>9,} digests",
            f"loop        {found['loop_seconds']:8.2f} s  {found['loop_rows']:>9,} rows over {sample:,} tickets alone",
            f"loop, again {found['loop_quiet_seconds']:8.2f} s          0 rows over {sample:,} tickets alone",
            f"The loop over all, by proportion: {loop_all:,.0f} s, "
            f"{loop_all / found['busy_seconds']:,.0f} times the busy tick;",
            f"with nothing to do {loop_quiet:,.0f} s, {loop_quiet / found['quiet_seconds']:,.0f} times the quiet one.",
        ]
    )


def main(words: list[str] | None = None) -> int:
    """Fill, measure, tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.stages.bench_watch")
    parser.add_argument("--tickets", type=int, default=1_000_000)
    parser.add_argument("--sample", type=int, default=20_000)
    given = parser.parse_args(words)
    config = load_config(ROOT / "include" / "config")
    folder = Path(tempfile.mkdtemp(prefix="churn-bench-"))
    folder.chmod(0o755)
    server = Server(folder / "postgres")
    try:
        server.start()
        url = server.url("postgres")
        upgrade(url)
        made = engine(url)
        with made.connect() as db:
            started = time.perf_counter()
            fill(url, db, config, given.tickets)
            print(f"filled in {time.perf_counter() - started:.0f} s", flush=True)
            print(report(given.tickets, given.sample, measure(db, made, config, given.sample)))
        made.dispose()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
