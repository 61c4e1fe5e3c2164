"""The desk's world, built once a module."""

import secrets
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from include.config import Config
    from include.local.postgres import Server
    from tests.fixtures.desk import World


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
