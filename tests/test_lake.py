"""The lake: what is published is whole, what is not published is not seen."""

import os
import stat
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import polars as pl
import pytest

from include.domain.errors import BadInput, NotReady
from include.lake import GRACE_SECONDS, UNKNOWN_SECONDS, Lake, Part

MONTH = "2026-10"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.create(tmp_path / "lake")


def bills(*amounts: int) -> pl.DataFrame:
    ids = [f"S{number}" for number in range(len(amounts))]
    return pl.DataFrame({"subscriber_id": ids, "bill": amounts}, schema_overrides={"bill": pl.Int64})


def publish(lake: Lake, *amounts: int, period: str | None = None, **more: object) -> Part:
    part = lake.write_part("usage_months", MONTH, 0, bills(*amounts), "run", period)
    lake.publish("usage_months", MONTH, [part], period=period, **more)  # type: ignore[arg-type]
    return part


def sum_of_bills(lake: Lake) -> int:
    return int(lake.scan("usage_months", MONTH).select(pl.col("bill").sum()).collect().item())


def grow_old(lake: Lake, name: str, seconds: float) -> None:
    path = next(lake.root.rglob(name))
    os.utime(path, (path.stat().st_mtime - seconds,) * 2)


def test_a_part_is_invisible_until_its_month_is_published(lake: Lake) -> None:
    part = lake.write_part("usage_months", MONTH, 0, bills(1, 2), "run")
    assert not lake.has("usage_months", MONTH)
    with pytest.raises(NotReady, match="no usage_months for 2026-10"):
        lake.scan("usage_months", MONTH)
    lake.publish("usage_months", MONTH, [part])
    assert lake.has("usage_months", MONTH)
    assert lake.months("usage_months") == [MONTH]
    assert sum_of_bills(lake) == 3


def test_rows_are_sorted_by_subscriber_and_the_name_carries_the_run(lake: Lake) -> None:
    frame = pl.DataFrame({"subscriber_id": ["S2", "S10", "S1"]})
    part = lake.write_part("subscribers", MONTH, 0, frame, "scheduled__2026-11-05T06:00:00+08:00")
    lake.publish("subscribers", MONTH, [part])
    found = lake.scan("subscribers", MONTH).collect()["subscriber_id"].to_list()
    assert found == ["S1", "S10", "S2"]
    assert part.name.startswith("shard=0000.scheduled__2026-11-05T06-00-00-08-00.")
    assert part.rows == 3


def test_publishing_again_replaces_the_month_and_keeps_a_readers_files_for_the_grace(lake: Lake) -> None:
    publish(lake, 1, 2)
    reading = lake.scan("usage_months", MONTH)
    publish(lake, 10)
    assert sum_of_bills(lake) == 10
    assert reading.select(pl.col("bill").sum()).collect().item() == 3


