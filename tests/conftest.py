"""Fixtures every test may use: a real PostgreSQL, a fresh database per test, a lake, the default config.

The program's modules are imported inside the fixtures: collecting a test costs nothing it does not use.
"""

import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from sqlalchemy import Connection

    from include.config import Config
    from include.lake import Lake
    from include.local.postgres import Server

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = "churn_template"
CHROMIUM = "/usr/bin/chromium"
ROLES = ("churn_owner", "churn_loop", "churn_desk")
#: Memory that must be free for a server to be put there, in bytes.
IN_MEMORY = 4 * 2**30

# Airflow reads its settings while it is imported, and a test module may import it during collection.
AIRFLOW_HOME = Path(tempfile.mkdtemp(prefix="churn-airflow-"))
os.environ.update(
    {
        "AIRFLOW_HOME": str(AIRFLOW_HOME),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{AIRFLOW_HOME / 'airflow.db'}",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__CORE__FERNET_KEY": "",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(48),
        "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(48),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(AIRFLOW_HOME / "logs"),
        "_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK": "1",
    }
)
for _name in (
    "AIRFLOW_CONN_CHURN_DB",
    "AIRFLOW_CONN_CHURN_DESK_DB",
    "CHURN_LAKE",
    "CHURN_LANDING",
    "CHURN_CONFIG",
    "CHURN_NOTICES",
):
    os.environ.pop(_name, None)  # a test never reaches the databases or files of whoever runs it


