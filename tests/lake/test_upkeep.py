"""Describing, verifying and resharding a lake, in a folder or an object store, changes no row."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from include.domain.errors import BadInput, Damaged
from include.lake import Lake
from include.lake.__main__ import main
from include.lake.campaigns import scores_of
from include.lake.description import MANIFEST
from include.lake.upkeep import described, faults, resharded

MONTH = "2026-10"


@pytest.fixture
def lake(lake_root: str) -> Lake:
    """Three shards with a month table, a table by days and one without subscribers, and a model."""
    made = Lake.create(lake_root, subscribers=1_500_000)
    ids = pl.Series("subscriber_id", [f"S{number}" for number in range(200)])
    rows = pl.DataFrame({"subscriber_id": ids, "bill": range(200)})
    shards = made.shard_of(ids)
    parts = [made.write_part("usage_months", MONTH, n, rows.filter(shards == n), "run") for n in range(3)]
    made.publish("usage_months", MONTH, parts, fingerprint="known", facts={"complete": True})
    for day in ("2026-10-03", "2026-10-04"):
        parts = [made.write_part("changes", MONTH, n, rows.filter(shards == n), "run", day) for n in range(3)]
        made.publish("changes", MONTH, parts, fingerprint=day, period=day)
    events = pl.DataFrame({"event_id": ["E1", "E2"]})
    parts = [
        made.write_part("market_events", MONTH, n, events if n == 0 else events.clear(), "run")
        for n in range(3)
    ]
    made.publish("market_events", MONTH, parts)
    made.write_file("models/v1/model.json", b"{}")
    return made


def new(lake: Lake) -> str:
    """Where another lake may lie beside this one."""
    return f"{lake.root}-new"


def harm(lake: Lake, name: str, how: Callable[[Path], object], scratch: Path) -> None:
    """Change one file of the lake behind its back."""
    scratch.write_bytes(lake.store.read(name))
    how(scratch)
    lake.store.delete(name)
    if scratch.exists():
        lake.store.write(name, scratch.read_bytes())


def flipped(content: bytes) -> bytes:
    """Two bytes of the rows turned round: Parquet reads on, other rows come out."""
    middle = len(content) // 4
    return (
        content[:middle] + bytes(255 - each for each in content[middle : middle + 2]) + content[middle + 2 :]
    )


def forget_sizes(lake: Lake, table: str) -> None:
    """Leave the manifest of a month as a version wrote it that kept neither sizes nor hashes."""
    name = f"{lake.folder(table, MONTH)}/_manifest.json"
    told = json.loads(lake.store.read(name))
    told.pop("sha256")
    told["parts"] = [
        {key: part[key] for key in ("name", "shard", "period", "rows")} for part in told["parts"]
    ]
    lake.store.write(name, json.dumps(told).encode())


def rows_of(lake: Lake, table: str) -> list[tuple[object, ...]]:
    return sorted(lake.scan(table, MONTH).collect().rows())


@pytest.mark.parametrize("shards", [1, 2, 8])
def test_another_number_of_shards_holds_the_same_rows(lake: Lake, shards: int) -> None:
    made = resharded(lake, new(lake), shards)
    assert Lake(new(lake)).shards == shards
    for table in ("usage_months", "changes", "market_events"):
        assert rows_of(made, table) == rows_of(lake, table)
        old, now = lake.manifest(table, MONTH), made.manifest(table, MONTH)
        assert (now.fingerprint, now.facts, now.periods) == (old.fingerprint, old.facts, old.periods)
        assert {part.shard for part in now.parts} == set(range(shards))
    assert faults(made) == []
    assert made.read_file("models/v1/model.json") == b"{}"


def test_a_private_folder_stays_private(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "lake")
    lake.make_private("contacts")
    part = lake.write_part("contacts", MONTH, 0, pl.DataFrame({"subscriber_id": ["S1"]}), "run")
    lake.publish("contacts", MONTH, [part])
    lake.make_private("quarantine")
    made = resharded(lake, tmp_path / "new", 2)
    modes = {name: (made.root / name).stat().st_mode & 0o777 for name in ("contacts", "quarantine", ".")}
    assert modes == {"contacts": 0o700, "quarantine": 0o700, ".": 0o700}


def test_a_lake_moves_between_a_folder_and_an_object_store(lake: Lake, tmp_path: Path) -> None:
    made = resharded(lake, tmp_path / "moved", 3)
    assert rows_of(made, "usage_months") == rows_of(lake, "usage_months")
    back = resharded(made, new(lake), 2)
    assert rows_of(back, "changes") == rows_of(lake, "changes")
    assert back.read_file("models/v1/model.json") == b"{}"


def test_a_day_can_be_replaced_in_the_new_lake(lake: Lake) -> None:
    made = resharded(lake, new(lake), 1)
    part = made.write_part(
        "changes", MONTH, 0, pl.DataFrame({"subscriber_id": ["S1"], "bill": [1]}), "r", "2026-10-03"
    )
    made.publish("changes", MONTH, [part], period="2026-10-03")
    assert made.manifest("changes", MONTH).rows == 201


def test_a_lake_is_not_written_over(lake: Lake) -> None:
    with pytest.raises(BadInput, match="is not empty"):
        resharded(lake, lake.root, 2)
    with pytest.raises(BadInput, match="cannot have 0 shards"):
        resharded(lake, new(lake), 0)


def test_a_sound_lake_is_described_and_has_no_faults(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert described(lake).select("table", "files", "rows").rows() == [
        ("changes", 6, 400),
        ("market_events", 3, 2),
        ("usage_months", 3, 200),
    ]
    assert main(["describe", "--lake", str(lake.root)]) == 0
    assert f"{'usage_months':<44} 2026-10          3            200" in capsys.readouterr().out
    assert main(["verify", "--lake", str(lake.root)]) == 0
    assert "3 months of tables looked at, 0 files at fault." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (lambda path: path.unlink(), "is gone"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "cannot be read"),
        (lambda path: pl.read_parquet(path)[1:].write_parquet(path), "rows instead of"),
        (lambda path: pl.read_parquet(path).reverse().write_parquet(path), "not sorted"),
        (lambda path: _move_all(path), "of another shard"),
    ],
    ids=["gone", "cut", "row lost", "unsorted", "other shard"],
)
def test_what_harms_a_file_of_an_earlier_version_is_found(
    lake: Lake, how, told, capsys, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    part = lake.manifest("usage_months", MONTH).parts[1]
    forget_sizes(lake, "usage_months")
    harm(lake, f"{lake.folder('usage_months', MONTH)}/{part.name}", how, tmp_path / "harmed.parquet")
    assert main(["verify", "--lake", str(lake.root)]) == 1
    printed = capsys.readouterr().out
    assert told in printed
    assert "1 files at fault" in printed
    assert "Size and hash of 3 files are not recorded: an earlier version wrote them." in printed


def _move_all(path: Path) -> None:
    frame = pl.read_parquet(path)
    frame.with_columns(pl.lit("S0").alias("subscriber_id")).write_parquet(path)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (lambda path: path.unlink(), "is gone"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "bytes instead of"),
        (lambda path: path.write_bytes(flipped(path.read_bytes())), "holds other bytes than were written"),
    ],
    ids=["gone", "cut", "two bytes flipped"],
)
def test_a_harmed_file_is_told_by_every_reader_and_by_verify_with_the_cure(  # type: ignore[no-untyped-def]
    lake: Lake, how, told, capsys, tmp_path: Path
) -> None:
    rows_of(lake, "usage_months")
    part = lake.manifest("usage_months", MONTH).parts[1]
    name = f"{lake.folder('usage_months', MONTH)}/{part.name}"
    harm(lake, name, how, tmp_path / "harmed.parquet")
    with pytest.raises(Damaged) as told_to_readers:
        rows_of(lake, "usage_months")
    sentence = str(told_to_readers.value)
    assert sentence.startswith(f"usage_months of {MONTH}: {lake.store.address(name)} ") and told in sentence
    assert sentence.endswith(f"Run `python -m include.lake repair --lake {lake.root}`.")
    assert main(["verify", "--lake", str(lake.root)]) == 1
    assert sentence in capsys.readouterr().out
    assert lake.standing("usage_months", MONTH) is None
    if "other bytes" in told:
        assert lake.standing("usage_months", MONTH, shard=2) is not None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b'{"table": 7}',
        b'{"table": "usage_months", "month": "2026-10", "parts": 1, "fingerprint": ""}',
        "cut",
        "flipped",
        "of another month",
    ],
)
def test_a_manifest_that_cannot_be_read_counts_as_not_published_and_is_told(
    lake: Lake, content: bytes | str, caplog: pytest.LogCaptureFixture
) -> None:
    name = f"{lake.folder('usage_months', MONTH)}/_manifest.json"
    stored = lake.store.read(name)
    made = {
        "cut": stored[:-20],
        "flipped": stored.replace(b"true", b"null"),
        "of another month": lake.store.read(f"{lake.folder('changes', MONTH)}/_manifest.json"),
    }
    lake.store.write(name, made[content] if isinstance(content, str) else content)
    sentence = f"usage_months of {MONTH}: {lake.store.address(name)} is no manifest that can be read"
    with pytest.raises(Damaged, match=re.escape(sentence)):
        lake.scan("usage_months", MONTH)
    assert lake.published("usage_months", MONTH) is None
    assert lake.standing("usage_months", MONTH) is None
    assert [record.message for record in caplog.records] == [
        f"{sentence}. It counts as not published and is made again."
    ]
    assert [fault.sentence for fault in faults(lake)] == [
        f"{sentence}. Run `python -m include.lake repair --lake {lake.root}`."
    ]


def test_a_day_can_come_again_while_another_is_gone(lake: Lake) -> None:
    lost = lake.manifest("changes", MONTH)
    for part in lost.parts:
        lake.store.delete(f"{lake.folder('changes', MONTH)}/{part.name}")
    rows = pl.DataFrame({"subscriber_id": ["S1"], "bill": [1]})
    for day, left in (("2026-10-03", {"2026-10-04"}), ("2026-10-04", set())):
        parts = [
            lake.write_part("changes", MONTH, n, rows if n == 0 else rows.clear(), "r", day) for n in range(3)
        ]
        lake.publish("changes", MONTH, parts, fingerprint=day, period=day)
        assert {fault.period for fault in faults(lake)} == left
    assert lake.manifest("changes", MONTH).fingerprint == lost.fingerprint


def test_a_day_taken_back_leaves_the_others(lake: Lake) -> None:
    lake.drop("changes", MONTH, "2026-10-03")
    assert lake.manifest("changes", MONTH).periods == {"2026-10-04": "2026-10-04"}
    assert len(rows_of(lake, "changes")) == 200
    lake.drop("changes", MONTH, "2026-10-04")
    assert not lake.has("changes", MONTH)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"shards": "3"}', None])
def test_a_lake_whose_description_was_lost_is_no_new_one_and_gets_it_back(
    lake: Lake, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is None:
        lake.store.delete("lake.json")
    else:
        lake.store.write("lake.json", content)
    with pytest.raises(Damaged, match=r"lake\.json (is gone|cannot be read)"):
        Lake.open_or_create(str(lake.root))
    assert main(["repair", "--lake", str(lake.root)]) == 0
    assert "lake.json was written anew: the files are of 3 shards." in capsys.readouterr().out
    assert rows_of(Lake(lake.root), "usage_months") == rows_of(lake, "usage_months")


def of_campaigns(root: str) -> Lake:
    """Three shards of scores of a monthly campaign and of a day of a daily one, and nothing else."""
    made = Lake.create(root, subscribers=1_500_000)
    rows = pl.DataFrame({"subscriber_id": [f"S{number}" for number in range(50)]})
    shards = made.shard_of(rows["subscriber_id"])
    for table, period in ((scores_of("renewal"), MONTH), (scores_of("signals"), "2026-10-17")):
        parts = [made.write_part(table, period, n, rows.filter(shards == n), "run") for n in range(3)]
        made.publish(table, period, parts, fingerprint="known", facts={"cycle": period})
    return made


def test_tables_of_campaigns_are_described_and_verified_by_month_and_day(
    lake_root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = of_campaigns(lake_root)
    assert described(lake).select("table", "month", "rows").rows() == [
        ("scores/campaign=renewal", MONTH, 50),
        ("scores/campaign=signals", "2026-10-17", 50),
    ]
    part = lake.manifest(scores_of("signals"), "2026-10-17").parts[1]
    lake.store.delete(f"{lake.folder(scores_of('signals'), '2026-10-17')}/{part.name}")
    assert main(["verify", "--lake", str(lake.root)]) == 1
    assert re.search(
        r"scores/campaign=signals of 2026-10-17: .*day=2026-10-17/.* is gone", capsys.readouterr().out
    )


def test_tables_of_campaigns_are_resharded_and_nothing_is_copied_beside_them(lake_root: str) -> None:
    lake = of_campaigns(lake_root)
    lake.write_file("models/v1/model.json", b"{}")
    made = resharded(lake, new(lake), 2)
    assert (made.tables(), faults(made)) == (lake.tables(), [])
    for table, period in ((scores_of("renewal"), MONTH), (scores_of("signals"), "2026-10-17")):
        before, after = lake.manifest(table, period), made.manifest(table, period)
        assert (after.fingerprint, after.facts, after.rows) == (before.fingerprint, before.facts, before.rows)
        assert {part.name for part in after.parts} | {MANIFEST} == set(
            made.store.files(made.folder(table, period))
        )
    assert made.read_file("models/v1/model.json") == b"{}"


def test_the_shards_of_a_lake_are_told_by_tables_of_campaigns_too(lake_root: str) -> None:
    lake = of_campaigns(lake_root)
    lake.store.delete("lake.json")
    with pytest.raises(Damaged, match="is gone"):
        Lake.open_or_create(lake_root)
    assert main(["repair", "--lake", lake_root]) == 0
    assert Lake(lake_root).shards == 3


def test_the_command_tells_where_the_new_lake_is(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["reshard", "--lake", str(lake.root), "--to", new(lake), "--shards", "2"]
    assert main(words) == 0
    assert f"{new(lake)} holds the same rows in 2 shards instead of 3." in capsys.readouterr().out
    assert main(words) == 1
    assert capsys.readouterr().err.startswith("BadInput: ")


def test_a_folder_that_may_not_be_read_is_told_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    Lake.create(tmp_path / "lake")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    for command in ("describe", "verify"):
        assert main([command, "--lake", str(tmp_path / "lake")]) == 1
        told = capsys.readouterr().err
        assert told.startswith("NotReady: Permission denied: ")
        assert len(told.splitlines()) == 1
