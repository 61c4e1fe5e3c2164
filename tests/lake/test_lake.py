"""The lake, in a folder and in an object store: what is published is whole, the rest is not seen."""

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
from include.lake.store import File

MONTH = "2026-10"


@pytest.fixture
def lake(lake_root: str) -> Lake:
    return Lake.create(lake_root)


def bills(*amounts: int) -> pl.DataFrame:
    ids = [f"S{number}" for number in range(len(amounts))]
    return pl.DataFrame({"subscriber_id": ids, "bill": amounts}, schema_overrides={"bill": pl.Int64})


def publish(lake: Lake, *amounts: int, period: str | None = None, **more: object) -> Part:
    part = lake.write_part("usage_months", MONTH, 0, bills(*amounts), "run", period)
    lake.publish("usage_months", MONTH, [part], period=period, **more)  # type: ignore[arg-type]
    return part


def sum_of_bills(lake: Lake) -> int:
    return int(lake.scan("usage_months", MONTH).select(pl.col("bill").sum()).collect().item())


def holds(lake: Lake, name: str) -> bool:
    return any(path.endswith(name) for path in lake.store.below(""))


def grow_old(lake: Lake, name: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file's time of change lie further back, as the store tells it."""
    as_they_are = lake.store.files

    def older(folder: str) -> dict[str, File]:
        return {
            each: file._replace(changed_at=file.changed_at - seconds * (each == name))
            for each, file in as_they_are(folder).items()
        }

    monkeypatch.setattr(lake.store, "files", older)


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
    assert holds(lake, first.name)
    monkeypatch.setattr("include.lake.GRACE_SECONDS", -1)
    publish(lake, 3)
    assert not holds(lake, first.name)
    assert not holds(lake, second.name)
    assert sum_of_bills(lake) == 3
    assert lake.manifest("usage_months", MONTH).superseded == {}


def test_the_grace_counts_from_the_replacement_not_from_the_writing(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publish(lake, 1)
    grow_old(lake, first.name, UNKNOWN_SECONDS + GRACE_SECONDS, monkeypatch)
    publish(lake, 2)
    publish(lake, 3)
    assert holds(lake, first.name)


def test_unknown_files_are_purged_only_when_older_than_a_day(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = lake.write_part("usage_months", MONTH, 0, bills(5), "dead")
    alive = lake.write_part("usage_months", MONTH, 0, bills(6), "alive")
    grow_old(lake, dead.name, UNKNOWN_SECONDS + 60, monkeypatch)
    publish(lake, 1)
    assert not holds(lake, dead.name)
    assert holds(lake, alive.name)


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


def test_a_shard_is_crc32_of_the_id_and_every_row_is_in_exactly_one(lake_root: str) -> None:
    lake = Lake.create(lake_root, subscribers=3_600_000)
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


def test_opening_needs_a_lake_and_creating_needs_none(lake_root: str) -> None:
    with pytest.raises(NotReady, match="no lake"):
        Lake(lake_root)
    Lake.create(lake_root, subscribers=1_200_000)
    with pytest.raises(BadInput, match="already holds a lake"):
        Lake.create(lake_root)
    opened = Lake.open_or_create(lake_root, subscribers=10)
    assert opened.shards == 3
    assert list(opened.store.below("")) == ["lake.json"]
    assert list(opened.store.files("")) == ["lake.json"]


def test_a_month_taken_back_leaves_no_file_and_the_others_stand(lake: Lake) -> None:
    publish(lake, 1)
    part = lake.write_part("usage_months", "2026-09", 0, bills(5), "run")
    lake.publish("usage_months", "2026-09", [part])
    assert lake.drop("usage_months", MONTH) == 1
    assert lake.months("usage_months") == ["2026-09"]
    assert not any(MONTH in name for name in lake.store.below(""))
    publish(lake, 2)
    assert sum_of_bills(lake) == 2


def test_an_exchanged_part_leaves_no_file_behind_and_the_fingerprints_stand(lake: Lake) -> None:
    old = publish(lake, 1, 2, fingerprint="known")
    first = publish(lake, 3, 4, fingerprint="known")
    before = lake.manifest("usage_months", MONTH)
    new = lake.write_part("usage_months", MONTH, 0, bills(3), "erase")
    after = lake.exchange(before, {first.name: new}, obsolete=[old.name])
    assert sum_of_bills(lake) == 3
    assert lake.manifest("usage_months", MONTH) == after
    assert (after.fingerprint, after.periods, after.superseded) == (before.fingerprint, before.periods, {})
    assert not holds(lake, old.name) and not holds(lake, first.name)


def test_a_new_lake_is_for_its_owner_alone_and_a_folder_that_stands_keeps_its_rights(tmp_path: Path) -> None:
    assert stat.S_IMODE(Lake.create(tmp_path / "new").root.stat().st_mode) == 0o700
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o750)
    assert stat.S_IMODE(Lake.create(tmp_path / "shared").root.stat().st_mode) == 0o750


def test_an_address_nothing_is_known_of_is_refused_with_a_sentence() -> None:
    with pytest.raises(
        BadInput, match=r"cannot live at ftp://host/lake: give a folder, file:// or one of s3://"
    ):
        Lake.open_or_create("ftp://host/lake")


def test_a_file_address_is_the_folder(tmp_path: Path) -> None:
    Lake.create(f"file://{tmp_path}/lake", subscribers=600_000)
    assert Lake(tmp_path / "lake").shards == 2


def test_an_object_store_that_does_not_answer_is_told_with_its_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-nobody")
    monkeypatch.setattr("include.lake.objects._RETRIES", {"max_retries": 0})
    with pytest.raises(NotReady, match=r"s3://bucket/lake does not answer") as told:
        Lake("s3://bucket/lake")
    assert "secret-of-nobody" not in str(told.value)


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
    for _ in range(12):
        publish(lake, 50, 50)
        publish(lake, 1, 1)
    done.set()
    reader.join()
    assert sums <= {2, 100}
    assert sums


KILLED = """
import os, signal, sys
import polars as pl
from include.lake import Lake
lake = Lake(sys.argv[1])
frame = pl.DataFrame({"subscriber_id": ["S"], "bill": [99]})
part = lake.write_part("usage_months", "2026-10", 0, frame, "run")
if sys.argv[2] == "at the manifest":
    kill = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    lake.store.write = kill
    import include.lake.folder
    include.lake.folder._settle = kill
lake.publish("usage_months", "2026-10", [part])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("at", "stands"), [("at the manifest", 3), ("after it", 99)])
def test_a_writer_killed_leaves_the_old_month_or_the_new_one(lake: Lake, at: str, stands: int) -> None:
    publish(lake, 1, 2)
    ended = subprocess.run([sys.executable, "-c", KILLED, str(lake.root), at], check=False)
    assert ended.returncode == -9
    assert sum_of_bills(lake) == stands
    publish(lake, 4)
    assert sum_of_bills(lake) == 4


def test_rows_under_way_lie_in_a_private_folder_of_this_lake_alone(lake: Lake, lake_root: str) -> None:
    with lake.store.spool(".churn-spill-") as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        other = Lake.create(f"{lake_root}-other")
        assert other.store.drop_spools(".churn-spill-", -1.0) == 0
        assert folder.exists()
        assert lake.store.drop_spools(".churn-spill-", 3_600) == 0
        assert lake.store.drop_spools(".churn-spill-", -1.0) == 1
    assert not folder.exists()


def test_a_lake_of_a_later_version_is_refused_in_a_sentence(tmp_path: Path) -> None:
    Lake.create(tmp_path / "lake").store.write("lake.json", b'{"shards": 1, "layout": 99}')
    with pytest.raises(
        NotReady, match=r"has layout 99, and this version knows \d at most\. Run the newer one"
    ):
        Lake(tmp_path / "lake")
