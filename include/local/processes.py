"""Ports and background processes of this machine: start, recognise again, watch, end without leftovers."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
#: Every process we start, and so every child of it, carries this variable: that is how `stop` knows its own.
MARK = "CHURN_SITE"
_ERROR = re.compile(r"\[(error|critical)\s*\]|\w*(Error|Exception): |Errno")


def free_port() -> int:
    """A loopback TCP port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Whether `port` can be bound on loopback now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def is_running(pid: int) -> bool:
    """Whether `pid` is a live process; a zombie nobody has reaped yet is not."""
    if not exists(pid):
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:  # ended meanwhile, or a system without /proc
        return not Path("/proc/self").exists()


def exists(pid: int) -> bool:
    """Whether the number `pid` is taken, be it by a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether `condition` came true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@dataclass(frozen=True)
class Background:
    """A process that goes on when we end: `<folder>/<name>.pid` and its output in `log`."""

    name: str
    folder: Path
    log: Path

    @property
    def pid(self) -> int | None:
        """The live process, or None; a number that meanwhile belongs to another process is not ours."""
        known = self._known()
        if known is None:
            return None
        pid, started = known
        return pid if is_running(pid) and started == _started(pid) else None

    def session(self) -> set[int]:
        """It and every live process it started, also when it is itself dead."""
        known = self._known()
        if known is None or (exists(known[0]) and _started(known[0]) != known[1]):
            return set()
        return {pid for pid in _all() if _session_of(pid) == known[0] and is_running(pid)}

    def _known(self) -> tuple[int, str] | None:
        try:
            pid, started = (self.folder / f"{self.name}.pid").read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid), started

    def start(self, command: Sequence[str], environment: Mapping[str, str], place: Path) -> None:
        """Start it in a session of its own, so that Ctrl-C and a closed terminal do not reach it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists():  # what it says now must not be mixed with what it said last time
            self.log.replace(self.log.with_suffix(".log.before"))
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=place,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        (self.folder / f"{self.name}.pid").write_text(f"{process.pid} {_started(process.pid)}")

    def last_words(self) -> str:
        """The last line of its output that tells of an error."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-200:]
        except FileNotFoundError:
            lines = []
        errors = [line.strip() for line in lines if _ERROR.search(line)]
        return errors[-1] if errors else "it told no error; perhaps it was killed"


def marked(mark: Path) -> set[int]:
    """Every live process whose environment carries `mark`; one that overwrites its title may hide it."""
    words = f"{MARK}={mark}".encode()
    return {pid for pid in _all() if words in _environment(pid) and is_running(pid)}


def end(pids: Callable[[], set[int]], patience: float) -> None:
    """Ask every process to end, wait up to `patience` seconds, then kill what still runs."""
    _signal(pids(), signal.SIGTERM)
    if not wait_until(lambda: not pids(), seconds=patience):
        for _ in range(20):  # a process may fork between being listed and being killed
            _signal(pids(), signal.SIGKILL)
            if wait_until(lambda: not pids(), seconds=0.5):
                return


def _signal(pids: set[int], what: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, what)


def _all() -> list[int]:
    return [int(place.name) for place in Path("/proc").glob("[0-9]*")]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # ended meanwhile, or another user's
        return []


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


def _started(pid: int) -> str:
    """When a process began, in clock ticks since boot; empty on a system without /proc."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return "-"