#: What takes minutes begins first: at the end of a run the other processor would wait for it.
LONGEST = (
    "test_running_airflow.py",
    "dags/test_churn_warning.py",
    "database/test_sql.py",
    "test_loop.py",
    "kills/test_sigkill_matrix.py",
    "desk/tickets/test_any_sequence.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def begins(item: pytest.Item) -> int:
        name = item.path.relative_to(ROOT / "tests").as_posix()
        return LONGEST.index(name) if name in LONGEST else len(LONGEST)

    items.sort(key=begins)


def pytest_configure() -> None:
    from hypothesis import settings

    # speed is shown by benchmarks: an example that is slow on a busy machine is no failure
    settings.register_profile("untimed", deadline=None)
    settings.load_profile("untimed")
    # ended from outside we still stop PostgreSQL: fixtures are torn down after KeyboardInterrupt only
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_unconfigure() -> None:
    shutil.rmtree(AIRFLOW_HOME, ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> "Generator[None, pytest.TestReport, pytest.TestReport]":
    """In CI a browser test that did not run is a failure: nobody would notice a screen that broke."""
    report = yield
    if report.skipped and item.get_closest_marker("browser") and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """Headless Chromium of the machine, driven by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"There is no {CHROMIUM}. Install it: apt-get install chromium fonts-noto-cjk")
    quiet = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
    quiet += ("--disable-component-update", "--disable-sync")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=False, args=list(quiet))
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def postgres() -> "Iterator[Server]":
    """A running embedded PostgreSQL of this test session, without fsync."""
    from include.local.postgres import Server

    folder = scratch("churn-postgres-")
    server = Server(folder / "postgres", fsync=False)
    try:
        server.start()
        _leave_databases_alone(server)
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def scratch(prefix: str) -> Path:
    """A folder a server of ours may live in, in memory where there is room: a database is hundreds of small files.

    Not pytest's tmp_path: root's lies below a 0700 folder, where the server's own user cannot go.
    """
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > IN_MEMORY
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=memory if has_room else None))
    folder.chmod(0o755)
    return folder


def _leave_databases_alone(server: "Server") -> None:
    """No vacuuming in the background: databases of a second each keep its workers busy for nothing.

    And little of the log kept: it may lie in memory.
    """
    import psycopg2

    connection = psycopg2.connect(server.url("postgres"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("alter system set autovacuum = off")
        cursor.execute("alter system set max_wal_size = '256MB'")
        cursor.execute("select pg_reload_conf()")
    connection.close()


@pytest.fixture(scope="session")
def execute(postgres: "Server") -> Callable[..., None]:
    """Run statements as the superuser, outside any transaction: `execute(statement, …, database=…)`."""
    import psycopg2

    def run(*statements: str, database: str = "postgres") -> None:
        connection = psycopg2.connect(postgres.url(database))
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        finally:
            connection.close()

    return run


@pytest.fixture(scope="session")
def empty_database(postgres: "Server", execute: Callable[..., None]) -> Callable[[], str]:
    """Make a new database without any table and return its superuser URL; dropped with the server."""

    def make() -> str:
        name = f"empty_{secrets.token_hex(4)}"
        execute(f"create database {name} template template0")
        return postgres.url(name)

    return make


@pytest.fixture(scope="session")
def role_password() -> str:
    """The password of the three database roles in tests."""
    return secrets.token_urlsafe(16)


@pytest.fixture(scope="session")
def migrated_template(postgres: "Server", execute: Callable[..., None], role_password: str) -> str:
    """Name of the template database, brought up to the newest revision once per session."""
    from include.database import upgrade

    execute(f"create database {TEMPLATE} template template0")
    upgrade(postgres.url(TEMPLATE))
    execute(*(f"alter role {role} login password '{role_password}'" for role in ROLES))
    execute(
        f"alter database {TEMPLATE} allow_connections false",
        f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{TEMPLATE}'",
    )
    return TEMPLATE


@pytest.fixture
def template(migrated_template: str) -> str:
    """The database the test's own is a copy of; tests that all begin the same way override it with a filled one."""
    return migrated_template


@pytest.fixture
def database_url(postgres: "Server", execute: Callable[..., None], template: str) -> Iterator[str]:
    """Superuser URL of a fresh, fully migrated database, dropped after the test."""
    name = f"churn_{secrets.token_hex(6)}"
    # copying its files costs half of writing them through the log
    execute(
        f"create database {name} template {template} strategy file_copy",
        # rights in a database are not copied with it
        f"revoke temporary on database {name} from public",
        f"grant temporary on database {name} to churn_owner, churn_loop",
    )
    yield postgres.url(name)
    execute(f"drop database {name} with (force)")


@pytest.fixture
def as_admin(database_url: str) -> Callable[..., None]:
    """Run statements on the test's database that no role of the program may: `as_admin(statement, …, name=value)`."""
    from sqlalchemy import NullPool, text

    from include.database import engine

    def run(*statements: str, **values: object) -> None:
        with engine(database_url, role=None, poolclass=NullPool).begin() as db:
            for statement in statements:
                db.execute(text(statement), values)

    return run


@pytest.fixture
def role_url(postgres: "Server", database_url: str, role_password: str) -> Callable[[str], str]:
    """URL of the test's database for one of the roles churn_owner, churn_loop, churn_desk."""
    name = database_url.rpartition("/")[2]
    return lambda role: postgres.url(name, user=role, password=role_password)


@pytest.fixture
def db(role_url: Callable[[str], str]) -> "Iterator[Connection]":
    """An open connection with the rights of churn_loop and no transaction begun."""
    from include.database import engine

    pool = engine(role_url("churn_loop"))
    with pool.connect() as connection:
        yield connection
    pool.dispose()


@pytest.fixture
def desk(role_url: Callable[[str], str]) -> "Iterator[Connection]":
    """An open connection with the rights of churn_desk and nobody's identity."""
    from include.database import DESK_ROLE, engine

    pool = engine(role_url(DESK_ROLE), role=DESK_ROLE)
    with pool.connect() as connection:
        yield connection
    pool.dispose()


@pytest.fixture
def lake(tmp_path: Path) -> "Lake":
    """An empty lake of one shard."""
    from include.lake import Lake

    return Lake.create(tmp_path / "lake", subscribers=10)


@pytest.fixture(scope="session")
def object_store() -> Iterator[dict[str, str]]:
    """A running S3 server of this test session: the environment variables a client finds it by."""
    from tests.fixtures.object_store import running

    with running() as told:
        yield told


@pytest.fixture(params=["folder", "object store"])
def lake_root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where a lake may be laid down: once a folder, once a place in an object store."""
    if request.param == "folder":
        return str(tmp_path / "lake")
    for name, value in request.getfixturevalue("object_store").items():
        monkeypatch.setenv(name, value)
    return f"s3://lakes/{secrets.token_hex(6)}/lake"


@pytest.fixture(scope="session")
def config() -> "Config":
    """The default configuration of the project."""
    from include.config import load_config

    return load_config(ROOT / "include" / "config")


@pytest.fixture(scope="session")
def airflow_home() -> Path:
    """Airflow's home with an initialised metadata database (about 10 s once per session)."""
    from airflow.utils.db import initdb

    initdb()
    return AIRFLOW_HOME


@pytest.fixture
def airflow_environment(
    airflow_home: Path, role_url: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """What a DAG of ours finds in its environment: both Connections, a lake and a landing folder.

    Returns the folder holding `lake/` (not created yet) and `landing/` (empty).
    """
    (tmp_path / "landing").mkdir()
    monkeypatch.setenv("AIRFLOW_CONN_CHURN_DB", role_url("churn_loop"))
    monkeypatch.setenv("AIRFLOW_CONN_CHURN_DESK_DB", role_url("churn_desk"))
    monkeypatch.setenv("CHURN_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("CHURN_LANDING", str(tmp_path / "landing"))
    monkeypatch.setenv("CHURN_CONFIG", str(ROOT / "include" / "config"))
    monkeypatch.setenv("CHURN_NOTICES", str(tmp_path / "notices"))
    return tmp_path
