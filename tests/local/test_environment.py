import re
import subprocess
import sys
from pathlib import Path

import pytest

from include.local import environment
from tests.conftest import ROOT


def test_a_lock_that_stands_installed_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text("six==1.17.0\n")
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "installed").write_text(environment.fingerprint(lock))
    monkeypatch.setattr(environment, "_make", lambda _folder: pytest.fail("made an environment again"))
    environment.ensure(tmp_path / "venv", lock)


def test_a_changed_lock_is_installed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, folder, done = tmp_path / "requirements.txt", tmp_path / "venv", []
    lock.write_text("six==1.17.0\n")
    folder.mkdir()
    monkeypatch.setattr(environment, "_require_space", lambda _folder: None)
    monkeypatch.setattr(environment, "_make", lambda _folder: None)
    monkeypatch.setattr(environment, "_install", lambda _folder, _lock: done.append(lock.read_text()))
    environment.ensure(folder, lock)
    environment.ensure(folder, lock)
    lock.write_text("six==1.16.0\n")
    environment.ensure(folder, lock)
    assert done == ["six==1.17.0\n", "six==1.16.0\n"]


def test_an_interrupted_installation_leaves_no_stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, folder = tmp_path / "requirements.txt", tmp_path / "venv"
    lock.write_text("new")
    folder.mkdir()
    (folder / "installed").write_text("old")
    monkeypatch.setattr(environment, "_require_space", lambda _folder: None)
    monkeypatch.setattr(environment, "_make", lambda _folder: None)
    monkeypatch.setattr(environment, "_install", lambda _folder, _lock: sys.exit("no network"))
    with pytest.raises(SystemExit, match="no network"):
        environment.ensure(folder, lock)
    assert not (folder / "installed").exists()


def test_a_full_disk_is_told_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "NEEDED_MB", 10**9)
    (tmp_path / "lock").write_text("six==1.17.0\n")
    with pytest.raises(SystemExit, match="Make room first"):
        environment.ensure(tmp_path / "venv", tmp_path / "lock")
    assert not (tmp_path / "venv").exists()


def test_without_ensurepip_the_package_to_install_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(SystemExit, match=r"apt-get install python3\.\d+-venv"):
        environment._make(tmp_path / "venv")


def test_an_unsuitable_python_is_refused_in_one_line_before_any_newer_syntax() -> None:
    code = Path(environment.__file__).read_text(encoding="utf-8")
    check = code[: code.index("import hashlib")].replace("OLDEST = (3, 11)", "OLDEST = (3, 99)")
    refused = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert refused.returncode == 1
    assert re.fullmatch(
        r"Python 3\.\d+ at \S+ cannot run this project: .* PYTHON=python3\.\d+\n", refused.stderr
    )


def test_pip_settings_reach_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = "global.index-url='https://index.example.org/simple'\nglobal.extra-index-url='\nfile:///a\nfile:///b'\n"
    listed = listed.replace("'\nfile:///a\nfile:///b'", "'file:///a file:///b'")
    told = subprocess.CompletedProcess([], 0, stdout=listed, stderr="")
    monkeypatch.setattr(environment.subprocess, "run", lambda *_args, **_kwargs: told)
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX"):
        monkeypatch.delenv(name, raising=False)
    given = environment._environment_of_uv(["pip"])
    assert given["UV_DEFAULT_INDEX"] == "https://index.example.org/simple"
    assert given["UV_INDEX"] == "file:///a file:///b"


def test_the_environment_wins_over_pips_files_and_uvs_own_over_both(monkeypatch: pytest.MonkeyPatch) -> None:
    told = subprocess.CompletedProcess(
        [], 0, stdout="global.index-url='https://file.example.org'\n", stderr=""
    )
    monkeypatch.setattr(environment.subprocess, "run", lambda *_args, **_kwargs: told)
    monkeypatch.setenv("PIP_INDEX_URL", "https://variable.example.org")
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    assert environment._environment_of_uv(["pip"])["UV_DEFAULT_INDEX"] == "https://variable.example.org"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://uv.example.org")
    assert environment._environment_of_uv(["pip"])["UV_DEFAULT_INDEX"] == "https://uv.example.org"


@pytest.mark.parametrize("name", ["requirements.txt", "requirements.in", "Makefile"])
def test_no_index_address_is_written_down(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"--(extra-)?index-url[ =]|--find-links|https?://", text)


def test_every_line_of_the_lock_pins_one_version() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not re.match(r"[\w.\[\],-]+==[\w.+!]+( ; .+)?$", line)] == []