def test_superseded_files_are_purged_by_a_publish_after_the_grace(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publish(lake, 1)
    second = publish(lake, 2)
    assert list(lake.root.rglob(first.name))
    monkeypatch.setattr("include.lake.GRACE_SECONDS", -1)
    publish(lake, 3)
    assert not list(lake.root.rglob(first.name))
    assert not list(lake.root.rglob(second.name))
    assert sum_of_bills(lake) == 3
    assert lake.manifest("usage_months", MONTH).superseded == {}


def test_the_grace_counts_from_the_replacement_not_from_the_writing(lake: Lake) -> None:
    first = publish(lake, 1)
    grow_old(lake, first.name, UNKNOWN_SECONDS + GRACE_SECONDS)
    publish(lake, 2)
    publish(lake, 3)
    assert list(lake.root.rglob(first.name))


def test_unknown_files_are_purged_only_when_older_than_a_day(lake: Lake) -> None:
    dead = lake.write_part("usage_months", MONTH, 0, bills(5), "dead")
    alive = lake.write_part("usage_months", MONTH, 0, bills(6), "alive")
    grow_old(lake, dead.name, UNKNOWN_SECONDS + 60)
    publish(lake, 1)
    assert not list(lake.root.rglob(dead.name))
    assert list(lake.root.rglob(alive.name))


def test_a_day_replaces_only_its_day_inside_the_month(lake: Lake) -> None:
    publish(lake, 1, period="2026-10-01", fingerprint="a")
    publish(lake, 20, period="2026-10-02", fingerprint="b")
    before = lake.manifest("usage_months", MONTH).fingerprint
    publish(lake, 2, period="2026-10-01", fingerprint="c")
    after = lake.manifest("usage_months", MONTH)
    assert sum_of_bills(lake) == 22
    assert after.rows == 2
    assert after.periods == {"2026-10-01": "c", "2026-10-02": "b"}
    assert after.fingerprint != before


def test_days_delivered_with_different_columns_are_read_together(lake: Lake) -> None:
    publish(lake, 1, period="2026-10-01")
    wider = bills(2).with_columns(note=pl.lit("new"))
    part = lake.write_part("usage_months", MONTH, 0, wider, "run", "2026-10-02")
    lake.publish("usage_months", MONTH, [part], period="2026-10-02")
    assert lake.scan("usage_months", MONTH).collect()["note"].to_list() == [None, "new"]


def test_facts_and_fingerprint_come_back_as_they_were_published(lake: Lake) -> None:
    publish(lake, 1, fingerprint="f1", facts={"complete": True, "left_out": {"x": "没有交付"}})
    manifest = lake.manifest("usage_months", MONTH)
    assert manifest.fingerprint == "f1"
    assert manifest.facts == {"complete": True, "left_out": {"x": "没有交付"}}


def test_a_shard_is_crc32_of_the_id_and_every_row_is_in_exactly_one(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake", subscribers=3_600_000)
    assert lake.shards == 8
    ids = pl.Series([f"P{number}" for number in range(500)])
    shards = lake.shard_of(ids)
    assert shards.dtype == pl.UInt32
    assert shards.to_list() == [zlib.crc32(text.encode()) % 8 for text in ids]
    frame = pl.DataFrame({"subscriber_id": ids})
    parts = [lake.write_part("subscribers", MONTH, n, frame.filter(shards == n), "run") for n in range(8)]
    lake.publish("subscribers", MONTH, parts)
    read = [lake.scan("subscribers", MONTH, shard=n).collect() for n in range(8)]
    assert sorted(pl.concat(read)["subscriber_id"]) == sorted(ids)
    assert lake.scan("subscribers", MONTH).collect().height == 500


def test_a_shard_without_a_file_is_empty_with_the_same_columns(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake", subscribers=1_000_000)
    publish(lake, 1)
    empty = lake.scan("usage_months", MONTH, shard=1).collect()
    assert empty.height == 0
    assert empty.columns == ["subscriber_id", "bill"]


def test_an_empty_month_keeps_its_columns(lake: Lake) -> None:
    publish(lake)
    assert lake.scan("usage_months", MONTH).collect().schema == bills().schema


def test_publishing_a_part_that_is_gone_is_refused_and_the_old_month_stays(lake: Lake) -> None:
    publish(lake, 7)
    with pytest.raises(NotReady, match="is gone"):
        lake.publish("usage_months", MONTH, [Part("shard=0000.x.parquet", 0, MONTH, 1)])
    assert sum_of_bills(lake) == 7


def test_opening_needs_a_lake_and_creating_needs_none(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="no lake"):
        Lake(tmp_path)
    Lake.create(tmp_path, subscribers=1_200_000)
    with pytest.raises(BadInput, match="already holds a lake"):
        Lake.create(tmp_path)
    assert Lake.open_or_create(tmp_path, subscribers=10).shards == 3
    assert [path.name for path in tmp_path.iterdir()] == ["lake.json"]


def test_a_new_lake_is_for_its_owner_alone_and_a_folder_that_stands_keeps_its_rights(tmp_path: Path) -> None:
    assert stat.S_IMODE(Lake.create(tmp_path / "new").root.stat().st_mode) == 0o700
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o750)
    assert stat.S_IMODE(Lake.create(tmp_path / "shared").root.stat().st_mode) == 0o750


def test_an_address_of_an_object_store_is_refused_with_a_sentence() -> None:
    with pytest.raises(BadInput, match="give a folder"):
        Lake.open_or_create("s3://bucket/lake")


def test_a_month_that_is_none_is_refused(lake: Lake) -> None:
    with pytest.raises(BadInput, match="2026-13"):
        lake.scan("usage_months", "2026-13")


def test_small_files_are_written_and_read_by_name(lake: Lake) -> None:
    lake.write_file("models/v1/model.json", b"{}")
    assert lake.read_file("models/v1/model.json") == b"{}"
    with pytest.raises(NotReady, match="models/v2"):
        lake.read_file("models/v2/model.json")


def test_readers_during_publishing_see_one_whole_month_or_the_other(lake: Lake) -> None:
    publish(lake, 1, 1)
    sums: set[int] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            sums.add(sum_of_bills(lake))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(30):
        publish(lake, 50, 50)
        publish(lake, 1, 1)
    done.set()
    reader.join()
    assert sums <= {2, 100}
    assert sums


KILLED = """
import os, signal, sys
import polars as pl
import include.lake as module
lake = module.Lake(sys.argv[1])
frame = pl.DataFrame({"subscriber_id": ["S"], "bill": [99]})
part = lake.write_part("usage_months", "2026-10", 0, frame, "run")
module._settle = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
lake.publish("usage_months", "2026-10", [part])
"""


def test_a_writer_killed_before_the_manifest_has_its_name_leaves_the_old_month(lake: Lake) -> None:
    publish(lake, 1, 2)
    ended = subprocess.run([sys.executable, "-c", KILLED, str(lake.root)], check=False)
    assert ended.returncode == -9
    assert sum_of_bills(lake) == 3
    publish(lake, 4)
    assert sum_of_bills(lake) == 4
