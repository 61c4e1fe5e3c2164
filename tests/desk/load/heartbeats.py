"""Airflow's heartbeats while the desk is busy: a running task's own call, and the health of the components."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jwt

from include.local.api import Api
from include.local.sites import Site
from tests.desk.load.agents import Connection, Done

PROBE = "load_probe"
EVERY = 0.5
#: A task that only lives, so that there is a heartbeat to send.
DAG = f"""
import time
from airflow.sdk import dag, task

@dag(dag_id="{PROBE}", schedule=None)
def probe():
    @task
    def live():
        time.sleep(3600)
    live()

probe()
"""


@dataclass
class Heart:
    """The heartbeat of a running task instance, sent as its supervisor sends it."""

    connection: Connection
    health: Connection
    path: str
    body: bytes
    beats: list[Done] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)

    async def beat(self, seconds: float) -> None:
        """Send one every half second, and ask for the components' health every two."""
        until, nth = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            began = time.monotonic()
            status, _, told = await self.connection.send("PUT", self.path, self.body, "application/json")
            self.beats.append(Done("heartbeat", began, time.monotonic() - began, status, told))
            if nth % 4 == 0:
                _, _, told = await self.health.send("GET", "/api/v2/monitor/health")
                self.states.append(json.loads(told) | {"asked_at": datetime.now(UTC)})
            nth += 1
            await asyncio.sleep(EVERY)


def start_probe(site: Site, api: Api) -> tuple[str, dict[str, Any]]:
    """A run of the probe and its task instance, once it runs."""
    run_id = api.trigger(PROBE, {})
    api.unpause(PROBE)
    until = time.monotonic() + 120
    while time.monotonic() < until:
        (task,) = api.task_instances(PROBE, run_id)
        if task["state"] == "running" and task["pid"]:
            return run_id, task
        time.sleep(0.5)
    raise TimeoutError(f"The probe's task is '{task['state']}' after two minutes (logs: {site.logs}).")


def heart_of(site: Site, host: str, task: dict[str, Any]) -> Heart:
    """The heart of a task instance, with the token Airflow would give it."""
    now = int(time.time())
    claims = {
        "sub": task["id"], "aud": "urn:airflow.apache.org:task", "iat": now, "nbf": now, "exp": now + 7200,
        "scope": "execution",
    }  # fmt: skip
    token = jwt.encode(claims, site.secrets()["keys"]["jwt"], algorithm="HS512")
    body = json.dumps({"hostname": task["hostname"], "pid": task["pid"]}).encode()
    return Heart(
        Connection(host, site.ui_port, {"authorization": f"Bearer {token}"}),
        Connection(host, site.ui_port, {}),
        f"/execution/task-instances/{task['id']}/heartbeat",
        body,
    )


def oldest_beat(states: list[dict[str, Any]], component: str) -> float:
    """The longest time since a component's last heartbeat, as the health page told it, in seconds."""
    ages = []
    for state in states:
        told = state[component][f"latest_{component}_heartbeat"]
        ages.append(
            max(0.0, (state["asked_at"] - datetime.fromisoformat(told).astimezone(UTC)).total_seconds())
        )
    return max(ages, default=0.0)
