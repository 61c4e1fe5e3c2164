"""Kill each process at every named point, run it again, and compare with a run nobody disturbed.

python -m tests.kills.sigkill_matrix [--process dispatch|better|other|release|watch|deliver]

`better` and `other` are two campaigns with half of their customers in common that dispatch at once: the one named is
killed while the other waits for it.

Exit status 1 when something was lost, doubled, left half done, or a point was not reached.
"""

import argparse
import json
import multiprocessing
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import sqlalchemy as sa

from include.database import engine, upgrade
from include.lake import Lake
from include.local.postgres import Server
from include.stages.dispatch import dispatch
from include.stages.release import release
from include.stages.sla import watch
from tests.fixtures.graded import Warned, graded_cycle
from tests.fixtures.runs import run_of
from tests.fixtures.work import hire
from tests.kills.sigkill_points import (
    CAMPAIGNS,
    DISPATCHED,
    POINTS,
    RELEASED,
    RIVALS,
    WATCHED,
    Point,
    both_campaigns,
    stop_at,
    work,
)

_CUSTOMERS = 30
_PATIENCE = 60.0
#: Seconds in which the other campaign comes as far as it can while the one to be killed holds the lock.
_HEAD_START = 0.3
_RIVAL = "rival"

#: What must be the same as without a kill; no numbers from sequences, which leave gaps.
_STATE = (
    "select 'assignment', campaign, subscriber_id, arm, rank, probability_of_assignment, evidence_sha256"
    " from assignments",
    "select 'ticket', t.campaign, t.subscriber_id, t.state, t.version, t.team, s.staff_code, t.expected_on,"
    " t.released_at from tickets as t left join staff as s on t.assignee_id = s.staff_id",
    "select 'event', t.campaign, t.subscriber_id, e.version, e.kind, e.from_state, e.to_state, e.occurred_at"
    " from ticket_events as e join tickets as t using (ticket_id)",
    "select 'clock', t.subscriber_id, c.clock, c.round, c.due_at, c.warn_at, c.warned_at, c.breached_at, c.noticed_at,"
    " c.escalated_to, c.met_at, c.voided_at from ticket_clocks as c join tickets as t using (ticket_id)",
    "select 'decision', campaign, subscriber_id, decision, reason, yields_to, team from dispatch_decisions",
    "select 'arm', measure, customer_key, arm from arms",
    "select 'cycle', campaign, cycle, fixed_at from cycles",
    "select 'notice', t.subscriber_id, n.kind, n.audience, s.staff_code, n.created_at from notices as n"
    " left join tickets as t on n.ticket_id = t.ticket_id left join staff as s on n.staff_id = s.staff_id",
    "select 'message', m.channel, s.staff_code, m.subject, m.notices, m.delivered_at is not null, m.dead_at is null"
    " from messages as m left join staff as s on m.staff_id = s.staff_id",
)


@dataclass
class Databases:
    """A server on which databases are copied; `ready` holds the state each process begins with."""

    url: Callable[[str], str]
    execute: Callable[[str], None]
    folder: Path
    ready: dict[str, str]

    def copy(self, template: str) -> str:
        """A fresh copy of a database; its name."""
        name = f"kill_{secrets.token_hex(5)}"
        self.execute(f"create database {name} template {template}")
        return name

    @contextmanager
    def connected(self, name: str) -> Iterator[sa.Connection]:
        """A connection with the rights of the stages, closed for good afterwards."""
        made = engine(self.url(name), poolclass=sa.NullPool)
        with made.connect() as db:
            yield db
        made.dispose()

    def drop(self, name: str) -> None:
        """Remove a copy, whoever is still in it."""
        self.execute(f"drop database {name} with (force)")


@dataclass(frozen=True)
class Verdict:
    """What came of one kill; `half` counts rows seen after the kill that belong to neither before nor after."""

    point: Point
    was_reached: bool
    half: int
    expected: int
    created: int
    lost: int
    doubled: int
    sent_again: int

    @property
    def is_right(self) -> bool:
        """Reached, whole, and as if nothing had happened; a message may be sent once more."""
        clean = not (self.half or self.lost or self.doubled)
        return self.was_reached and clean and self.created == self.expected and self.sent_again <= 1


