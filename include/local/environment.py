"""Make .venv hold exactly what requirements.txt locks. Runs before anything is installed: no imports of ours.

Called by the Makefile with the machine's Python; a second call with an unchanged lock costs nothing.
"""

import sys

OLDEST = (3, 11)
NEWEST = (3, 14)
if not (OLDEST <= sys.version_info[:2] <= NEWEST):  # before any syntax or import an older Python lacks
    sys.exit(
        "Python {}.{} at {} cannot run this project: it needs {}.{} to {}.{}. Install one of them "
        "and name it: make run PYTHON=python3.12".format(
            *sys.version_info[:2], sys.executable, *OLDEST, *NEWEST
        )
    )

import hashlib  # noqa: E402
import importlib.util  # noqa: E402
import os  # noqa: E402
import platform  # noqa: E402
import shutil  # noqa: E402
import subprocess  # noqa: E402
import venv  # noqa: E402
from pathlib import Path  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent.parent
NEEDED_MB = 1500

#: what pip is told on this machine, and the variable that tells uv the same
_PIP_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
}


def fingerprint(lock: Path) -> str:
    """What an environment was made of: the lock, the Python and the machine."""
    made_of = (lock.read_text(encoding="utf-8"), platform.python_version(), platform.machine())
    return hashlib.sha256("\n".join(made_of).encode()).hexdigest()


def ensure(folder: Path, lock: Path) -> None:
    """Bring the environment in `folder` to what `lock` says; a sentence and exit code 1 when it cannot be."""
    stamp = folder / "installed"
    wanted = fingerprint(lock)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    _require_space(folder.parent)
    stamp.unlink(missing_ok=True)
    os.umask(0o022)  # as root, PostgreSQL's binaries are run by another user
    print(f"Installing the locked packages into {folder.name} (once, about a minute) ...", flush=True)
    _make(folder)
    _install(folder, lock)
    stamp.write_text(wanted, encoding="utf-8")


def _require_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free // 2**20
    if free < NEEDED_MB:
        sys.exit(
            f"Only {free} MB are free below {folder}; the environment needs {NEEDED_MB} MB. Make room first."
        )


def _make(folder: Path) -> None:
    if importlib.util.find_spec("ensurepip") is None:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        sys.exit(
            f"Python {version} comes without venv and pip here. Install its package "
            f"(Debian, Ubuntu: apt-get install python{version}-venv) and run this again."
        )
    try:
        venv.create(folder, with_pip=True, symlinks=True, clear=not _stands(folder))
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"The environment {folder} could not be made: {error}")


def _stands(folder: Path) -> bool:
    settings = folder / "pyvenv.cfg"
    return settings.exists() and f"version = {platform.python_version()}" in settings.read_text(
        encoding="utf-8"
    )


def _install(folder: Path, lock: Path) -> None:
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    has_uv = _succeeds([*pip, "install", "-qq", "uv"])
    if has_uv and _succeeds(_uv_sync(python, lock), _environment_of_uv(pip)):
        return
    # pip always understands its own configuration; it only takes longer
    print("uv could not install the lock; trying with pip (some minutes) ...", flush=True)
    if not _succeeds([*pip, "install", "--quiet", "--no-deps", "--requirement", str(lock)]):
        sys.exit(f"The packages in {lock.name} could not be installed; the reason stands above.")


def _uv_sync(python: str, lock: Path) -> list[str]:
    return [python, "-m", "uv", "pip", "sync", "--quiet", "--python", python, "--compile-bytecode", str(lock)]


def _succeeds(command: list[str], environment: "dict[str, str] | None" = None) -> bool:
    return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL).returncode == 0


def _environment_of_uv(pip: list[str]) -> dict[str, str]:
    """uv does not read pip's configuration, so that this machine's package index would be missed."""
    environment = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    for option, value in _settings_of_pip(pip).items():
        if option in _PIP_TO_UV:
            environment[_PIP_TO_UV[option]] = " ".join(value.split())
    return {**environment, **os.environ}


def _settings_of_pip(pip: list[str]) -> dict[str, str]:
    listed = subprocess.run([*pip, "config", "list"], capture_output=True, text=True)
    settings: dict[str, str] = {}
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        settings[name.rpartition(".")[2]] = value.strip("'\"")
    for option in _PIP_TO_UV:  # for pip, too, the environment wins over its files
        chosen = os.environ.get("PIP_" + option.upper().replace("-", "_"))
        if chosen:
            settings[option] = chosen
    return settings


if __name__ == "__main__":
    ensure(ROOT / ".venv", ROOT / "requirements.txt")
