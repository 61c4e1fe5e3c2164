"""A damaged lake: what is told, the command that cures it, and afterwards the state of a lake nothing happened to."""

import csv
import os
import re
import resource
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from include.config import Config
from include.database import engine
from include.domain.errors import Damaged, NotReady
from include.domain.periods.months import ZONE
from include.lake import Lake
from include.lake.__main__ import main as lake_command
from include.lake.campaigns import LABELS, grades_of, of_campaign, scores_of
from include.lake.upkeep import faults, months
from include.local.postgres import Server
from include.loop import Loop
from include.loop import main as loop_command
from include.settings import ROOT
from tests.fixtures.acted_on import acted_on
from tests.fixtures.ten_subscribers import MONTH, MONTHS, write_landing
from tests.lake.test_upkeep import flipped, forget_sizes
from tests.stages.worked_cycle import CAMPAIGN

OPENED = datetime(2026, 11, 5, 6, 30, tzinfo=ZONE)
OBSERVED = datetime(2026, 12, 7, 6, tzinfo=ZONE)
DAYS = ("2026-10-03", "2026-10-04")
SCORES, GRADES = scores_of(CAMPAIGN), grades_of(CAMPAIGN)

Harm = Callable[[Lake, str], object]


def lose(lake: Lake, name: str) -> None:
    lake.store.delete(name)


def cut(lake: Lake, name: str) -> None:
    lake.store.write(name, lake.store.read(name)[:-9])


def flip(lake: Lake, name: str) -> None:
    lake.store.write(name, flipped(lake.store.read(name)))


def empty(lake: Lake, name: str) -> None:
    lake.store.write(name, b"")


def no_list(lake: Lake, name: str) -> None:
    lake.store.write(name, b"[]")


OF_A_FILE: dict[str, tuple[Harm, str]] = {
    "lost": (lose, "is gone"),
    "cut": (cut, "bytes instead of"),
    "two bytes flipped": (flip, "holds other bytes than were written"),
}
UNREADABLE = "is no manifest that can be read"
OF_A_MANIFEST: dict[str, tuple[Harm, str]] = {
    "truncated": (cut, UNREADABLE),
    "empty": (empty, UNREADABLE),
    "[]": (no_list, UNREADABLE),
}
DAMAGES = {**OF_A_FILE, **OF_A_MANIFEST}
#: What one damage of each sort does to every other table: where it lies is what differs.
SOME = ("two bytes flipped", "[]")


@dataclass(frozen=True)
class World:
    """The loop of ten subscribers at a moment, and what its lake and database held then."""

    loop: Loop
    url: str
    held: Any
    acted: Any

    @property
    def lake(self) -> Lake:
        return self.loop.lake

    def harm(self, table: str, damage: str, month: str = MONTH) -> str:
        """Do it to the first file of the month with rows, or to its manifest; the sentence that tells it."""
        how, told = DAMAGES[damage]
        parts = [part for part in self.lake.manifest(table, month).parts if part.rows]
        file = "_manifest.json" if damage in OF_A_MANIFEST else parts[0].name
        name = f"{self.lake.folder(table, month)}/{file}"
        how(self.lake, name)
        return f"{table} of {month}: {re.escape(self.lake.store.address(name))} .*{told}[ 0-9,]*"

    def run(self, *words: str) -> int:
        """`python -m include.loop` for the month."""
        where = ["--landing", str(self.loop.landing), "--lake", str(self.lake.root), "--db", self.url]
        now = self.loop.now.isoformat() if self.loop.now else ""
        return loop_command([*where, "--month", MONTH, "--now", now, *words])

    def verify(self) -> int:
        return lake_command(["verify", "--lake", str(self.lake.root)])

    def repair(self, *words: str) -> int:
        landing = () if "--landing" in words else ("--landing", str(self.loop.landing))
        where = ["--lake", str(self.lake.root), "--db", self.url, *landing]
        now = self.loop.now.isoformat() if self.loop.now else ""
        return lake_command(["repair", *where, "--now", now, *words])

    def is_as_it_was(self) -> bool:
        lake = Lake(self.lake.root)
        assert contents(lake) == self.held
        assert acted_on(self.loop.db) == self.acted
        return faults(lake) == []


def contents(lake: Lake) -> dict[tuple[str, str], Any]:
    """Every month of every table: what it is known by, and its rows."""
    found = {}
    for table, month in months(lake):
        manifest = lake.manifest(table, month)
        rows = lake.scan(table, month).collect()
        found[table, month] = (manifest.fingerprint, manifest.periods, sorted(map(repr, rows.rows())))
    return found


