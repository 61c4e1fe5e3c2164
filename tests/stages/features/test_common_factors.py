"""Factors are common to all campaigns: of two runs that need the same, one makes them and the other finds them."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from include.config import Config
from include.database import engine
from include.domain.periods.months import default_as_of
from include.lake import GRACE_SECONDS, Lake
from include.stages import features
from include.stages.features.rows import MonthRows
from tests.fixtures import ten_subscribers as ten
from tests.fixtures.lakes import fill
from tests.fixtures.runs import month_run

MONTH, AS_OF = ten.MONTH, default_as_of(ten.MONTH)
SHARDS = 2


@pytest.fixture
def filled(tmp_path: Path) -> Lake:
    ten.write_landing(tmp_path / "landing")
    lake = Lake.create(tmp_path / "lake", subscribers=SHARDS * 500_000)
    fill(lake, tmp_path / "landing")
    return lake


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was computed, each time it was, slowly enough for another run to come by."""
    done: list[str] = []

    def slow(name: str) -> None:
        real = getattr(MonthRows, name)

        def compute(*given: Any) -> Any:
            done.append(name)
            time.sleep(0.3)
            return real(*given)

        monkeypatch.setattr(MonthRows, name, compute)

    for name in ("of_shard", "peer_means"):
        slow(name)
    return done


@pytest.fixture
def pool(role_url: Callable[[str], str]) -> Iterator[sa.Engine]:
    made = engine(role_url("churn_loop"))
    yield made
    made.dispose()


def at_once(pool: sa.Engine, lake: Lake, act: Callable[[sa.Connection, Lake], Any]) -> list[Any]:
    """What two runs, each with its own connection and lake, make of `act` begun at the same moment."""
    begun, told = threading.Barrier(2), []

    def run() -> None:
        with pool.connect() as db:
            mine = Lake(lake.root)
            begun.wait()
            told.append(act(db, mine))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 2
    return told


def compute(db: sa.Connection, lake: Lake, config: Config, run_id: str, shard: int = 0) -> dict[str, Any]:
    return features.compute_shard(
        month_run(db=db, lake=lake, config=config, month=MONTH, as_of=AS_OF), shard=shard
    )


def computed(db: sa.Connection, lake: Lake, config: Config, run_id: str) -> list[dict[str, Any]]:
    return [compute(db, lake, config, run_id, shard) for shard in range(SHARDS)]


def publish(db: sa.Connection, lake: Lake, config: Config, parts: list[dict[str, Any]]) -> dict[str, Any]:
    return features.publish(month_run(db=db, lake=lake, config=config, month=MONTH), parts=parts)


def left(lake: Lake) -> list[str]:
    folder = lake.folder(features.TABLE, MONTH)
    return [
        f"{folder}/{name}"
        for name in lake.store.files(folder)
        if name.startswith("shard=") and "json" in name
    ]


def test_two_runs_at_the_same_time_make_the_factors_once(
    pool: sa.Engine, filled: Lake, config: Config, counted: list[str]
) -> None:
    def build(db: sa.Connection, lake: Lake) -> dict[str, Any]:
        return features.build(month_run(db=db, lake=lake, config=config, month=MONTH, as_of=AS_OF))

    told = at_once(pool, filled, build)
    assert sorted(each.pop("unchanged") for each in told) == [False, True]
    assert told[0] == told[1]
    assert sorted(counted) == [*["of_shard"] * SHARDS, "peer_means"]
    assert left(filled) == []


def test_a_second_run_finds_them_made_and_replaces_nothing(
    db: sa.Connection, filled: Lake, config: Config, counted: list[str]
) -> None:
    publish(db, filled, config, computed(db, filled, config, "first"))
    made = filled.manifest(features.TABLE, MONTH)
    counted.clear()
    features.compute_peers(month_run(db=db, lake=filled, config=config, month=MONTH, as_of=AS_OF))
    assert publish(db, filled, config, computed(db, filled, config, "second"))["unchanged"]
    assert counted == []
    assert filled.manifest(features.TABLE, MONTH) == made


def test_tasks_of_two_runs_that_meet_compute_each_shard_once(
    db: sa.Connection, pool: sa.Engine, filled: Lake, config: Config, counted: list[str]
) -> None:
    def shard(db: sa.Connection, lake: Lake) -> dict[str, Any]:
        return compute(db, lake, config, "run")

    one, other = at_once(pool, filled, shard)
    assert one == other
    assert counted.count("of_shard") == 1
    parts = [one, compute(db, filled, config, "run", 1)]
    assert not publish(db, filled, config, parts)["unchanged"]
    assert publish(db, filled, config, [other, compute(db, filled, config, "other", 1)])["unchanged"]
    assert counted.count("of_shard") == SHARDS


def test_peers_that_two_runs_ask_for_are_made_once(
    pool: sa.Engine, filled: Lake, config: Config, counted: list[str]
) -> None:
    def ask(db: sa.Connection, lake: Lake) -> dict[str, Any]:
        return features.compute_peers(month_run(db=db, lake=lake, config=config, month=MONTH, as_of=AS_OF))

    at_once(pool, filled, ask)
    assert counted == ["peer_means"]


def aged(lake: Lake, part: dict[str, Any]) -> None:
    then = time.time() - GRACE_SECONDS - 60
    for name in left(lake):
        os.utime(Path(lake.root) / name, (then, then))


def flipped(lake: Lake, part: dict[str, Any]) -> None:
    name = f"{lake.folder(features.TABLE, MONTH)}/{part['name']}"
    content = lake.store.read(name)
    lake.store.write(name, content[:50] + bytes([255 - content[50]]) + content[51:])


def gone(lake: Lake, part: dict[str, Any]) -> None:
    lake.store.delete(f"{lake.folder(features.TABLE, MONTH)}/{part['name']}")


def made_of_another(lake: Lake, part: dict[str, Any]) -> None:
    stands = lake.manifest("usage_months", MONTH)
    lake.publish("usage_months", MONTH, stands.parts, fingerprint="delivered again")


@pytest.mark.parametrize("what", [aged, flipped, gone, made_of_another])
def test_what_another_run_left_is_not_taken_when_it_is_old_or_harmed_or_of_other_inputs(
    db: sa.Connection, filled: Lake, config: Config, what: Callable[[Lake, dict[str, Any]], None]
) -> None:
    first = compute(db, filled, config, "first")
    assert compute(db, filled, config, "second") == first
    what(filled, first)
    again = compute(db, filled, config, "third")
    assert again["name"] != first["name"]
    parts = [again, compute(db, filled, config, "third", 1)]
    assert publish(db, filled, config, parts)["rows_out"] == len(ten.SUBSCRIBERS)
    assert left(filled) == []