def prepare(databases: Databases, template: str) -> None:
    """Make the database each process begins with: graded, dispatched to people, released, breached."""
    config = both_campaigns()
    name = databases.copy(template)
    lake = Lake.create(databases.folder / "lake", subscribers=10)
    people = [Warned(f"S{n:04d}") for n in range(_CUSTOMERS + _CUSTOMERS // 2)]
    with databases.connected(name) as db:
        hire(db, contacts_per_day=3)
        given = graded_cycle(db, lake, config, people[:_CUSTOMERS], everybody=people)
    databases.ready["dispatch"] = name
    two = databases.copy(name)
    with databases.connected(two) as db:
        graded_cycle(db, lake, config, people[-_CUSTOMERS:], campaign=CAMPAIGNS["other"], everybody=people)
    databases.ready |= dict.fromkeys(RIVALS, two)
    steps = {
        "release": lambda db: dispatch(run_of(**given | {"db": db}, now=DISPATCHED)),
        "watch": lambda db: release(db=db, config=config, now=RELEASED),
        "deliver": lambda db: watch(db=db, config=config, now=WATCHED),
    }
    for process, step in steps.items():
        name = databases.copy(name)
        with databases.connected(name) as db:
            step(db)
        databases.ready[process] = name


def judge(databases: Databases, points: Sequence[Point]) -> Iterator[Verdict]:
    """Kill at each point and judge what came of it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.kills.sigkill_points"])
    known: dict[str, list[list[Counter[str]]]] = {}
    for point in points:
        process = point.process
        if process not in known:
            rival = RIVALS.get(process)
            orders = [[process, rival], [rival, process]] if rival else [[process]]
            known[process] = [_undisturbed(databases, order) for order in orders]
        yield _judged(databases, context, point, known[process])


def _undisturbed(databases: Databases, processes: Sequence[str]) -> list[Counter[str]]:
    """The state before, and after each of the processes."""
    name = databases.copy(databases.ready[processes[0]])
    with databases.connected(name) as db:
        states = [_state(db)]
        for process in processes:
            work(process, db, _sink(databases, name), lambda: None)
            states.append(_state(db))
    databases.drop(name)
    return states


def _sink(databases: Databases, name: str) -> Path:
    """A folder with the lake of all and messages of its own."""
    folder = databases.folder / name
    folder.mkdir(exist_ok=True)
    if not (folder / "lake").exists():
        (folder / "lake").symlink_to(databases.folder / "lake")
    return folder


def _judged(
    databases: Databases, context: Any, point: Point, undisturbed: Sequence[Sequence[Counter[str]]]
) -> Verdict:
    """What came of a kill, against the order of the processes that what is there now comes nearest to."""
    name = databases.copy(databases.ready[point.process])
    folder = _sink(databases, name)
    was_reached = _killed(databases, context, point, name, folder)
    with databases.connected(name) as db:
        seen = _state(db)
        half = _torn(seen, [state for states in undisturbed for state in states])
        work(point.process, db, folder, lambda: None, again=True)
        now = _state(db)
        after = min((states[-1] for states in undisturbed), key=lambda each: _differing(now, each))
    sent = _sent(folder)
    databases.drop(name)
    return Verdict(
        point, was_reached, half, sum(after.values()), sum(now.values()), sum((after - now).values()),
        sum((now - after).values()), sum(sent.values()) - len(sent),
    )  # fmt: skip


def _torn(seen: Counter[str], whole: Sequence[Counter[str]]) -> int:
    """Rows that differ from every whole state: a transaction leaves all or nothing. Messages on their way may wait."""
    return min(_differing(_without_messages(seen), _without_messages(each)) for each in whole)


def _differing(one: Counter[str], other: Counter[str]) -> int:
    return sum(((one - other) + (other - one)).values())


def _without_messages(state: Counter[str]) -> Counter[str]:
    return Counter({row: times for row, times in state.items() if not row.startswith("('message'")})


def _killed(databases: Databases, context: Any, point: Point, name: str, folder: Path) -> bool:
    """Start the process, let it come to the point, SIGKILL it there; whether it came there.

    Its rival, if it has one, begins meanwhile, and has done all it can when this returns.
    """
    ours, theirs = context.Pipe()
    victim = context.Process(target=stop_at, args=(point, databases.url(name), folder, theirs))
    victim.start()
    theirs.close()
    try:
        was_reached = ours.poll(_PATIENCE) and ours.recv() == str(point)
    except EOFError:
        was_reached = False
    with _rival(databases, point, name, folder):
        victim.kill()
        victim.join()
        _wait_for_its_session(databases, name)
    return bool(was_reached)


@contextmanager
def _rival(databases: Databases, point: Point, name: str, folder: Path) -> Iterator[None]:
    """The other campaign, which dispatches at the same time."""
    if point.process not in RIVALS:
        yield
        return
    made = engine(f"{databases.url(name)}?application_name={_RIVAL}", poolclass=sa.NullPool)
    with made.connect() as db, ThreadPoolExecutor(1) as pool:
        done = pool.submit(work, RIVALS[point.process], db, folder, lambda: None)
        time.sleep(_HEAD_START)
        yield
        done.result(_PATIENCE)
    made.dispose()


def _wait_for_its_session(databases: Databases, name: str) -> None:
    """The server notices by and by that the client is gone, and rolls back."""
    connection = psycopg2.connect(databases.url(name))
    connection.autocommit = True
    with connection, connection.cursor() as cursor:
        for _ in range(200):
            cursor.execute(
                "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
                f" and backend_type = 'client backend' and application_name <> '{_RIVAL}'"
            )
            if cursor.fetchone() == (0,):
                break
            # a session that waits for nothing does not look whether its client is there
            cursor.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
                f" and pid <> pg_backend_pid() and state like 'idle%' and application_name <> '{_RIVAL}'"
            )
            time.sleep(0.02)
    connection.close()


def _state(db: sa.Connection) -> Counter[str]:
    with db.begin():
        rows = [tuple(row) for statement in _STATE for row in db.execute(sa.text(statement))]
    return Counter(map(str, rows))


def _sent(folder: Path) -> Counter[str]:
    lines = [line for file in folder.glob("sent/*.jsonl") for line in file.read_text("utf-8").splitlines()]
    return Counter(json.loads(line)["dedupe_key"] for line in lines)


def table(verdicts: Sequence[Verdict]) -> str:
    """The matrix, a line per kill."""
    head = (
        f"{'process':<9} {'killed':<38} {'reached':>7} {'half':>5} {'rows expected':>13} {'there':>6} {'lost':>5}"
        f" {'doubled':>8} {'sent again':>10}"
    )
    lines = [
        f"{each.point.process:<9} {each.point!s:<38} {each.was_reached!s:>7} {each.half:>5} {each.expected:>13}"
        f" {each.created:>6} {each.lost:>5} {each.doubled:>8} {each.sent_again:>10}"
        for each in verdicts
    ]
    right = sum(each.is_right for each in verdicts)
    return "\n".join([head, *lines, f"{right} of {len(verdicts)} kills left everything right."])


@contextmanager
def own_server() -> Iterator[Databases]:
    """A server for this run alone."""
    folder = Path(tempfile.mkdtemp(prefix="churn-kill-"))
    folder.chmod(0o755)
    server = Server(folder / "postgres", fsync=False)
    try:
        server.start()
        databases = Databases(server.url, lambda statement: _execute(server, statement), folder, {})
        databases.execute("create database kill_template template template0")
        upgrade(server.url("kill_template"))
        prepare(databases, "kill_template")
        yield databases
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _execute(server: Server, statement: str) -> None:
    connection = psycopg2.connect(server.url("postgres"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


def main() -> int:
    """Print the matrix; 1 when anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills.sigkill_matrix", description=__doc__)
    parser.add_argument("--process", choices=sorted({point.process for point in POINTS}))
    wanted = parser.parse_args().process
    with own_server() as databases:
        verdicts = list(judge(databases, [each for each in POINTS if wanted in (None, each.process)]))
    print(table(verdicts))
    return 0 if all(each.is_right for each in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
