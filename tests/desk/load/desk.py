"""Fifty agents at once at a desk of a million tickets inside a running Airflow, and whether its heart goes on beating.

    python -m tests.desk.load.desk --tickets 1000000 --agents 50 --seconds 60

Makes a site of its own in a temporary folder (PostgreSQL with fsync, Airflow's four processes), fills it, measures and
removes it; everything stays on loopback. `--site FOLDER` keeps the site, so that a second run need not fill it.
Prints p50 and p95 of each operation, the requests a second, the errors (must be 0), the answers of a task's heartbeat
before and during the load, and the processor time of all who share the machine.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

import psutil

from include.config import load_config
from include.domain.periods.months import ZONE
from include.local import components
from include.local.airflow import start_databases
from include.local.api import Api
from include.local.processes import HOST, free_port
from include.local.sites import Site
from include.local.steps import bootstrap_airflow
from include.settings import ROOT
from tests.desk.filling import fill
from tests.desk.load.agents import Agent, Connection, Done
from tests.desk.load.heartbeats import DAG, PROBE, Heart, heart_of, oldest_beat, start_probe

STAFF = 300
CALM_SECONDS = 20
#: Caches fill and connections open: what began so early is not counted.
WARM_UP = 5
_BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"


@contextmanager
def site_in(folder: str | None) -> Iterator[Site]:
    """A site to measure on; a temporary one is removed."""
    place = Path(folder or tempfile.mkdtemp(prefix="churn-load-")).resolve()
    site = Site("load", place)
    try:
        site.prepare()
        dags = place / "dags"
        dags.mkdir(exist_ok=True)
        (dags / "load_probe.py").write_text(DAG)
        bundles = [
            {"name": "dags-folder", "classpath": _BUNDLE, "kwargs": {}},
            {"name": "load", "classpath": _BUNDLE, "kwargs": {"path": str(dags)}},
        ]
        os.environ["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"] = json.dumps(bundles)
        site.remember(ui_port=free_port())
        yield site
    finally:
        components.stop(site)
        site.server.stop()
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)


def start(site: Site, tickets: int, agents: int) -> Api:
    """Databases, tickets, Airflow with its users; what an earlier run finished stands."""
    start_databases(site)
    if "filled" not in site.finished():
        began = time.perf_counter()
        config = load_config(ROOT / "include" / "config")
        fill(site.server.url("churn"), config, tickets=tickets, agents=STAFF, now=datetime.now(ZONE))
        site.finish("filled", tickets)
        print(f"{tickets:,} tickets filled in {time.perf_counter() - began:.0f} s", flush=True)
    users = [(f"agent{n}", "RetentionStaff", f"Agent {n}") for n in range(1, agents + 1)]
    if site.finished().get("users") != agents:
        bootstrap_airflow(site, [("admin", "Admin", "Administrator"), *users])
        site.finish("users", agents)
    api = Api(site.url)
    components.start(site)
    components.wait_until_healthy(site, api, (PROBE,))
    return api


def connections(site: Site, agents: int) -> list[Connection]:
    """A logged-in browser for each agent."""
    found = []
    for n in range(1, agents + 1):
        who = {"username": f"agent{n}", "password": site.password_of(f"agent{n}")}
        token = Api(site.url).send("POST", "/auth/token", who)["access_token"]
        headers = {"cookie": f"_token={token}", "origin": site.url, "accept-language": "zh"}
        found.append(Connection(HOST, site.ui_port, headers))
    asyncio.run(_open_desk(found[0]))
    return found


async def _open_desk(browser: Connection) -> None:
    """The desk is built for its first visitor, which is not measured."""
    await browser.send("GET", "/desk/")
    browser.close()


async def load(browsers: Sequence[Connection], heart: Heart, given: argparse.Namespace) -> list[Done]:
    """All agents at work until the time is over, the heart beating meanwhile."""
    until = time.monotonic() + WARM_UP + given.seconds
    agents = [
        Agent(browser, given.think, until, given.tickets, random.Random(nth))
        for nth, browser in enumerate(browsers)
    ]
    await asyncio.gather(*(agent.work() for agent in agents), heart.beat(WARM_UP + given.seconds))
    return [done for agent in agents for done in agent.done]


def busy_seconds(site: Site) -> dict[str, float]:
    """Processor seconds used so far by each who shares the machine."""
    found = {"this load": sum(os.times()[:2])}
    for name in components.COMPONENTS:
        found[name] = _of_family(components.component(site, name).pid)
    found["PostgreSQL"] = _of_family(site.server.pid())
    return found


def _of_family(pid: int | None) -> float:
    if pid is None:
        return 0.0
    leader = psutil.Process(pid)
    return sum(sum(each.cpu_times()[:4]) for each in [leader] if each.is_running()) + sum(
        sum(each.cpu_times()[:2]) for each in leader.children(recursive=True)
    )


def figures(seconds: Sequence[float]) -> str:
    """p50, p95 and the longest in milliseconds."""
    cuts = quantiles(seconds, n=20, method="inclusive") if len(seconds) > 1 else [*seconds] * 19
    return f"p50 {cuts[9] * 1000:7.0f} ms   p95 {cuts[18] * 1000:7.0f} ms   max {max(seconds) * 1000:7.0f} ms"


def report(done: Sequence[Done], span: float) -> list[str]:
    """One line an operation, then the rate and the errors."""
    by_what: dict[str, list[float]] = defaultdict(list)
    for each in done:
        by_what[each.what].append(each.seconds)
    lines = [
        f"{what:22} {figures(by_what[what])}   {len(by_what[what]):6,} requests" for what in sorted(by_what)
    ]
    wrong = [each for each in done if each.told]
    lines.append(f"{len(done):,} requests, {len(done) / span:.1f} a second, {len(wrong)} errors")
    return lines + [f"  {each.what} {each.status} {each.told[:200]}" for each in wrong[:10]]


def report_heart(calm: Sequence[Done], busy: Sequence[Done], states: list[dict[str, Any]]) -> list[str]:
    """The heartbeat of the task before and under load, and the components'."""
    refused = [each.status for each in (*calm, *busy) if each.status != 204]
    ill = {
        name
        for state in states
        for name, told in state.items()
        if name != "asked_at" and told["status"] != "healthy"
    }
    ages = {name: oldest_beat(states, name) for name in ("scheduler", "triggerer", "dag_processor")}
    return [
        f"task heartbeat, calm    {figures([each.seconds for each in calm])}   {len(calm):6,} beats",
        f"task heartbeat, loaded  {figures([each.seconds for each in busy])}   {len(busy):6,} beats",
        f"heartbeats refused: {refused or 'none'}; components ever unhealthy: {sorted(ill) or 'none'}; oldest beat "
        + ", ".join(f"{name} {age:.0f} s" for name, age in ages.items()),
    ]


