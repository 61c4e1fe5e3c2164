"""`python -m include.local start|stop|status|clean`: what the Makefile calls; `variables`: for a shell of one's own."""

import argparse
import errno
import fcntl
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import TextIO

from include.domain.errors import LoopError
from include.local import components
from include.local.postgres import PostgresError
from include.local.processes import end, is_running, marked, wait_until
from include.local.progress import RunFailed, complain, tell
from include.local.sites import DEFAULT_UI_PORT, RUN, Site, work_mark
from include.settings import ENVIRONMENT, ROOT

DEMO, LOCAL = Site.named("demo"), Site.named("local")
NEEDED_MB = 2000


class Unsuitable(LoopError):
    """This machine, or what already runs on it, does not allow what was asked."""


def main(words: Sequence[str] | None = None) -> int:
    """Carry out one command; 0 when it succeeded, else one line says what happened and what to do."""
    args = _parser().parse_args(words)
    commands: dict[str, Callable[[argparse.Namespace], None]] = {
        "start": start,
        "stop": lambda _: stop(),
        "status": lambda _: status(),
        "variables": lambda _: variables(),
        "clean": clean,
    }
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        commands[args.command](args)
    except LoopError as error:
        complain(str(error))
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        complain(f"{error.filename or RUN}: {error.strerror}.")
        return 1
    except KeyboardInterrupt:
        complain("interrupted")
        return 130
    return 0


def start(args: argparse.Namespace) -> None:
    """Run the demo, or the loop on deliveries; end what was started when it does not come up."""
    from include.local.deliveries import Request, run_deliveries
    from include.local.demo import run_demo

    request = None
    if args.landing or args.month or args.as_of:
        request = Request.parse(args.landing, args.month, args.as_of, args.dispatch_late)
    site = LOCAL if request else DEMO
    with _only_one():
        site.prepare()
        _require_space()
        _choose_port(site, args.port)
        with _all_or_nothing(site):
            summary = run_deliveries(site, request) if request else run_demo(site, datetime.now(UTC))
    print(summary)
    tell(f"done. Secrets: {site.secrets_file}  Logs: {site.logs}  To end it: make stop")


def stop() -> None:
    """End every process of both sites, and a `make run` at work."""
    _end_command_at_work()
    for site in (DEMO, LOCAL):
        if _is_up(site):
            _stop_site(site)
            print(f"{site.name}: stopped")
    print("Nothing is running.")


def status() -> None:
    """What runs, and where."""
    for site in (DEMO, LOCAL):
        if not site.folder.exists():
            print(f"{site.name}: never started")
            continue
        server = site.server.pid()
        print(f"{site.name}: {site.url if components.are_running(site) else 'not running'}  ({site.folder})")
        print(f"  {'postgresql':<14} {f'process {server}, port {site.server.port}' if server else '-'}")
        for name in components.COMPONENTS:
            pid = components.component(site, name).pid
            print(f"  {name:<14} {f'process {pid}' if pid else '-'}")
        if server:
            _tell_watchers(site)


def variables() -> None:
    """What every command of the project goes by, for a shell: `eval "$(python -m include.local variables)"`.

    Of the site that runs. With a password in it, as those commands take it.
    """
    running = next((site for site in (DEMO, LOCAL) if site.server.pid()), None)
    if running is None:
        raise Unsuitable("Neither demo nor local is running. Start one: make run.")
    environment = running.environment()
    for name in sorted((ENVIRONMENT.keys() - {"CHURN_CONFIG"}) | {"PYTHONPATH"}):  # the caller's folder stays
        print(f"export {name}={shlex.quote(environment[name])}")


def _tell_watchers(site: Site) -> None:
    if find_spec("sqlalchemy") is None:
        print(
            "  (whether the watchers are well is told with the environment: make environment, then make status)"
        )
        return
    from include.local.watchers import watcher_lines

    for line in watcher_lines(site, datetime.now(UTC)):
        print(f"  ! {line}")


def clean(args: argparse.Namespace) -> None:
    """Remove the demo and the environment; the operator's own data only when confirmed."""
    stop()
    _remove(DEMO)
    shutil.rmtree(ROOT / ".venv", ignore_errors=True)
    print("Removed the demo and the environment.")
    if LOCAL.folder.exists():
        if args.confirm == "yes":
            _remove(LOCAL)
            print("Removed your data in .run/local.")
        else:
            print("Kept your data in .run/local. To remove it too: make clean CONFIRM=yes")


def _remove(site: Site) -> None:
    if site.folder.exists():
        shutil.rmtree(site.folder)


def _stop_site(site: Site) -> None:
    components.stop(site)
    end(lambda: marked(work_mark(site)), patience=2)
    site.server.stop()


def _is_up(site: Site) -> bool:
    return bool(site.server.pid() or components.left(site) or marked(work_mark(site)))


@contextmanager
def _all_or_nothing(site: Site) -> Iterator[None]:
    """Leave nothing half-started; but a run that ended red stays up, to be looked at."""
    was_up = components.are_running(site)
    try:
        yield
    except RunFailed:
        raise
    except BaseException:
        if not was_up and _is_up(site):
            tell("ending what was started ...")
            _stop_site(site)
        raise


def _choose_port(site: Site, asked: int | None) -> None:
    port = asked or site.memory().get("ui_port", DEFAULT_UI_PORT)
    other = DEMO if site is LOCAL else LOCAL
    if components.are_running(other) and other.ui_port == port:
        raise Unsuitable(
            f"The {other.name} site is running on port {port}. End it first (make stop), "
            f"or run both: make run PORT={port + 1} ..."
        )
    if port != site.memory().get("ui_port") and components.are_running(site):
        components.stop(site)
    components.require_port(site, port)
    site.remember(ui_port=port)


def _require_space() -> None:
    free = shutil.disk_usage(RUN).free // 2**20
    if free < NEEDED_MB:
        raise Unsuitable(f"Only {free} MB are free below {RUN}; {NEEDED_MB} MB are needed. Make room first.")


@contextmanager
def _only_one() -> Iterator[None]:
    """Hold the lock of this checkout: two commands at once would start everything twice."""
    RUN.mkdir(exist_ok=True)
    with (RUN / "lock").open("a+") as lock:
        if not _locked(lock):
            lock.seek(0)
            raise Unsuitable(
                f"Another make run is at work here (process {lock.read().strip()}). Wait, or make stop."
            )
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _locked(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _end_command_at_work() -> None:
    try:
        lock = (RUN / "lock").open("r")
    except FileNotFoundError:
        return
    with lock:
        if _locked(lock):
            return
        pid = int(lock.read())
        os.kill(pid, signal.SIGTERM)
        if not wait_until(lambda: not is_running(pid), seconds=40):
            raise PostgresError(f"The make run at work (process {pid}) does not end; end it by hand.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("start", help="run the demo, or the loop on --landing for --month")
    starting.add_argument("--port", type=int, help=f"of the Airflow UI (default {DEFAULT_UI_PORT})")
    for name in ("--landing", "--month", "--as-of"):
        starting.add_argument(name)
    starting.add_argument("--dispatch-late", default="")
    commands.add_parser("stop", help="end every process")
    commands.add_parser("status", help="what runs, and where")
    commands.add_parser("variables", help='where it works, as a shell sets it: eval "$(… variables)"')
    commands.add_parser("clean", help="remove demo and environment").add_argument("--confirm", default="")
    return parser


if __name__ == "__main__":
    sys.exit(main())
