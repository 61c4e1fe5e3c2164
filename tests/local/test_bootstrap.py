from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include.local.bootstrap import RIGHTS, bootstrap

pytestmark = pytest.mark.airflow


def user(username: str, role: str, password: str = "first") -> dict[str, str]:
    return {"username": username, "password": password, "role": role, "name": "王芳"}


@pytest.fixture
def ask(airflow_home: Path) -> Callable[[Callable[[Any], Any]], Any]:
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    def run(question: Callable[[Any], Any]) -> Any:
        with get_application_builder() as builder:
            return question(builder.sm)

    return run


def rights_of(manager: Any, role: str) -> set[tuple[str, str]]:
    return {(right.action.name, right.resource.name) for right in manager.find_role(role).permissions}


def test_every_role_may_do_exactly_what_is_written_down(ask: Callable[..., Any]) -> None:
    bootstrap([])
    bootstrap([])
    for role, rights in RIGHTS.items():
        assert ask(lambda manager, role=role: rights_of(manager, role)) == set(rights)


def test_operators_work_dags_and_not_tickets(ask: Callable[..., Any]) -> None:
    bootstrap([])
    resources = {resource for _, resource in ask(lambda manager: rights_of(manager, "Op"))}
    assert not resources & {"Retention Desk", "Retention Team", "Retention Board", "Phone Reveal"}


def test_staff_reach_the_desk_and_no_dag(ask: Callable[..., Any]) -> None:
    assert {resource for _, resource in RIGHTS["RetentionStaff"]} <= {
        "Website",
        "Plugins",
        "Retention Desk",
        "Phone Reveal",
    }


def test_a_user_is_made_once_and_takes_the_newest_password(ask: Callable[..., Any]) -> None:
    bootstrap([user("wang.fang", "RetentionStaff")])
    bootstrap([user("wang.fang", "RetentionStaff", password="second")])

    def check(manager: Any) -> tuple[list[str], bool, bool]:
        known = manager.find_user(username="wang.fang")
        tried = [
            bool(manager.auth_user_db("wang.fang", word, rotate_session_id=False))
            for word in ("first", "second")
        ]
        return [role.name for role in known.roles], *tried

    assert ask(check) == (["RetentionStaff"], False, True)
