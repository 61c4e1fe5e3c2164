"""Foreground steps of a site: the databases, Airflow's bootstrap, programs of ours run to their end."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from include.domain.errors import LoopError
from include.local.processes import MARK
from include.local.progress import tell
from include.local.sites import ROLES, Site
from include.settings import ROOT


class StepFailed(LoopError):
    """A program run as one step ended with an error."""


def work_mark(site: Site) -> Path:
    """Marks foreground programs, which a restart of Airflow's processes must not end."""
    return site.folder / "work"


def once(site: Site, name: str, work: Callable[[], Any]) -> Any:
    """Do `work` unless an earlier command finished it; its result is kept, so it must be JSON."""
    finished: dict[str, Any] = site.memory().get("finished", {})
    if name not in finished:
        finished_now = work()
        finished = {**site.memory().get("finished", {}), name: finished_now}
        site.remember(finished=finished)
    return finished[name]


def make_databases(site: Site) -> None:
    """Create `airflow` and `churn` where they are missing, bring `churn` up to date, give its roles passwords."""
    import psycopg2
    from psycopg2 import sql

    from include.database import upgrade

    def execute(database: str, *statements: Any) -> None:
        connection = psycopg2.connect(site.server.url(database))
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        connection.close()

    connection = psycopg2.connect(site.server.url("postgres"))
    with connection, connection.cursor() as cursor:
        cursor.execute("select datname from pg_database")
        known = {name for (name,) in cursor.fetchall()}
    connection.close()
    missing = [name for name in ("airflow", "churn") if name not in known]
    execute("postgres", *(sql.SQL("create database {}").format(sql.Identifier(name)) for name in missing))
    upgrade(site.server.url("churn"))
    login = sql.SQL("alter role {} login password {}")
    passwords = site.secrets()["roles"]
    execute("churn", *(login.format(sql.Identifier(role), sql.Literal(passwords[role])) for role in ROLES))


def bootstrap_airflow(site: Site, users: Sequence[tuple[str, str, str]]) -> None:
    """Airflow's metadata, roles and `users` (username, role, name) with passwords kept in the secrets file."""
    given = [
        {"username": username, "role": role, "name": name, "password": site.password_of(username)}
        for username, role, name in users
    ]
    run(site, "bootstrap", ["-m", "include.local.bootstrap"], text=json.dumps(given))


def run(site: Site, name: str, words: Sequence[str], text: str = "") -> list[str]:
    """Run our Python with `words`; return its output lines. Its error output goes to `logs/<name>.log`."""
    return list(stream(site, name, words, text=text))


def stream(site: Site, name: str, words: Sequence[str], text: str = "") -> Iterator[str]:
    """Like `run`, but hand out each line of output when it is written."""
    log = site.logs / f"{name}.log"
    with log.open("a") as errors:
        process = subprocess.Popen(
            [sys.executable, *words],
            env={**site.environment(), MARK: str(work_mark(site))},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        assert process.stdin is not None  # noqa: S101 - asked for above
        assert process.stdout is not None  # noqa: S101
        process.stdin.write(text)
        process.stdin.close()
        printed = []
        for line in process.stdout:
            printed.append(line.rstrip("\n"))
            yield printed[-1]
    if process.wait() != 0:
        raise StepFailed(f"{name} failed: {_reason(log, printed)} (log: {log})")


def _reason(log: Path, printed: Sequence[str]) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return (lines or list(printed) or ["it ended without a word"])[-1]


def results(site: Site, name: str, words: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Run a program that prints a JSON object per line (the loop does) and hand each out."""
    for line in stream(site, name, words):
        try:
            yield json.loads(line)
        except ValueError:
            tell(f"{name}: {line}")
