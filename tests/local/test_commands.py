"""The commands behind make run, stop, status and clean, as far as they go without starting Airflow."""

import fcntl
import os
import re
import shlex
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.local import __main__ as commands
from include.local import sites
from include.local.__main__ import main
from include.local.postgres import Server
from include.local.processes import HOST, free_port, marked
from include.local.sites import Site
from include.settings import ENVIRONMENT
from tests.conftest import ROOT


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A .run folder of this test's own."""
    folder = tmp_path / ".run"
    for module in (sites, commands):
        monkeypatch.setattr(module, "RUN", folder)
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    monkeypatch.setattr(commands, "DEMO", Site("demo", folder / "demo"))
    monkeypatch.setattr(commands, "LOCAL", Site("local", folder / "local"))
    return folder


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        yield other.getsockname()[1]


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    text = capsys.readouterr().err.strip()
    assert text.startswith("FAILED: ")
    assert "\n" not in text
    return text


def test_a_malformed_month_is_refused_before_anything_is_made(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["start", "--landing", str(ROOT), "--month", "2026-1"]) == 1
    assert "'2026-1' is not a month" in complaint(capsys)
    assert not run.exists()


def test_a_missing_landing_folder_is_refused_before_anything_is_made(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["start", "--landing", "no/such/folder", "--month", "2026-10"]) == 1
    assert "LANDING=no/such/folder is not a folder" in complaint(capsys)
    assert not run.exists()


def test_a_busy_port_is_told_with_the_cure_and_nothing_is_started(
    run: Path, busy_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["start", "--port", str(busy_port)]) == 1
    assert complaint(capsys).endswith(f"make run PORT={busy_port + 1}")
    assert not (run / "demo" / "postgres").exists()
    assert marked(run / "demo") == set()


def test_a_full_disk_is_told_and_nothing_is_started(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "NEEDED_MB", 10**9)
    assert main(["start", "--port", str(free_port())]) == 1
    assert "Make room first" in complaint(capsys)
    assert not (run / "demo" / "postgres").exists()


def test_two_commands_at_once_do_not_start_everything_twice(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run.mkdir()
    with (run / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711")
        lock.flush()
        assert main(["start", "--port", str(free_port())]) == 1
    assert "Another make run is at work here (process 4711)" in complaint(capsys)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL as another user")
def test_as_root_below_a_closed_folder_the_folder_is_named_and_nothing_runs(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = next(part for part in (tmp_path, *tmp_path.parents) if not stat.S_IMODE(part.stat().st_mode) & 1)
    assert main(["start", "--port", str(free_port())]) == 1
    assert "may not enter" in (told := complaint(capsys))
    assert str(closed) in told or str(tmp_path.parents[1]) in told
    assert marked(run / "demo") == set()


def test_stop_and_status_work_when_nothing_ever_ran(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stop"]) == 0
    assert main(["status"]) == 0
    assert "demo: never started" in capsys.readouterr().out


def test_clean_keeps_the_operators_data_until_told(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("demo", "local"):
        (run / name / "lake").mkdir(parents=True)
    assert main(["clean"]) == 0
    assert not (run / "demo").exists()
    assert (run / "local" / "lake").exists()
    assert "CONFIRM=yes" in capsys.readouterr().out
    assert main(["clean", "--confirm", "yes"]) == 0
    assert not (run / "local").exists()


def test_where_nothing_runs_there_is_nothing_to_name(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["variables"]) == 1
    assert "Start one: make run" in complaint(capsys)


def test_a_shell_is_told_where_the_site_that_runs_has_everything(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "pid", lambda _: 1)
    monkeypatch.setattr(Server, "port", 5432)
    monkeypatch.setenv("CHURN_CONFIG", "/a folder of mine")
    commands.DEMO.prepare()
    assert main(["variables"]) == 0
    lines = capsys.readouterr().out.splitlines()
    told = {line.removeprefix("export ").partition("=")[0]: shlex.split(line)[1] for line in lines}
    assert told["CHURN_LAKE"] == f"CHURN_LAKE={run / 'demo' / 'lake'}"
    assert told["AIRFLOW_CONN_CHURN_DB"].startswith("AIRFLOW_CONN_CHURN_DB=postgresql://churn_loop:")
    assert set(told) == {*ENVIRONMENT, "PYTHONPATH"} - {"CHURN_CONFIG"}


def test_without_the_environment_status_says_what_it_cannot_tell(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "find_spec", lambda _: None)
    commands._tell_watchers(commands.DEMO)
    assert "make environment" in capsys.readouterr().out


def test_stop_needs_nothing_but_the_standard_library() -> None:
    code = "import include.local.__main__, sys; print([m for m in sys.modules if 'site-packages' in m])"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_every_program_a_site_starts_is_one_that_can_be_started():
    started = set()
    for path in (ROOT / "include" / "local").rglob("*.py"):
        started |= set(re.findall(r'"-m", "(include[\w.]+)"', path.read_text("utf-8")))
    assert {"include.simulator", "include.simulator.staff", "include.loop"} <= started
    for module in started:
        place = ROOT / Path(*module.split("."))
        assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file(), module
