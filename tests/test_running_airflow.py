"""The whole loop through a running Airflow: killed during dispatch, cleared, run twice at once, and still once."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import psycopg2
import pytest
import sqlalchemy as sa

from include.config import Config
from include.database import engine, upgrade
from include.domain.periods.months import default_as_of, month_start
from include.lake import Lake
from include.local import components
from include.local.airflow import start_airflow, start_databases
from include.local.api import Api
from include.local.processes import free_port
from include.local.progress import follow
from include.local.sites import Site
from include.loop import Loop
from include.stages import collection
from tests.conftest import scratch
from tests.fixtures.acted_on import acted_on
from tests.fixtures.collected import collect
from tests.fixtures.ten_subscribers import MONTH, write_landing

pytestmark = pytest.mark.timeout(600)

LOOP = "churn_warning"
#: The month may be long over when the test runs: dispatch all the same.
CONF = {"month": MONTH, "dispatch_late": True}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    folder = scratch("churn-site-")
    made = Site("local", folder)
    made.prepare()
    write_landing(folder / "landing")
    made.remember(ui_port=free_port(), landing=str(folder / "landing"))
    try:
        yield made
    finally:
        components.stop(made)
        made.server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def api(site: Site, config: Config) -> Api:
    start_databases(site)
    collect_what_lies_behind(site, config)
    return start_airflow(site, [("admin", "Admin", "Administrator")])


def collect_what_lies_behind(site: Site, config: Config) -> None:
    """The months before, in one go: in Airflow every delivery is a task of some seconds."""
    made, landing = engine(site.database_url("churn_loop"), poolclass=sa.NullPool), site.folder / "landing"
    with made.connect() as db:
        lake = collection.open_lake(site.lake, landing, config)
        collect(landing, db, lake, config, as_of=month_start(MONTH), now=default_as_of(MONTH))


@pytest.fixture(scope="module")
def undisturbed(
    site: Site, empty_database: Callable[[], str], config: Config, tmp_path_factory: Any
) -> list[Any]:
    """What the same landing gives without Airflow, in one go."""
    url = empty_database()
    upgrade(url)
    lake = Lake.create(tmp_path_factory.mktemp("undisturbed") / "lake")
    made = engine(url, poolclass=sa.NullPool)
    with made.connect() as db:
        now = default_as_of(MONTH)
        list(Loop(db, lake, config, site.folder / "landing", MONTH, now=now, dispatch_late=True).run())
        return acted_on(db)


def stands(site: Site) -> list[Any]:
    made = engine(site.database_url("churn_loop"), poolclass=sa.NullPool)
    with made.connect() as db:
        return acted_on(db)


def test_killed_during_dispatch_it_is_retried_and_gives_what_an_undisturbed_run_gives(
    site: Site, api: Api, undisturbed: list[Any]
) -> None:
    blocker = psycopg2.connect(site.server.url("churn"))
    # tickets and events are written, their phone numbers wait: the middle of the dispatching transaction
    blocker.cursor().execute("lock table ticket_phones in share row exclusive mode")
    run_id = api.trigger(LOOP, CONF)
    api.unpause(LOOP)
    os.kill(_waiting_process(site, api, run_id), signal.SIGKILL)
    blocker.close()
    follow(site, api, LOOP, run_id)
    tries = {task["task_id"]: task["try_number"] for task in api.task_instances(LOOP, run_id)}
    assert tries["dispatch.assign"] == 2
    assert stands(site) == undisturbed
    assert undisturbed[1], "somebody must have been assigned"


def _waiting_process(site: Site, api: Api, run_id: str) -> int:
    """The process whose connection waits for our lock.

    Airflow hides a task's process from its own user's eyes; who is not root goes by the pid the task told.
    """
    watcher = psycopg2.connect(site.server.url("churn"))
    watcher.autocommit = True  # within a transaction the server would show the same activity again and again
    deadline = time.monotonic() + 240
    try:
        while time.monotonic() < deadline:
            with watcher.cursor() as cursor:
                cursor.execute(
                    "select client_port from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0"
                )
                for (port,) in cursor.fetchall():
                    for process in psutil.process_iter():
                        if _holds(process, port):
                            return process.pid
                    tasks = {task["task_id"]: task for task in api.task_instances(LOOP, run_id)}
                    if os.geteuid() != 0 and tasks["dispatch.assign"]["state"] == "running":
                        return int(tasks["dispatch.assign"]["pid"])
            time.sleep(0.2)
    finally:
        watcher.close()
    raise AssertionError("dispatch never reached the tickets")


def _holds(process: psutil.Process, port: int) -> bool:
    try:
        connections = process.net_connections("tcp")
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return False
    return any(each.laddr and each.laddr.port == port and each.raddr for each in connections)


def test_a_second_run_and_a_cleared_one_at_once_change_nothing_people_see(site: Site, api: Api) -> None:
    before = stands(site)
    first = api.runs(LOOP)[0]["dag_run_id"]
    api.send(
        "POST",
        f"/api/v2/dags/{LOOP}/clearTaskInstances",
        {
            "dry_run": False, "dag_run_id": first, "task_ids": ["grading"], "include_downstream": True,
            "only_failed": False, "reset_dag_runs": True,
        },
    )  # fmt: skip
    second = api.trigger(LOOP, CONF)
    for run_id in (first, second):
        follow(site, api, LOOP, run_id)
    assert stands(site) == before
    assigned = api.result(LOOP, second, "dispatch.assign", -1)
    assert (assigned["already_fixed"], assigned["would_differ"]) == (True, 0)
