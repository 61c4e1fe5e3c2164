"""The desk's worlds: tickets in every state once a module, and four just released once a session, to be copied."""

import secrets
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from include.config import Config
    from include.local.postgres import Server
    from tests.fixtures.desk import World
    from tests.fixtures.work import Released


@pytest.fixture(scope="session")
def released(
    postgres: "Server",
    execute: Callable[..., None],
    migrated_template: str,
    role_password: str,
    config: "Config",
) -> "Released":
    """Four tickets released on FRIDAY to the usual people, each of them the Airflow user of the same name."""
    import sqlalchemy as sa

    from include.database import engine
    from tests.fixtures.work import Released, hire, release_two_each

    name = f"released_{secrets.token_hex(6)}"
    execute(f"create database {name} template {migrated_template} strategy file_copy")
    pool = engine(postgres.url(name, user="churn_loop", password=role_password), poolclass=sa.NullPool)
    with pool.connect() as db:
        people = hire(db)
        with db.begin():
            db.execute(sa.text("update staff set airflow_username = staff_code"))
        tickets = release_two_each(db, config, people)
    pool.dispose()
    return Released(name, people, tickets)


@pytest.fixture
def template(request: pytest.FixtureRequest, migrated_template: str) -> str:
    """What a test that asks for `released` begins from has them."""
    if "released" not in request.fixturenames:
        return migrated_template
    return str(request.getfixturevalue("released").database)


@pytest.fixture(scope="module")
def world(
    postgres: "Server",
    execute: Callable[..., None],
    migrated_template: str,
    role_password: str,
    config: "Config",
) -> "Iterator[World]":
    """Tickets in every state in a database of the module's own."""
    from include.database import DESK_ROLE, LOOP_ROLE, engine
    from tests.fixtures.desk import build_world

    name = f"desk_{secrets.token_hex(6)}"
    execute(f"create database {name} template {migrated_template} strategy file_copy")
    pools = [
        engine(postgres.url(name, user=role, password=role_password), role=role)
        for role in (LOOP_ROLE, DESK_ROLE)
    ]
    with pools[0].connect() as admin, pools[1].connect() as desk:
        yield build_world(admin, desk, config)
    for pool in pools:
        pool.dispose()
    execute(f"drop database {name} with (force)")
