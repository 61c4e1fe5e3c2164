"""Airflow's metadata, roles, rights and users in one process: every `airflow` command would cost 7 to 16 s.

Reads [{"username", "password", "role", "name"}] from standard input: no password shows in a process list.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

_DESK = (
    ("can_read", "Website"),
    ("can_read", "Plugins"),
    ("can_read", "Retention Desk"),
    ("can_edit", "Retention Desk"),
)
_TEAM = (("can_read", "Retention Team"), ("can_edit", "Retention Team"))
_BOARD = (("can_read", "Retention Board"),)
_PHONES = (("can_read", "Phone Reveal"),)

#: What each role of ours may do. Airflow's own roles (Admin, Op) get none of it: they work DAGs, not tickets.
RIGHTS: Mapping[str, Sequence[tuple[str, str]]] = {
    "RetentionStaff": (*_DESK, *_PHONES),
    "RetentionLead": (*_DESK, *_PHONES, *_TEAM, *_BOARD),
    "RetentionManager": (
        ("can_read", "Website"),
        ("can_read", "Plugins"),
        ("can_read", "Retention Desk"),
        ("can_read", "Retention Team"),
        *_BOARD,
    ),
}


def bootstrap(users: Sequence[Mapping[str, str]]) -> None:
    """Bring the metadata database up to date, with every role and user; repeating changes nothing."""
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
    from airflow.utils.db import initdb

    initdb()
    with get_application_builder() as builder:
        manager = builder.sm
        manager.sync_roles()
        for role, rights in RIGHTS.items():
            _make_role(manager, role, rights)
        for user in users:
            _make_user(manager, user)


def _make_role(manager: Any, name: str, rights: Sequence[tuple[str, str]]) -> None:
    role = manager.add_role(name)
    for action, resource in rights:
        permission = manager.create_permission(action, resource)
        if permission not in role.permissions:
            manager.add_permission_to_role(role, permission)


def _make_user(manager: Any, user: Mapping[str, str]) -> None:
    known = manager.find_user(username=user["username"])
    if known:
        manager.reset_password(known.id, user["password"])
        return
    first, _, last = user["name"].partition(" ")
    made = manager.add_user(
        username=user["username"],
        first_name=first,
        last_name=last or "-",
        email=f"{user['username']}@example.invalid",
        role=[manager.find_role(user["role"])],
        password=user["password"],
    )
    if not made:
        raise RuntimeError(f"The Airflow user {user['username']} could not be made.")


if __name__ == "__main__":
    bootstrap(json.load(sys.stdin))
