"""The routes of the desk's application with the rights they ask for, read from the application itself."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from starlette.routing import Mount

from include.desk.web.identity import permission_of


def routes_of(app: FastAPI) -> Iterator[tuple[APIRoute, str]]:
    """Every route with every method it answers."""
    for route in app.routes:
        if isinstance(route, APIRoute):
            for method in sorted(route.methods):
                yield route, method


def rights(route: APIRoute) -> set[tuple[str, str]]:
    """The rights a route asks for, itself or by what it depends on."""
    found, pending = set(), [route.dependant]
    while pending:
        dependant: Any = pending.pop()
        pending.extend(dependant.dependencies)
        right = permission_of(dependant.call) if dependant.call else None
        if right is not None:
            found.add(right)
    return found


def unruled(app: FastAPI) -> list[str]:
    """Paths that ask nobody for a right; files without a secret are the one thing open to all."""
    return [
        route.path
        for route in app.routes
        if not (isinstance(route, APIRoute) and rights(route))
        and not (isinstance(route, Mount) and isinstance(route.app, StaticFiles))
    ]
