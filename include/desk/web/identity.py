"""Who asks: Airflow's user, what Airflow lets that user do here, and the staff row that goes with it."""

from collections.abc import Callable
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, Request

from include.database.queries import load
from include.desk.viewer import BOARD, DESK, PHONES, TEAM, Method, Right, Viewer
from include.desk.web.errors import Denied, UnknownLogin
from include.desk.web.reading import Database

Q = load("desk/identity")

#: Every right a page may ask about, in the order of `bootstrap.RIGHTS`.
_RIGHTS: tuple[Right, ...] = (
    ("GET", DESK), ("PUT", DESK), ("GET", TEAM), ("PUT", TEAM), ("GET", BOARD), ("GET", PHONES),
)  # fmt: skip


def needs(method: Method, resource: str) -> Any:
    """A dependency that lets in whom Airflow allows `method` on `resource` and who is on the staff.

    Raises Airflow's 401/403 for a missing or bad token, Denied without the right, UnknownLogin without a row.
    """

    def enter(request: Request, user: Any = Depends(get_user)) -> Viewer:
        manager = get_auth_manager()
        allowed = frozenset(
            (how, what)
            for how, what in _RIGHTS
            if manager.is_authorized_custom_view(method=how, resource_name=what, user=user)
        )
        if (method, resource) not in allowed:
            raise Denied(
                "'{person}' has no right to '{resource}'. Ask your Airflow administrator.",
                code="no_right", person=user.get_name(), resource=resource,
            )  # fmt: skip
        return _viewer(request.app.state.database, user.get_name(), allowed)

    enter.permission = (method, resource)  # type: ignore[attr-defined]  # read by the test of all routes
    return Depends(enter)


def _viewer(database: Database, username: str, allowed: frozenset[Right]) -> Viewer:
    with database.reading(None) as db:
        row = db.execute(Q["find_by_login"], {"username": username}).mappings().one_or_none()
    if row is None:
        raise UnknownLogin(username)
    return Viewer(**row, resources=allowed)


#: Who may look at the desk, who may work at it; the annotation of a route's `viewer`.
Reader = Annotated[Viewer, needs("GET", DESK)]
Worker = Annotated[Viewer, needs("PUT", DESK)]


def permission_of(call: Callable[..., Any]) -> Right | None:
    """The right a dependency made by `needs` asks for; None for any other callable."""
    return getattr(call, "permission", None)
