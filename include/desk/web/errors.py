"""Answers to what cannot be done: a sentence a person can act on, as a page or as JSON.

Every error of the JSON API looks the same: {"error": {"kind", "code", "message", "values", "details"}}.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any, TypedDict
from urllib.parse import quote

import sqlalchemy as sa
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException

from include.desk.web.refusals import as_values, tell
from include.desk.web.rendering import language_of, page, wants_json
from include.domain.errors import BadInput, LoopError, Refused, TooMany
from include.domain.periods.months import ZONE
from include.words import catalogue, words_in

log = logging.getLogger(__name__)


class Denied(LoopError):
    """Airflow does not let this user do that."""


class UnknownLogin(Exception):
    """Logged in to Airflow, but not on the staff."""


class NotFound(Exception):
    """Does not exist, or is not theirs to see: nobody is told which."""


class KeyReused(Exception):
    """An idempotency key came back with another request."""


#: Status and kind of what the desk and the ticket functions raise.
_RAISED: tuple[tuple[type[Exception], int, str], ...] = (
    (Denied, 403, "denied"),
    (UnknownLogin, 403, "unknown_login"),
    (NotFound, 404, "not_found"),
    (KeyReused, 409, "key_reused"),
    (TooMany, 429, "too_many"),
    (Refused, 409, "refused"),
    (BadInput, 422, "bad_input"),
    (LoopError, 503, "not_ready"),
)
_STATUS = {404: "not_found", 405: "not_allowed", 429: "too_many"}
#: What PostgreSQL's codes mean to a person.
_STATES = {
    "57014": (503, "slow"),
    "55P03": (503, "busy"),
    "40P01": (503, "busy"),
    "40001": (503, "busy"),
    "53300": (503, "busy"),
    "23000": (409, "conflict"),
    "23505": (409, "conflict"),
    "23503": (422, "impossible"),
    "23514": (422, "impossible"),
}


class Detail(TypedDict):
    """Where a value of the wrong shape stands, and what is wrong there."""

    at: str
    problem: str


@dataclass(frozen=True)
class Failure:
    """What went wrong: the status and kind of the answer, and what is said of it.

    Without a `message` its words are those of the catalogue, filled with `values`. For programs the `error` adds its
    code and the values it is about, and `details` which values had the wrong shape.
    """

    status: int
    kind: str
    message: str = ""
    error: Exception | None = None
    details: Sequence[Detail] = ()
    values: Mapping[str, str] = field(default_factory=dict)


def answer(request: Request, failure: Failure) -> Response:
    """The answer to what went wrong, as a page or as JSON."""
    status, kind, error = failure.status, failure.kind, failure.error
    if wants_json(request):
        said = failure.message or words_in(language_of(request))(f"errors.{kind}", **failure.values)
        body = {
            "kind": kind,
            "code": getattr(error, "code", "") or kind,
            "message": said,
            "values": as_values(error) if error else {},
            "details": list(failure.details),
        }
        return JSONResponse({"error": body}, status_code=status, headers=headers_of(request, status))
    made = page(
        request, "error.html", status=status, kind=kind, message=failure.message, values=failure.values
    )
    made.headers.update(headers_of(request, status))
    return made


def headers_of(request: Request, status: int) -> Mapping[str, str]:
    """What an answer of that status tells programs beside its text: when to ask again, or how to log in."""
    if status == 503:
        return {"Retry-After": "5"}
    if status == 429:  # what a day allows is counted by the days of Shanghai
        now = request.app.state.clock().astimezone(ZONE)
        tomorrow = datetime.combine(now.date() + timedelta(days=1), time(), ZONE)
        return {"Retry-After": str(math.ceil((tomorrow - now).total_seconds()))}
    return {"WWW-Authenticate": "Bearer"} if status == 401 else {}


def status_of(error: Exception) -> int:
    """The status of the answer to what was raised."""
    return next(status for known, status, _ in _RAISED if isinstance(error, known))


def answer_raised(request: Request, error: Exception) -> Response:
    """What the desk or a ticket function refused, in its own sentence."""
    status, kind = next((status, kind) for known, status, kind in _RAISED if isinstance(error, known))
    has_own_words = not isinstance(error, NotFound | UnknownLogin | KeyReused)
    message = tell(error, language_of(request), request.app.state.config) if has_own_words else ""
    return answer(request, Failure(status, kind, message, error))


def answer_http(request: Request, error: Exception) -> Response:
    """What Airflow's login or the routing says: nobody logged in, no such page, no such method."""
    status: int = getattr(error, "status_code", 500)
    if status in (401, 403):  # 403 is Airflow's answer to a token that is none
        return _answer_login(request)
    if status == 400:
        return answer(request, Failure(422, "unreadable"))
    return answer(request, Failure(status, _STATUS.get(status, "not_allowed")))


def _answer_login(request: Request) -> Response:
    """To Airflow's login and back; a form sent without login tells so, for its page may still hold what was typed."""
    if wants_json(request):
        return answer(request, Failure(401, "not_logged_in"))
    if request.method == "GET":
        return RedirectResponse(login_address(request), status_code=303)
    return answer(request, Failure(401, "logged_out"))


def login_address(request: Request) -> str:
    """Airflow's login, which comes back to the page that was asked for."""
    from airflow.api_fastapi.app import API_ROOT_PATH

    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"{API_ROOT_PATH}api/v2/auth/login?next={quote(asked, safe='')}"


def answer_invalid(request: Request, error: Any) -> Response:
    """Values of the wrong shape: where, and what is wrong there, without quoting what was sent."""
    language = language_of(request)
    found: list[Detail] = [
        {"at": ".".join(map(str, each["loc"])), "problem": _misshapen(each, language)}
        for each in error.errors()
    ]
    message = "; ".join(f"'{each['at']}': {each['problem']}" for each in found)
    return answer(request, Failure(422, "bad_input", message, details=found))


def _misshapen(found: Mapping[str, Any], language: str) -> str:
    """What is wrong with the shape of a value, by pydantic's word for it."""
    known = catalogue(language)
    template = known.get(f"shapes.{found['type']}") or known["shapes.other"]
    return template.format(**found.get("ctx", {}))


def answer_database(request: Request, error: Exception) -> Response:
    """A database that is slow, busy or away, or that refuses a value; anything else is a mistake of ours."""
    if isinstance(error, sa.exc.TimeoutError):
        return answer(request, Failure(503, "busy"))
    state = str(getattr(getattr(error, "orig", None), "pgcode", None) or "")
    status, kind = _STATES.get(state, (0, ""))
    if state.startswith("22"):
        status, kind = 422, "impossible"
    elif not kind and isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError):
        status, kind = 503, "down"
    if not kind:
        raise error
    log.warning("The database answered %s: %s", state or type(error).__name__, kind)
    return answer(request, Failure(status, kind))


def add_to(app: Any) -> None:
    """Let an application answer every error of the desk."""
    for known, _, _ in _RAISED:
        app.add_exception_handler(known, answer_raised)
    app.add_exception_handler(HTTPException, answer_http)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_exception_handler(sa.exc.SQLAlchemyError, answer_database)
