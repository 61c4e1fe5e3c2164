import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.local.processes import MARK, Background, end, is_running, marked, wait_until

SLEEP = "import time; time.sleep(60)"
#: a child that hides from its parent's session, as a task's process may
BREED = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}], start_new_session=True)"


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Background]:
    made = Background("sleeper", tmp_path / "processes", tmp_path / "sleeper.log")
    yield made
    end(lambda: made.session() | marked(tmp_path), patience=0)


def start(process: Background, code: str) -> int:
    mark = process.folder.parent
    process.start([sys.executable, "-c", code], {**os.environ, MARK: str(mark)}, mark)
    assert process.pid
    return process.pid


def test_a_started_process_is_recognised_by_a_later_command(process: Background) -> None:
    pid = start(process, SLEEP)
    assert Background(process.name, process.folder, process.log).pid == pid


def test_it_runs_in_a_session_of_its_own_so_that_ctrl_c_does_not_reach_it(process: Background) -> None:
    assert os.getsid(start(process, SLEEP)) != os.getsid(0)


def test_a_number_that_now_belongs_to_another_process_is_not_ours(process: Background) -> None:
    process.folder.mkdir()
    (process.folder / "sleeper.pid").write_text(f"{os.getpid()} 1")
    assert process.pid is None
    assert process.session() == set()


def test_a_dead_process_is_not_running(process: Background) -> None:
    pid = start(process, "raise SystemExit(3)")
    assert wait_until(lambda: process.pid is None, seconds=10)
    assert not is_running(pid)


def test_ending_reaches_children_that_left_the_session(process: Background) -> None:
    start(process, BREED)
    mark = process.folder.parent
    assert wait_until(lambda: len(marked(mark)) == 2, seconds=10)
    children = marked(mark)
    end(lambda: marked(mark), patience=5)
    assert not any(is_running(pid) for pid in children)


def test_children_are_still_found_after_their_parent_was_killed(process: Background) -> None:
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}])"
    pid = start(process, code)
    assert wait_until(lambda: len(process.session()) == 2, seconds=10)
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: process.pid is None, seconds=10)
    assert len(process.session()) == 1


def test_a_process_that_ignores_the_request_is_killed(process: Background) -> None:
    start(
        process,
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('on', flush=True); time.sleep(60)",
    )
    assert wait_until(lambda: "on" in process.log.read_text(), seconds=10)
    end(process.session, patience=0.3)
    assert process.pid is None


def test_last_words_prefer_the_error(process: Background) -> None:
    process.log.write_text("# Errors  Last Run\nOSError: [Errno 28] No space left on device\nbye\n")
    assert process.last_words() == "OSError: [Errno 28] No space left on device"


def test_last_words_of_a_silent_process_say_so(process: Background) -> None:
    assert process.last_words() == "it told no error; perhaps it was killed"


def test_a_restart_begins_its_output_anew_and_keeps_the_old(process: Background) -> None:
    process.log.write_text("OSError: of last time\n")
    start(process, SLEEP)
    assert "last time" not in process.log.read_text()
    assert "last time" in process.log.with_suffix(".log.before").read_text()
