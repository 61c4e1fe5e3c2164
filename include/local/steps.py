"""Foreground steps of a site: the databases, Airflow's bootstrap, programs of ours run to their end."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.domain.errors import LoopError
from include.local.processes import MARK, end, marked
from include.local.progress import tell
from include.local.sites import ROLES, Site, work_mark
from include.settings import ROOT

if TYPE_CHECKING:
    from sqlalchemy import Connection, TextClause


class StepFailed(LoopError):
    """A program run as one step ended with an error."""


def once(site: Site, name: str, work: Callable[[], Any]) -> Any:
    """Do `work` unless an earlier command finished it; its result is kept, so it must be JSON."""
    if name not in site.finished():
        site.finish(name, work())
    return site.finished()[name]


def together(site: Site, *works: Callable[[], Any]) -> None:
    """Do all `works` side by side; when one fails (or we are interrupted) end the others' programs."""
    with ThreadPoolExecutor(max_workers=len(works)) as pool:
        futures = [pool.submit(work) for work in works]
        try:
            for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                future.result()
        except BaseException:
            end(lambda: marked(work_mark(site)), patience=2)
            raise


def make_databases(site: Site) -> None:
    """Create `airflow` and `churn` where missing, bring `churn` up to date, give each login its own."""
    from include.database import upgrade
    from include.database.queries import load

    queries = load("commands/local")
    with _superuser(site, "postgres") as db:
        _carry_out(db, queries["make_statements"])
        upgrade(site.server.url("churn"))
        for role in ROLES:
            _carry_out(db, queries["login_statement"], role=role, password=site.role_password(role))
        db.execute(queries["close_databases"])
        db.execute(queries["open_churn"])
    with _superuser(site, "airflow") as db:
        _carry_out(db, queries["take_over_statements"])


def is_behind(site: Site) -> bool:
    """Whether `churn` lacks revisions of this checkout, as after a `git pull`."""
    from include.database import engine, is_current

    made = engine(site.server.url("churn"), role=None)
    try:
        with made.connect() as db:
            return not is_current(db)
    finally:
        made.dispose()


@contextmanager
def _superuser(site: Site, database: str) -> "Iterator[Connection]":
    from include.database import engine

    made = engine(site.server.url(database), role=None, isolation_level="AUTOCOMMIT")
    try:
        with made.connect() as db:
            yield db
    finally:
        made.dispose()


def _carry_out(db: "Connection", asked: "TextClause", **values: str) -> None:
    """Run the statements a query answers with."""
    for statement in db.scalars(asked, values).all():
        db.exec_driver_sql(str(statement).replace("%", "%%"))


def bootstrap_airflow(site: Site, users: Sequence[tuple[str, str, str]]) -> None:
    """Airflow's metadata, roles and `users` (username, role, name); passwords from the secrets file."""
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
            env={**site.environment(), **_for_foreground(site)},
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


def _for_foreground(site: Site) -> dict[str, str]:
    return {MARK: str(work_mark(site)), "PGPASSWORD": site.role_password("churn_loop")}


def _reason(log: Path, printed: Sequence[str]) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    # the last exception's own line, not the notes some libraries hang below it
    errors = [line for line in lines[-100:] if re.match(r"[A-Za-z_][\w.]*: ", line)]
    return (errors or lines or list(printed) or ["it ended without a word"])[-1]


def results(site: Site, name: str, words: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Run a program that prints a JSON object per line (the loop does) and hand each out."""
    for line in stream(site, name, words):
        try:
            yield json.loads(line)
        except ValueError:
            tell(f"{name}: {line}")
