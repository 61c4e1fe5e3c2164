"""Airflow's four processes on this machine: started together, watched while they start, ended together."""

import hashlib
import sys
import time
from collections.abc import Sequence

from include.domain.errors import LoopError
from include.local.api import Api
from include.local.processes import Background, end, marked, port_is_free
from include.local.sites import Site

COMPONENTS = {
    "api-server": ["api-server"],
    # no log servers of their own: the api-server reads the log files on this machine
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
_HEALTH = ("metadatabase", "scheduler", "dag_processor", "triggerer")
START_SECONDS = 180
_END_SECONDS = 15


class NotStarted(LoopError):
    """Something this installation consists of could not be started."""


def component(site: Site, name: str) -> Background:
    """One of the four processes, running or not."""
    return Background(name, site.folder / "processes", site.logs / f"{name}.log")


def are_running(site: Site) -> bool:
    """Whether all four processes run."""
    return all(component(site, name).pid for name in COMPONENTS)


def require_alive(site: Site) -> None:
    """Raise NotStarted naming the first process that has died, with its last words."""
    for name in COMPONENTS:
        process = component(site, name)
        if not process.pid:
            raise NotStarted(f"Airflow's {name} has ended: {process.last_words()} (log: {process.log})")


def start(site: Site) -> bool:
    """Start the four unless they run with this very environment; whether anything was started."""
    environment = site.environment()
    fingerprint = hashlib.sha256(repr(sorted(_ours(environment).items())).encode()).hexdigest()
    if are_running(site) and site.memory().get("environment") == fingerprint:
        return False
    stop(site)
    require_port(site, site.ui_port)
    for name, words in COMPONENTS.items():
        component(site, name).start([sys.executable, "-m", "airflow", *words], environment, site.folder)
    site.remember(environment=fingerprint)
    return True


def require_port(site: Site, port: int) -> None:
    """Raise NotStarted when another program listens on `port`, where the UI is to answer."""
    if not component(site, "api-server").pid and not port_is_free(port):
        raise NotStarted(
            f"Port {port} is in use by another program. Choose another: make run PORT={port + 1}"
        )


def wait_until_healthy(site: Site, api: Api, dags: Sequence[str]) -> None:
    """Return once all four are healthy and every one of `dags` has been read; NotStarted otherwise."""
    deadline = time.monotonic() + START_SECONDS
    while not _is_healthy(api):
        require_alive(site)
        if time.monotonic() > deadline:
            raise NotStarted(
                f"Airflow is not healthy after {START_SECONDS} s: {api.health()} (logs: {site.logs})"
            )
        time.sleep(0.5)
    api.warm_up()
    api.login("admin", site.password_of("admin"))
    while missing := [dag for dag in dags if not api.knows_dag(dag)]:
        require_alive(site)
        if broken := api.import_errors():
            raise NotStarted(f"A DAG file cannot be read: {broken[0]}")
        if time.monotonic() > deadline:
            raise NotStarted(
                f"The DAG {missing[0]} does not appear (log: {component(site, 'dag-processor').log})"
            )
        time.sleep(0.5)


def stop(site: Site) -> None:
    """End the four processes and every process they started; nothing happens when none runs."""
    leaders = [component(site, name) for name in COMPONENTS]
    end(lambda: {process.pid for process in leaders if process.pid}, patience=_END_SECONDS)
    end(lambda: left(site), patience=1)


def left(site: Site) -> set[int]:
    """Every live process of the four, their workers and tasks."""
    sessions = (component(site, name).session() for name in COMPONENTS)
    return marked(site.folder).union(*sessions)


def _is_healthy(api: Api) -> bool:
    states = api.health()
    return all(states.get(name) == "healthy" for name in _HEALTH)


def _ours(environment: dict[str, str]) -> dict[str, str]:
    return {
        name: text
        for name, text in environment.items()
        if name.startswith(("AIRFLOW", "CHURN_", "PYTHONPATH"))
    }
