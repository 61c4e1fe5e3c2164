"""The desk as people reach it: real Airflow users with real tokens, over HTTP, on a database of its own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from include.config import Config, load_config
from include.database import engine
from include.settings import OWN_CONFIG
from tests.fixtures.work import FRIDAY, People, Released, hire

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

#: Airflow users and their FAB role; those of the staff are named after their staff code.
USERS = {
    "agent": "RetentionStaff",
    "colleague": "RetentionStaff",
    "stranger": "RetentionStaff",
    "lead": "RetentionLead",
    "manager": "RetentionManager",
    "operator": "Op",
    "visitor": "RetentionStaff",  # may use the desk, but is not on the staff
}
SITE = "http://desk.test"


@pytest.fixture(scope="session")
def tokens(airflow_home: Path) -> dict[str, str]:
    """A valid Airflow token per user."""
    from airflow.api_fastapi.app import init_auth_manager
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    from include.local.bootstrap import bootstrap

    bootstrap(
        [
            {"username": name, "password": f"of {name}", "role": role, "name": name}
            for name, role in USERS.items()
        ]
    )
    manager = init_auth_manager()
    with get_application_builder() as builder:
        return {name: manager.generate_jwt(builder.sm.find_user(username=name)) for name in USERS}


@dataclass
class Clock:
    """The instant the desk believes it is."""

    now: datetime = FRIDAY

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def people(request: pytest.FixtureRequest, db: sa.Connection) -> People:
    """The usual five, each with the Airflow user of the same name."""
    if "released" in request.fixturenames:
        return request.getfixturevalue("released").people
    hired = hire(db)
    with db.begin():
        db.execute(sa.text("update staff set airflow_username = staff_code"))
    return hired


@pytest.fixture
def tickets(released: Released) -> list[int]:
    return released.tickets


@pytest.fixture(scope="session")
def routed(tokens: dict[str, str]) -> "FastAPI":
    """The desk's application on no database, made once: its routes take half a second to put together."""
    from include.desk.app import build

    return build("postgresql://nobody@127.0.0.1/nothing", load_config(OWN_CONFIG), Clock())


@pytest.fixture
def desk_app(
    routed: "FastAPI", role_url: Callable[[str], str], config: Config, clock: Clock, tokens: dict[str, str]
) -> "Iterator[FastAPI]":
    """The desk's application on the test's database; what a test sets in its state is gone with the test."""
    from starlette.datastructures import State

    from include.desk.web.reading import Database

    made = routed.state
    given = {"database": Database(role_url("churn_desk")), "config": config, "clock": clock}
    routed.state = State({**made._state, **given})
    yield routed
    given["database"].close()
    routed.state = made


@pytest.fixture
def visit(desk_app: "FastAPI", tokens: dict[str, str]) -> "Callable[..., TestClient]":
    """A browser logged in as one of USERS (None: not logged in) that does not follow redirects."""
    from fastapi.testclient import TestClient

    def open_browser(username: str | None, language: str = "en") -> "TestClient":
        cookies = {} if username is None else {"_token": tokens[username]}
        headers = {"origin": SITE, "accept-language": language}
        return TestClient(
            desk_app, base_url=SITE, cookies=cookies, headers=headers, follow_redirects=False,
            raise_server_exceptions=False,
        )  # fmt: skip

    return open_browser


class Door:
    """Stands where Airflow mounts the desk; behind it is the desk of the test at work."""

    desk: "FastAPI"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.desk(scope, receive, send)


class Served:
    """Airflow with the desk at a loopback port, which can be ended and started again like a real one."""

    def __init__(self, app: "FastAPI", door: Door) -> None:
        import socket

        self._app, self.door = app, door
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        import threading
        import time

        import uvicorn

        settings = uvicorn.Config(self._app, host="127.0.0.1", port=self._port, log_level="warning")
        self._server = uvicorn.Server(settings)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.02)

    def stop(self) -> None:
        self._server.should_exit = self._server.force_exit = True  # a browser keeps its connections open
        self._thread.join()


@pytest.fixture(scope="session")
def airflow_served(tokens: dict[str, str]) -> Iterator[Served]:
    """One Airflow for all tests of a browser: its login, navigation and API, with our plugin."""
    from airflow import plugins_manager
    from airflow.api_fastapi.app import create_app

    for cached in vars(plugins_manager).values():
        getattr(cached, "cache_clear", lambda: None)()
    served = Served(create_app(apps="core"), Door())
    served.start()
    yield served
    served.stop()


@pytest.fixture
def served(airflow_served: Served, desk_app: "FastAPI", monkeypatch: pytest.MonkeyPatch) -> Served:
    """That Airflow with the desk of this test, on its database and at its time.

    The first request behind the door builds what stands there for good; other Airflows of the session build theirs.
    """
    monkeypatch.setattr("include.desk.app.build_from_airflow", lambda: airflow_served.door)
    airflow_served.door.desk = desk_app
    return airflow_served


@pytest.fixture
def numbers(db: sa.Connection, tickets: list[int]) -> dict[int, str]:
    """The number behind each ticket: 13800000001, 13800000002, …"""
    found = {ticket: f"1380000{nth:04d}" for nth, ticket in enumerate(tickets, 1)}
    with db.begin():
        for ticket, number in found.items():
            db.execute(
                sa.text("insert into ticket_phones (ticket_id, msisdn) values (:id, :number)"),
                {"id": ticket, "number": number},
            )
    return found


@pytest.fixture
def ask(database_url: str) -> Iterator[Callable[..., list[sa.Row[tuple[object, ...]]]]]:
    """Rows of a statement, as an administrator, who sees everything and may change what nobody else may."""
    made = engine(database_url, role=None)
    with made.connect() as admin:

        def rows(statement: str, **values: object) -> list[sa.Row[tuple[object, ...]]]:
            with admin.begin():
                return list(admin.execute(sa.text(statement), values).all())

        yield rows
    made.dispose()
