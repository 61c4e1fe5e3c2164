"""Answers to what cannot be done: a sentence a person can act on, as a page or as JSON."""

from fastapi import Request, Response

from include.desk.rendering import page, wants_json
from include.domain.errors import BadInput, LoopError, Refused


class Denied(Exception):
    """Airflow does not let this user do that."""


class UnknownLogin(Exception):
    """Logged in to Airflow, but not on the staff."""


_STATUS = ((Refused, 409), (BadInput, 422), (LoopError, 503))


def answer_denied(request: Request, error: Exception) -> Response:
    """403 with what is missing."""
    return _answer(request, 403, "denied", str(error))


def answer_unknown_login(request: Request, error: Exception) -> Response:
    """403 that says whom to ask."""
    return _answer(request, 403, "unknown_login", f"'{error}'")


def answer_error(request: Request, error: Exception) -> Response:
    """A refusal or wrong input, in its own sentence."""
    status = next(code for kind, code in _STATUS if isinstance(error, kind))
    return _answer(request, status, "refused", str(error))


def _answer(request: Request, status: int, kind: str, message: str) -> Response:
    if wants_json(request):
        from fastapi.responses import JSONResponse

        return JSONResponse({"error": {"kind": kind, "message": message}}, status_code=status)
    return page(request, "error.html", status=status, kind=kind, message=message)
