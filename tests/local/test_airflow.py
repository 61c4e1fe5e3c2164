import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from include.database import engine, is_current
from include.local import components
from include.local.airflow import start_databases
from include.local.sites import Site


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    # not below pytest's tmp_path: PostgreSQL's own user cannot pass root's 0700 folder
    made = Site("local", Path(tempfile.mkdtemp(prefix="churn-site-")))
    made.prepare()
    try:
        start_databases(made)
        yield made
    finally:
        made.server.stop()
        shutil.rmtree(made.folder, ignore_errors=True)


def ask(url: str, *statements: str) -> list[Any]:
    """The rows of the last statement, each outside any transaction."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def test_airflow_owns_its_database_and_nothing_else(site: Site) -> None:
    asked = ask(
        site.database_url("airflow"),
        "create table metadata ()",
        "select current_user, rolsuper, rolcreaterole from pg_roles where rolname = current_user",
    )
    assert asked == [("airflow", False, False)]
    url = site.database_url("airflow").rpartition("/")[0] + "/churn"
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        ask(url)


@pytest.mark.parametrize("role", ["churn_loop", "churn_desk"])
def test_stages_and_desk_get_into_their_database_alone(site: Site, role: str) -> None:
    assert ask(site.database_url(role), "select current_user") == [(role,)]
    url = site.database_url(role).rpartition("/")[0] + "/airflow"
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        ask(url)


def test_the_owner_of_the_tables_cannot_log_in(site: Site) -> None:
    asked = ask(site.server.url("churn"), "select rolcanlogin from pg_roles where rolname = 'churn_owner'")
    assert asked == [(False,)]


def test_airflow_takes_over_what_an_earlier_installation_made_as_the_superuser(site: Site) -> None:
    ask(
        site.server.url("airflow"),
        "alter database airflow owner to postgres",
        "create table log (id serial, at int)",
        "create sequence apart",
    )
    site.finish("databases", True)
    start_databases(site)
    ask(site.database_url("airflow"), "alter table log drop column at", "alter sequence apart restart")


def test_a_schema_that_is_behind_is_brought_up_to_date_and_airflow_stopped_before(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[Site] = []
    monkeypatch.setattr(components, "stop", stopped.append)
    start_databases(site)
    assert stopped == []
    ask(site.server.url("postgres"), "drop database churn with (force)", "create database churn")
    start_databases(site)
    assert stopped == [site]
    made = engine(site.database_url("churn_loop"))
    with made.connect() as db:
        assert is_current(db)
    made.dispose()
