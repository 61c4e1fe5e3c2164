"""The server's log never holds what people said, and whoever runs a server that would keep it is told."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from include.database import copy_rows, upgrade
from include.database.server_log import QUIET, told_of_loud
from include.local.postgres import Server

NUMBER = "13800138000"


@pytest.fixture
def logged(postgres: Server) -> Callable[[], str]:
    """What the server has logged since the test began."""
    log = Path(postgres.folder / "server.log")
    begun = len(log.read_bytes())
    return lambda: log.read_bytes()[begun:].decode()


def test_the_embedded_server_keeps_quiet(db):
    with db.begin():
        assert told_of_loud(db) is None


@pytest.mark.parametrize(
    "statement",
    [
        f"select pg_sleep(9) where '{NUMBER}' <> 'note'",
        f"select cast('{NUMBER}x' as bigint)",
        f"insert into ticket_phones (ticket_id, msisdn) values (-1, '{NUMBER}')",
        f"select 1 from nowhere where msisdn = '{NUMBER}'",
    ],
    ids=["timeout", "value", "key", "name"],
)
def test_a_statement_that_fails_leaves_no_number_behind(db, logged, statement):
    db.execute(sa.text("set local statement_timeout = '50ms'"))
    with pytest.raises(sa.exc.DBAPIError) as failed:
        db.execute(sa.text(statement))
    assert NUMBER not in str(failed.value.orig)
    assert NUMBER not in logged()


@pytest.mark.parametrize(
    ("table", "columns", "kind"),
    [
        ("numbers", ("n",), sa.exc.DataError),
        ("heartbeats", ("name",), sa.exc.IntegrityError),
        ("heartbeats", ("nothing",), sa.exc.ProgrammingError),
    ],
    ids=["value", "row", "name"],
)
def test_a_load_that_fails_is_told_like_any_statement_and_without_its_rows(db, logged, table, columns, kind):
    db.execute(sa.text("create temporary table numbers (n int) on commit drop"))
    with pytest.raises(kind, match=f"copy {table}") as failed:
        copy_rows(db, table, columns, [(NUMBER,)])
    assert NUMBER not in str(failed.value)
    assert failed.value.__suppress_context__
    assert NUMBER not in logged()


@pytest.mark.parametrize("loud", [("log_statement", "all"), ("log_min_error_statement", "error")])
def test_a_server_that_would_keep_numbers_is_told_of_with_what_to_run(database_url, execute, capsys, loud):
    name, value = loud
    database = database_url.rpartition("/")[2]
    execute(f"alter database {database} set {name} = '{value}'")
    upgrade(database_url)
    assert f"{name} is {value}. Run as its administrator: alter system set {name} = '{QUIET[name]}';" in (
        capsys.readouterr().err
    )
    execute(f"alter database {database} reset {name}")
    upgrade(database_url)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("told", ["log", "fatal", "panic"])
def test_a_server_that_tells_less_is_as_good(database_url, execute, capsys, told):
    execute(f"alter database {database_url.rpartition('/')[2]} set log_min_messages = '{told}'")
    upgrade(database_url)
    assert capsys.readouterr().err == ""
