"""A month delivered again on the 9th: writers killed, two at once, readers meanwhile; never half, never lost."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection

from include.config import Config
from include.database import engine
from include.domain.periods.months import ZONE
from include.lake import Lake
from include.settings import ROOT
from include.stages import collection
from tests.stages.collection.test_collection import MONTH, Operator, lenient

NINTH = datetime(2026, 11, 9, 10, tzinfo=ZONE)
PEOPLE = 2_000

KILLED = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from include.config import load_config
from include.database import engine
from include.lake import Lake
from include.stages import collection

url, lake, landing, at = sys.argv[1:5]
kill = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
if at == "between the manifests":  # contacts are published, their feed is not
    publish = Lake.publish
    Lake.publish = lambda lake, table, *rest, **named: (kill if table == "subscribers" else publish)(
        lake, table, *rest, **named)
else:  # both are published, the database does not know
    collection.record = kill
with engine(url).connect() as db:
    now = datetime.fromisoformat("2026-11-09T10:00+08:00")
    site = collection.Site(db, Lake(lake), load_config(Path("include/config")), Path(landing), now)
    collection.collect(site, collection.DeliveryKey("subscribers", "2026-10"))
"""


@pytest.fixture
def operator(tmp_path: Path, db: Connection, lake: Lake, config: Config) -> Operator:
    (tmp_path / "landing").mkdir()
    return Operator(tmp_path / "landing", db, lake, lenient(config))


def profiles(balance: int, people: int = PEOPLE) -> str:
    rows = "".join(f"S{n:05d},2024-01-01,138{n:08d},{balance}\n" for n in range(people))
    return f"subscriber_id,joined_on,msisdn,balance_yuan\n{rows}"


def balances(lake: Lake) -> tuple[int, ...]:
    """How many rows stand, and every balance among them."""
    rows = lake.scan("subscribers", MONTH).select("subscriber_id", "balance_yuan").collect()
    return (rows.height, *sorted(int(each) for each in rows["balance_yuan"].unique()))


@contextmanager
def looping_reader(lake: Lake) -> Iterator[set[tuple[int, ...]]]:
    """Reads the month again and again meanwhile; what it saw fills the set."""
    seen: set[tuple[int, ...]] = set()
    done = threading.Event()
    failed: list[BaseException] = []

    def read() -> None:
        try:
            while not done.is_set():
                seen.add(balances(lake))
        except BaseException as error:  # noqa: BLE001  # told in the test's own thread
            failed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield seen
    finally:
        done.set()
        reader.join()
    assert not failed, failed


def killed(operator: Operator, url: str, at: str) -> int:
    words = [sys.executable, "-c", KILLED, url, str(operator.lake.root), str(operator.landing), at]
    return subprocess.run(words, cwd=ROOT, env=os.environ | {"PYTHONPATH": "."}, check=False).returncode


def collect_at_once(operator: Operator, url: str, collectors: int = 2) -> list[bool]:
    """Which of the collectors found something new."""
    pool, barrier, new = engine(url), threading.Barrier(collectors), []

    def work() -> None:
        with pool.connect() as db:
            barrier.wait()
            site = replace(operator.site(), db=db, now=NINTH)
            new.append(collection.collect(site, collection.DeliveryKey("subscribers", MONTH))["is_new"])

    threads = [threading.Thread(target=work) for _ in range(collectors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pool.dispose()
    return sorted(new)


def test_a_redelivery_through_kills_and_two_collectors_is_seen_whole_or_not_at_all(
    operator: Operator, role_url: Callable[[str], str]
) -> None:
    url = role_url("churn_loop")
    operator.deliver("subscribers", profiles(1))
    operator.collect("subscribers")
    stood = operator.lake.manifest("subscribers", MONTH).fingerprint
    operator.deliver("subscribers", profiles(2, PEOPLE + 5))
    with looping_reader(operator.lake) as seen:
        assert killed(operator, url, "between the manifests") == -signal.SIGKILL
        assert operator.lake.manifest("subscribers", MONTH).fingerprint == stood
        assert balances(operator.lake) == (PEOPLE, 1)
        assert operator.plan() == [f"subscribers {MONTH}"]

        assert killed(operator, url, "before the record") == -signal.SIGKILL
        assert balances(operator.lake) == (PEOPLE + 5, 2)
        assert operator.rows("select rows_read from deliveries where is_current") == [(PEOPLE,)]
        assert operator.plan() == [f"subscribers {MONTH}"]

        assert collect_at_once(operator, url) == [False, True]
    assert seen == {(PEOPLE, 1), (PEOPLE + 5, 2)}
    assert operator.plan() == []
    history = operator.rows(
        "select rows_read, rows_accepted, is_current from deliveries order by delivery_id"
    )
    assert history == [(PEOPLE, PEOPLE, False), (PEOPLE + 5, PEOPLE + 5, True)]
    assert operator.lake.scan("contacts", MONTH).collect().height == PEOPLE + 5