def measure(site: Site, api: Api, given: argparse.Namespace) -> list[str]:
    """The load with everything around it."""
    _, task = start_probe(site, api)
    heart = heart_of(site, HOST, task)
    browsers = connections(site, given.agents)
    asyncio.run(heart.beat(CALM_SECONDS))
    calm, heart = heart.beats, heart_of(site, HOST, task)
    before, began = busy_seconds(site), time.monotonic()
    done = asyncio.run(load(browsers, heart, given))
    span = time.monotonic() - began
    after = busy_seconds(site)
    counted = [each for each in done if each.began >= began + WARM_UP]
    shares = (f"{name} {(after[name] - before[name]) / span:.0%}" for name in after)
    return [
        f"{given.tickets:,} tickets, {given.agents} agents, {given.seconds} s, {given.think:g} s to think (± half)",
        *report(counted, span - WARM_UP),
        *report_heart(calm, heart.beats, heart.states),
        f"of a core each: {', '.join(shares)}; {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}",
    ]


def main(words: list[str] | None = None) -> int:
    """Start, fill, measure, tell; 1 when a request or a heartbeat was not answered as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.desk.load.desk")
    parser.add_argument("--tickets", type=int, default=1_000_000)
    parser.add_argument("--agents", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--think", type=float, default=3.0, help="seconds between requests, on average")
    parser.add_argument("--site", help="a folder that keeps the site for the next run")
    given = parser.parse_args(words)
    with site_in(given.site) as site:
        api = start(site, given.tickets, given.agents)
        told = measure(site, api, given)
    print("\n".join(told))
    return (
        0 if any("0 errors" in line for line in told) and any("refused: none" in line for line in told) else 1
    )


if __name__ == "__main__":
    sys.exit(main())
