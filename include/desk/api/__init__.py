"""The JSON API of the desk, below /api/v1: the same tickets, rights and actions as the pages, for programs."""

from typing import Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from pydantic import JsonValue

from include.desk.api import actions, calling, stopping, taking, tickets
from include.desk.api.answers import Problem
from include.desk.web.identity import Reader

VERSION = "1"
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem, "description": meaning}
    for code, meaning in {
        401: "not logged in, or with a token that is none",
        403: "Airflow gives no right, the login is not on the staff, or the request comes from another site",
        404: "there is no such ticket, or it is not yours to see",
        409: "forbidden now: the sentence says why; or the idempotency key was used for another request",
        413: "too long",
        415: "neither JSON nor a form",
        422: "a value cannot be used",
        429: "as often as a day allows: go on after Retry-After seconds",
        503: "busy, slow or away: nothing was changed, repeat it after Retry-After seconds",
    }.items()
}

router = APIRouter(prefix="/api/v1", responses=_PROBLEMS)
for _part in (tickets, actions, taking, calling, stopping):
    router.include_router(_part.router)


@router.get("/openapi.json", include_in_schema=False)
def openapi(viewer: Reader) -> dict[str, JsonValue]:
    """The description of this API, for whoever may use it."""
    return described()


def described() -> dict[str, JsonValue]:
    """The OpenAPI document; paths are relative to where the desk is mounted."""
    return get_openapi(
        title="Retention desk", version=VERSION, routes=router.routes, servers=[{"url": "/desk"}]
    )
