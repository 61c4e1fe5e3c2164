import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg2
import pytest

from include.local import postgres as module
from include.local.postgres import PostgresError, Server
from include.local.processes import free_port, is_running, port_is_free


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="churn-postgres-") as name:
        Path(name).chmod(0o755)
        yield Path(name) / "postgres"


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    made = Server(folder, fsync=False)
    made.start()
    yield made
    made.stop()


def asked(server: Server, statement: str) -> object:
    connection = psycopg2.connect(server.url("postgres"))
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()[0]
    finally:
        connection.close()


def test_it_answers_on_loopback_over_tcp_only(server: Server) -> None:
    assert asked(server, "show listen_addresses") == "127.0.0.1"
    assert asked(server, "show unix_socket_directories") == ""
    assert asked(server, "select inet_server_addr()::text") == "127.0.0.1/32"


def test_nobody_gets_in_without_the_password(server: Server) -> None:
    assert asked(server, "select count(*) from pg_hba_file_rules where auth_method <> 'scram-sha-256'") == 0
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(server.url("postgres", password="guessed"))


def test_the_password_is_readable_by_its_owner_alone(server: Server) -> None:
    for path in (server.folder, server.folder / "password"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_dates_are_in_utc_whatever_the_machine_says(server: Server) -> None:
    assert asked(server, "show timezone") == "UTC"


def test_a_second_start_changes_nothing(server: Server) -> None:
    before = server.pid()
    server.start()
    assert server.pid() == before


def test_a_restart_keeps_port_password_and_data(server: Server) -> None:
    url = server.url("postgres")
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("create table kept as select 42 as answer")
    connection.close()
    server.stop()
    server.start()
    assert server.url("postgres") == url
    assert asked(server, "select answer from kept") == 42


def test_a_remembered_port_somebody_took_is_replaced(server: Server) -> None:
    import socket

    taken = server.port
    server.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", taken))
        other.listen()
        assert not server.is_ready()
        server.start()
        assert server.port != taken
        assert asked(server, "select 1") == 1


def test_after_kill_9_it_recovers(server: Server) -> None:
    os.kill(server.pid() or 0, signal.SIGKILL)
    assert not module.wait_until(server.is_ready, seconds=0.2)
    server.start()
    assert asked(server, "select 1") == 1


def test_stop_leaves_no_process_and_frees_the_port(server: Server) -> None:
    pid, port = server.pid(), server.port
    server.stop()
    assert pid is not None
    assert not is_running(pid)
    assert port_is_free(port)
    server.stop()


def test_a_pid_that_belongs_to_another_program_is_not_taken_for_the_server(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n{folder / 'data'}\n")
    server = Server(folder)
    assert server.pid() is None
    server.stop()


def test_an_interrupted_creation_is_begun_anew(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "half").write_text("left by an interrupted initdb")
    server = Server(folder, fsync=False)
    server.start()
    try:
        assert asked(server, "select 1") == 1
    finally:
        server.stop()


def test_before_the_first_start_there_is_no_port(folder: Path) -> None:
    with pytest.raises(PostgresError, match="Start it first"):
        _ = Server(folder).port


def test_a_port_in_use_is_told_in_one_line(folder: Path, postgres: Server) -> None:
    with pytest.raises(PostgresError, match="pg_ctl failed") as told:
        Server(folder, fsync=False).start(port=postgres.port)
    assert "\n" not in str(told.value)


def test_a_free_port_is_free() -> None:
    assert port_is_free(free_port())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL as another user")
def test_as_root_a_closed_parent_folder_is_named(folder: Path) -> None:
    folder.parent.chmod(0o700)
    with pytest.raises(PostgresError, match="may not enter") as told:
        Server(folder).start()
    assert str(folder.parent) in str(told.value)
    assert "\n" not in str(told.value)
    assert not (folder / "data").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL as another user")
def test_as_root_it_runs_as_its_own_user(server: Server) -> None:
    assert Path(f"/proc/{server.pid()}").stat().st_uid != 0