def deliver(landing: Path, feed: str, folder: str, rows: list[tuple[str, ...]]) -> None:
    target = landing / feed / folder
    target.mkdir(parents=True, exist_ok=True)
    with (target / "part-1.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def deliver_days(landing: Path) -> None:
    header = ("subscriber_id", "occurred_at", "kind")
    for number, day in enumerate(DAYS, start=1):
        row = (f"S{number:02d}", f"{day}T10:00:00+08:00", "plan_change")
        deliver(landing, "subscriber_changes", f"day={day}", [header, row])


# ---------------------------------------------------------------- worlds, made once


@dataclass(frozen=True)
class Made:
    folder: Path
    database: str
    now: datetime
    held: Any
    acted: Any


Make = Callable[[str, Callable[[Loop], Loop]], Made]


@pytest.fixture(scope="module")
def make(
    postgres: Server,
    execute: Callable[..., None],
    migrated_template: str,
    role_password: str,
    config: Config,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Make]:
    """Make a world: a folder with lake and landing, and a database nobody is connected to."""
    names: list[str] = []

    def made(base: str, run: Callable[[Loop], Loop]) -> Made:
        name, folder = f"damage_{secrets.token_hex(4)}", tmp_path_factory.mktemp("damage")
        execute(f"create database {name} template {base or migrated_template} strategy file_copy")
        names.append(name)
        pool = engine(postgres.url(name, user="churn_loop", password=role_password), poolclass=sa.NullPool)
        with pool.connect() as db:
            lake = Lake.create(folder / "lake", 600_000)
            ended = run(Loop(db, lake, config, folder / "landing", MONTH, now=OPENED))
            assert ended.now is not None
            return Made(folder, name, ended.now, contents(lake), acted_on(db))

    yield made
    for name in names:
        execute(f"drop database {name} with (force)")


@pytest.fixture(scope="module")
def graded(make: Make) -> Made:
    """Everything is made, nothing dispatched."""

    def run(loop: Loop) -> Loop:
        write_landing(loop.landing)
        deliver_days(loop.landing)
        list(loop.run(last="grading"))
        return loop

    return make("", run)


@pytest.fixture(scope="module")
def observed(make: Make) -> Made:
    """The cycle was dispatched, its month came to an end and is labelled, and a re-run stands beside it."""

    def run(loop: Loop) -> Loop:
        write_landing(loop.landing)
        deliver_days(loop.landing)
        list(loop.run())
        rows = [("subscriber_id", "churned_on", "reason"), ("S05", "2026-11-20", "port_out")]
        deliver(loop.landing, "churned", "month=2026-11", rows)
        (loop.landing / "churned" / "month=2026-11" / "_COMPLETE").touch()
        later = replace(loop, as_of=OBSERVED, now=OBSERVED)
        list(later.run())
        return later

    return make("", run)


@pytest.fixture
def made(request: pytest.FixtureRequest) -> Made:
    """Which world the test begins from."""
    name = getattr(request, "param", "graded")
    return request.getfixturevalue(name)  # type: ignore[no-any-return]


@pytest.fixture
def template(request: pytest.FixtureRequest, migrated_template: str) -> str:
    if "world" not in request.fixturenames:
        return migrated_template
    return str(request.getfixturevalue("made").database)


@pytest.fixture
def world(
    made: Made, db: sa.Connection, role_url: Callable[[str], str], config: Config, tmp_path: Path
) -> World:
    for part in ("lake", "landing"):
        shutil.copytree(made.folder / part, tmp_path / part)
    lake = Lake(tmp_path / "lake")
    loop = Loop(db, lake, config, tmp_path / "landing", MONTH, now=made.now)
    return World(loop, role_url("churn_loop"), made.held, made.acted)


from_observed = pytest.mark.parametrize("made", ["observed"], indirect=True)

# ---------------------------------------------------------------- the loop cures itself


def test_every_damage_of_a_feed_is_collected_again_although_the_database_says_it_stands(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    told = [world.harm("usage_months", damage, month) for damage, month in zip(DAMAGES, MONTHS, strict=True)]
    assert world.run("--until", "grading") == 0
    assert world.is_as_it_was()
    assert all(re.search(sentence, caplog.text) for sentence in told)


@pytest.mark.parametrize(
    ("table", "damage"),
    [
        *[("factors", damage) for damage in DAMAGES],
        *[
            (table, damage)
            for table in ("subscriber_changes", "contacts", "peers", SCORES, GRADES)
            for damage in SOME
        ],
    ],
)
def test_the_next_run_makes_what_is_damaged_again(
    world: World, table: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    told = world.harm(table, damage)
    assert world.run("--until", "grading") == 0
    assert world.is_as_it_was()
    if table not in (SCORES, GRADES):  # every run makes these anew anyway
        assert re.search(told, caplog.text)


def test_a_lost_manifest_is_no_month_that_was_never_delivered(world: World) -> None:
    lose(world.lake, f"{world.lake.folder('usage_months', '2026-08')}/_manifest.json")
    shutil.rmtree(world.loop.landing / "usage_months" / "month=2026-08")
    with pytest.raises(
        NotReady, match=r"no longer holds what was collected of usage_months/month=2026-08\. Deliver"
    ):
        list(world.loop.run(last="features"))
    assert world.run("--until", "grading") == 1


# ---------------------------------------------------------------- a damaged input is named


def test_a_damaged_input_is_named_with_its_file_and_the_command(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    told = world.harm("usage_months", "two bytes flipped", "2026-08")
    world.harm("factors", "lost")
    shutil.rmtree(world.loop.landing / "usage_months" / "month=2026-08")
    assert world.run("--until", "features") == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Damaged: ")]
    cure = f"Run `python -m include.lake repair --lake {world.lake.root}`."
    assert re.fullmatch(f"Damaged: {told}. {re.escape(cure)}", line)


def test_a_day_whose_refusals_are_lost_stops_the_limits_instead_of_letting_people_be_called(
    world: World,
) -> None:
    world.lake.drop("subscriber_changes", MONTH, DAYS[0])
    with pytest.raises(NotReady, match=f"subscriber_changes/day={DAYS[0]}"):
        list(world.loop.run("limits", "limits"))


# ---------------------------------------------------------------- repair


def test_repair_collects_every_damage_of_a_feed_again(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    told = [world.harm("usage_months", damage, month) for damage, month in zip(DAMAGES, MONTHS, strict=True)]
    repair_cures(world, told, [f"usage_months/month={month} was collected again" for month in MONTHS], capsys)


@pytest.mark.parametrize(
    ("table", "done"),
    [
        ("subscriber_changes", f"subscriber_changes/day={DAYS[0]} was collected again: 1 rows."),
        ("contacts", "subscribers/month=2026-10 was collected again: 10 rows."),
        *[
            (table, f"{table} of 2026-10 were made again, the same as they were.")
            for table in ("factors", "peers", SCORES, GRADES)
        ],
    ],
)
@pytest.mark.parametrize("damage", SOME)
def test_repair_does_what_verify_names(
    world: World, table: str, damage: str, done: str, capsys: pytest.CaptureFixture[str]
) -> None:
    repair_cures(world, [world.harm(table, damage)], [done], capsys)


def repair_cures(world: World, told: list[str], done: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Verify tells each damage with the command; the command does what it says; nothing is left of it."""
    cure = re.escape(f". Run `python -m include.lake repair --lake {world.lake.root}`.")
    assert world.verify() == 1
    printed = capsys.readouterr().out
    assert all(re.search(sentence + cure, printed) for sentence in told)
    assert world.repair() == 0
    printed = capsys.readouterr().out
    assert all(words in printed for words in done)
    assert printed.endswith("Nothing remains to be done.\n")
    assert world.verify() == 0
    assert world.is_as_it_was()
    assert world.repair() == 0


@from_observed
@pytest.mark.parametrize("damage", SOME)
@pytest.mark.parametrize("table", [SCORES, GRADES])
def test_what_a_cycle_was_dispatched_from_is_made_again_where_it_is_the_very_same(
    world: World, table: str, damage: str
) -> None:
    world.harm(table, damage)
    assert world.repair() == 0
    assert world.is_as_it_was()


@from_observed
def test_what_cannot_be_made_the_same_stays_until_it_is_restored_or_given_up(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.harm(GRADES, "lost")
    usage = world.loop.landing / "usage_months" / f"month={MONTH}" / "part-1.csv"
    usage.write_text(usage.read_text().replace("S05,90", "S05,9"))
    assert world.run("--until", "features") == 0  # other usage: other factors
    assert world.repair() == 1
    assert (
        "Restore them from the backup, or run the same command with --accept-loss" in capsys.readouterr().out
    )
    assert world.verify() == 1
    assert world.repair("--accept-loss") == 1
    assert world.verify() == 0
    assert acted_on(world.loop.db) == world.acted


@from_observed
@pytest.mark.parametrize(
    ("table", "stage"),
    [
        (of_campaign(LABELS, CAMPAIGN), "follow_up"),
        (scores_of(CAMPAIGN, 1), "prediction"),
        (grades_of(CAMPAIGN, 1), "grading"),
    ],
)
def test_what_a_later_stage_makes_is_dropped_and_the_command_that_makes_it_is_told(
    world: World, table: str, stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world.harm(table, "cut")
    assert world.repair() == 1
    told = capsys.readouterr().out
    (command,) = re.findall(r"make them again: `python -m include\.loop (.*)`\.", told)
    assert f"--month {MONTH} --from {stage} --until" in command
    assert world.verify() == 0
    words = command.replace('"$AIRFLOW_CONN_CHURN_DB"', world.url).split()
    assert loop_command([*words, "--as-of", OBSERVED.isoformat(), "--now", OBSERVED.isoformat()]) == 0
    assert world.is_as_it_was()


def test_what_does_not_lie_in_the_landing_folder_is_asked_for_and_nothing_goes_on_without_it(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.harm("usage_months", "lost", "2026-08")
    gone, kept = world.loop.landing / "usage_months" / "month=2026-08", tmp_path / "kept"
    shutil.move(gone, kept)
    assert world.repair() == 1
    told = capsys.readouterr().out
    assert f"usage_months/month=2026-08 does not lie in {world.loop.landing}. Deliver it there again" in told
    assert world.verify() == 0
    with pytest.raises(NotReady, match="usage_months/month=2026-08"):
        list(world.loop.run("features", "features"))
    shutil.move(kept, gone)
    assert world.repair() == 0
    assert world.is_as_it_was()


def test_rows_put_aside_that_nobody_can_read_are_told_and_removed(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "quarantine/usage_months/period=2026-10/0123456789abcdef.parquet"
    world.lake.store.write(name, b"PAR1")
    assert world.verify() == 1
    told = f"{world.lake.root}/{name} cannot be read. Run `python -m include.lake repair --lake {world.lake.root}`."
    assert told in capsys.readouterr().out
    assert world.repair() == 0
    assert f"{name} was removed" in capsys.readouterr().out
    assert world.verify() == 0
    assert world.is_as_it_was()


def test_without_a_database_it_drops_and_the_next_run_makes_it_again(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    for table in ("usage_months", "factors"):
        world.harm(table, "cut")
    assert lake_command(["repair", "--lake", str(world.lake.root), "--landing", str(world.loop.landing)]) == 1
    told = capsys.readouterr().out
    assert "--from collection --until collection`" in told and "--from features --until features`" in told
    assert world.verify() == 0
    assert world.run("--until", "grading") == 0
    assert world.is_as_it_was()


@pytest.mark.parametrize("step", range(4))
def test_a_repair_that_was_killed_goes_on(world: World, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from include.commands import repair

    for table in ("usage_months", "contacts", "factors", GRADES):
        world.harm(table, "two bytes flipped")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    if step == 3:
        world.harm(SCORES, "cut")
    with monkeypatch.context() as patched:
        patched.setattr(repair, ("_drop", "_collected_again", "_remake", "_score")[step], killed)
        with pytest.raises(KeyboardInterrupt):
            world.repair()
    assert world.repair() == 0
    assert world.is_as_it_was()


def test_files_of_an_earlier_version_are_read_and_get_size_and_hash_when_written_again(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    for table in ("usage_months", "factors"):
        forget_sizes(world.lake, table)
    assert world.verify() == 0
    assert "Size and hash of 4 files are not recorded" in capsys.readouterr().out
    assert world.run("--until", "grading") == 0
    assert world.is_as_it_was()
    world.harm("usage_months", "lost")
    assert world.repair() == 0
    assert all(part.sha256 for part in world.lake.manifest("usage_months", MONTH).parts)


def test_what_only_verify_finds_in_files_of_an_earlier_version_is_cured_too(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    forget_sizes(world.lake, "factors")
    part = world.lake.manifest("factors", MONTH).parts[0]
    file = world.lake.root / world.lake.folder("factors", MONTH) / part.name
    pl.read_parquet(file).reverse().write_parquet(file)
    assert world.verify() == 1
    assert world.repair() == 1
    assert "factors of 2026-10 were dropped. To make them again: `python" in capsys.readouterr().out
    assert world.run("--until", "grading") == 0
    assert world.is_as_it_was()


def test_a_month_that_is_replaced_while_it_is_looked_at_is_no_damage(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An erasure removes the replaced file at once: between reading the manifest and looking at its files."""
    lake, other = world.lake, Lake(world.lake.root)
    look = lake.store.files

    def replaced_meanwhile(folder: str) -> Any:
        monkeypatch.setattr(lake.store, "files", look)
        before = other.manifest("usage_months", MONTH)
        rows = other.scan("usage_months", MONTH, 0).collect()
        new = other.write_part("usage_months", MONTH, 0, rows, "erase")
        other.exchange(before, {before.parts[0].name: new})
        return look(folder)

    monkeypatch.setattr(lake.store, "files", replaced_meanwhile)
    assert lake.scan("usage_months", MONTH).collect().height == 10


# ---------------------------------------------------------------- the object store


def test_in_an_object_store_a_damage_is_told_and_cured_alike(
    object_store: dict[str, str],
    graded: Made,
    db: sa.Connection,
    role_url: Callable[[str], str],
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name, value in object_store.items():
        monkeypatch.setenv(name, value)
    for feed in ("subscribers", "usage_months"):
        place = Path(feed, f"month={MONTH}")
        shutil.copytree(graded.folder / "landing" / place, tmp_path / place)
    lake = Lake.create(f"s3://lakes/{secrets.token_hex(6)}/lake")
    loop = Loop(db, lake, config, tmp_path, MONTH, now=OPENED)
    list(loop.run(last="features"))
    world = World(loop, role_url("churn_loop"), contents(lake), acted_on(db))
    told = world.harm("factors", "two bytes flipped")
    world.harm("usage_months", "[]")
    world.harm("contacts", "cut")
    with pytest.raises(Damaged, match=told):
        lake.scan("factors", MONTH)
    assert world.repair() == 0
    assert world.is_as_it_was()


# ---------------------------------------------------------------- a full disk


@contextmanager
def file_limit(_: Path, size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` for a while."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """The folder lies on a disk of `size` bytes for a while."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)
    yield


@pytest.fixture(params=["a limit of files", *(["a disk"] if os.geteuid() == 0 else [])])
def narrow(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, Any, list[int], str]]:
    """A folder, how to leave it so much room, the rooms to try, and how it is told."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param == "a limit of files":
        yield folder, file_limit, [8_000, 30_000], "File too large"
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", str(folder)], check=True)
    yield folder, small_disk, [200_000, 400_000, 600_000], "No space left on device"
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_one_sentence_with_the_file_and_the_next_run_goes_on(
    narrow: tuple[Path, Any, list[int], str],
    graded: Made,
    role_url: Callable[[str], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, limited, rooms, cause = narrow
    shutil.copytree(graded.folder / "landing", folder / "landing")
    Lake.create(folder / "lake", 600_000)
    where = [
        "--landing",
        str(folder / "landing"),
        "--lake",
        str(folder / "lake"),
        "--db",
        role_url("churn_loop"),
    ]
    words = [*where, "--month", MONTH, "--now", OPENED.isoformat(), "--until", "grading"]
    for room in rooms:
        with limited(folder, room):
            assert loop_command(words) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"NotReady: {cause}: {folder}/lake/"), line
        assert line.endswith("Then run the same command again: what is done is not done twice.")
    with limited(folder, 100_000_000):
        assert loop_command(words) == 0
    assert contents(Lake(folder / "lake")) == graded.held
    assert not list((folder / "lake").rglob(".tmp-*"))


# ---------------------------------------------------------------- the guide


def test_the_guide_tells_every_damage_with_its_sentence_its_cure_and_the_state_afterwards() -> None:
    guide = (ROOT / "docs" / "operations-guide.md").read_text("utf-8")
    section = guide.split("## When the lake is damaged")[1].split("\n## ")[0]
    for sentence in {told for _, told in DAMAGES.values()} | {
        "lake.json … cannot be read",
        "lake.json … is gone",
        "no longer holds what was collected of",
        "No space left on device",
        "The database failed",
    }:
        assert sentence in section, sentence
    assert section.count("`python -m include.lake repair`") >= 4
