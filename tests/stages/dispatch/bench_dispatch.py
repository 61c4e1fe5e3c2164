"""What a dispatch costs, set-based, again and a month later, with a loop of ORM objects beside it on a sample.

python -m tests.stages.dispatch.bench_dispatch --tickets 100000 [--sample 2000]
"""

import argparse
import json
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from include.config import load_config
from include.database import engine, upgrade
from include.domain.periods.months import ZONE
from include.lake import Lake
from include.local.postgres import Server
from include.settings import ROOT
from include.stages.dispatch import Choices, dispatch
from tests.fixtures.graded import Warned, graded_cycle
from tests.fixtures.runs import run_of

NOW = datetime(2026, 11, 5, 6, 30, tzinfo=ZONE)
HALF_AN_HOUR = timedelta(minutes=30)
_WRITTEN = "select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) from pg_stat_user_tables"
_TABLES = ("arms", "subscriber_arms", "assignments", "tickets", "ticket_events", "dispatch_decisions")


@contextmanager
def server() -> Any:
    """A PostgreSQL of its own, with fsync as in production."""
    folder = Path(tempfile.mkdtemp(prefix="churn-bench-"))
    folder.chmod(0o755)
    made = Server(folder / "postgres")
    try:
        made.start()
        upgrade(made.url("postgres"))
        yield made.url("postgres"), folder
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def measured(url: str, what: str, do: Callable[[sa.Connection], Any]) -> dict[str, Any]:
    """Seconds of one call on a connection of its own, and the rows it wrote by the server's own count."""
    before = _written(url)
    made = engine(url, poolclass=sa.NullPool)
    with made.connect() as db:
        started = time.perf_counter()
        tickets = do(db)
        seconds = time.perf_counter() - started
    made.dispose()
    written = _written(url) - before
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {
        "what": what, "tickets": tickets, "seconds": round(seconds, 2), "rows_written": written,
        "us_per_ticket": round(1e6 * seconds / tickets) if tickets else None, "peak_mb": peak_mb,
    }  # fmt: skip


def _written(url: str) -> int:
    """Rows inserted, updated and deleted so far; sessions that have ended have reported theirs."""
    made = engine(url, poolclass=sa.NullPool)
    time.sleep(1.5)
    with made.connect() as db:
        return int(db.execute(sa.text(_WRITTEN)).scalar_one())


def orm_loop(db: sa.Connection, sample: int) -> int:
    """The same rows for `sample` tickets of another campaign, object by object, committed one by one."""
    mapped = _mapped(db)
    found = db.execute(
        sa.text(
            "select a.*, t.team, t.expected_on from assignments as a join tickets as t using (assignment_id)"
            " order by a.rank limit :sample"
        ),
        {"sample": sample},
    )
    rows = found.mappings().all()
    db.rollback()
    with orm.Session(db) as session:
        session.execute(
            sa.text(
                "insert into cycles (campaign, cycle, month, as_of, config_hash, opened_at)"
                " select 'orm', cycle, month, as_of, config_hash, opened_at from cycles"
            )
        )
        session.commit()
        for row in rows:
            _one(session, mapped, row)
    return len(rows)


def _mapped(db: sa.Connection) -> dict[str, Any]:
    registry, metadata, mapped = orm.registry(), sa.MetaData(), {}
    for name in _TABLES:
        mapped[name] = type(name, (), {})
        registry.map_imperatively(mapped[name], sa.Table(name, metadata, autoload_with=db))
    db.rollback()
    return mapped


def _one(session: orm.Session, mapped: dict[str, Any], row: Any) -> None:
    def made(table: str, **values: Any) -> Any:
        each = mapped[table]()
        for name, value in values.items():
            setattr(each, name, value)
        session.add(each)
        session.flush()
        return each

    who = {"campaign": "orm", "subscriber_id": row["subscriber_id"]}
    customer = {
        "measure": "orm",
        "epoch": row["epoch"],
        "customer_key": row["customer_key"],
        "arm": row["arm"],
    }
    made("arms", **customer, held_out_share=0.2, decided_at=NOW)
    made("subscriber_arms", **who, epoch=row["epoch"], arm=row["arm"])
    place = {"cycle": row["cycle"], "customer_key": row["customer_key"], "rank": row["rank"]}
    assignment = made(
        "assignments", **who, **place, epoch=row["epoch"], arm=row["arm"], probability_of_assignment=0.8,
        evidence=row["evidence"], evidence_sha256=row["evidence_sha256"], assigned_at=NOW,
    )  # fmt: skip
    ticket = made(
        "tickets", **who, **place, assignment_id=assignment.assignment_id, state="waiting", version=1,
        team=row["team"], grade="high", tier="priority", dispatched_at=NOW, expected_on=row["expected_on"],
    )  # fmt: skip
    made(
        "ticket_events", ticket_id=ticket.ticket_id, version=1, kind="dispatch", to_state="waiting",
        actor="loop", occurred_at=NOW,
    )  # fmt: skip
    made("dispatch_decisions", **who, **place, decision="treated", decided_at=NOW, team=row["team"])
    session.commit()


def main() -> None:
    """Print one JSON object per measurement."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.stages.dispatch.bench_dispatch", description=__doc__
    )
    parser.add_argument("--tickets", type=int, default=100_000)
    parser.add_argument("--sample", type=int, default=2_000)
    told = parser.parse_args()
    config = load_config(ROOT / "include" / "config")
    warned = [Warned(f"S{n:07d}") for n in range(round(told.tickets / 0.8 * 1.05))]
    with server() as (url, folder):
        made = engine(url, poolclass=sa.NullPool)
        with made.connect() as db:
            with db.begin():
                db.execute(
                    sa.text(
                        "insert into staff (staff_code, name, role, team, contacts_per_day)"
                        " values ('A1', 'A1', 'agent', 'mid_high', :contacts)"
                    ),
                    {"contacts": told.tickets},
                )
            lake = Lake.create(folder / "lake", subscribers=2 * len(warned))
            given = graded_cycle(db, lake, config, warned)
            others = [Warned(f"N{n:07d}") for n in range(len(warned))]
            after = graded_cycle(db, lake, config, others, "2026-11")

        def dispatched(db: sa.Connection, which: dict[str, Any] = given, now: datetime = NOW) -> int:
            return int(dispatch(run_of(**which | {"db": db}, now=now), Choices(most=told.tickets))["treated"])

        print(json.dumps(measured(url, "set-based", dispatched)), flush=True)
        print(json.dumps(measured(url, "set-based, again", dispatched)), flush=True)
        later = measured(
            url, "set-based, a month later", lambda db: dispatched(db, after, after["as_of"] + HALF_AN_HOUR)
        )
        print(json.dumps(later), flush=True)
        loop = measured(url, f"ORM objects, sample of {told.sample:,}", lambda db: orm_loop(db, told.sample))
        print(json.dumps(loop), flush=True)


if __name__ == "__main__":
    main()
