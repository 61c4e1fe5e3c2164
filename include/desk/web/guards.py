"""What every request passes through: same origin, a short and readable form or JSON for writes, strict headers.

Airflow guards its own API against foreign origins by tokens; it adds nothing to what a plugin mounts, and the
login cookie comes along with every request of a browser.
"""

import logging
import secrets
import traceback
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request

from include.desk.web.errors import Failure, answer

log = logging.getLogger(__name__)

#: The longest body a request may have, in bytes: a dozen times the longest honest form.
LONGEST_BODY = 64 * 1024
_SAFE = ("GET", "HEAD")
_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
        "base-uri 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}

_TOO_LONG = Failure(413, "too_long")
#: Not text in UTF-8, or with a NUL character, which no database column can keep.
_UNREADABLE = Failure(422, "unreadable")
_CONTENT_TYPE = Failure(415, "content_type")
_FOREIGN = Failure(403, "foreign_origin")


class Walls:
    """ASGI middleware around the whole desk."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        outside = _Guarded(send, scope)
        if scope["method"] == "HEAD":
            scope = scope | {"method": "GET"}
        try:
            await self._enter(scope, receive, outside)
        except Exception as error:  # noqa: BLE001 - whatever it is, a person gets a number to tell
            reference = _note(error, scope)
            if outside.has_begun:
                raise ConnectionAbortedError(f"The answer broke off, see {reference}.") from None
            await answer(Request(scope), Failure(500, "broken", values={"reference": reference}))(
                scope, receive, outside
            )

    async def _enter(self, scope: Any, receive: Any, send: Any) -> None:
        headers = Headers(scope=scope)
        refused = _refusal(scope, headers)
        if refused is None and scope["method"] not in _SAFE:
            body = await _read(receive, headers)
            refused = _refusal_of_body(body, _kind_of_body(headers))
            receive = _replayed(body or b"", receive)
        if refused is None:
            await self._app(scope, receive, send)
            return
        await answer(Request(scope), refused)(scope, receive, send)


def _refusal(scope: Any, headers: Headers) -> Failure | None:
    """Why a request is not let in, as far as its head tells."""
    if not _is_text(unquote_to_bytes(scope.get("query_string", b""))) or "\0" in scope["path"]:
        return _UNREADABLE
    if scope["method"] in _SAFE:
        return None
    has_token = headers.get("authorization", "").lower().startswith("bearer ")
    if _kind_of_body(headers) not in (_FORM, _JSON) and not (has_token and _has_no_body(headers)):
        return _CONTENT_TYPE
    if has_token:
        return None  # a token no browser adds by itself: nobody else can make one send it
    origin = headers.get("origin") or headers.get("referer", "")
    return None if _is_same(origin, headers.get("host", "")) else _FOREIGN


def _is_same(origin: str, host: str) -> bool:
    try:
        return bool(host) and urlsplit(origin).netloc == host
    except ValueError:  # not an address at all
        return False


def _has_no_body(headers: Headers) -> bool:
    """A program's request that takes no body comes without a content type, too."""
    is_empty = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
    return is_empty and not _kind_of_body(headers)


def _kind_of_body(headers: Headers) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


async def _read(receive: Any, headers: Headers) -> bytes | None:
    """The whole body; None when it is longer than allowed, whatever its length claims to be."""
    claimed = headers.get("content-length", "0")
    if not claimed.isdecimal() or int(claimed) > LONGEST_BODY:
        return None
    pieces, length, is_more = [], 0, True
    while is_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        pieces.append(message.get("body", b""))
        length += len(pieces[-1])
        is_more = message.get("more_body", False)
        if length > LONGEST_BODY:
            return None
    return b"".join(pieces)


def _refusal_of_body(body: bytes | None, kind: str) -> Failure | None:
    if body is None:
        return _TOO_LONG
    read = unquote_to_bytes(body) if kind == _FORM else body
    return None if _is_text(read) else _UNREADABLE


def _is_text(given: bytes) -> bool:
    try:
        return "\0" not in given.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _replayed(body: bytes, receive: Any) -> Any:
    """A `receive` that gives a body already read once more, then whatever comes after it."""
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Any:
        return pending.pop() if pending else await receive()

    return replayed


class _Guarded:
    """A `send` that adds the headers of every answer, and leaves out the body when only the head was asked for."""

    def __init__(self, send: Any, scope: Any) -> None:
        self._send, self._is_head = send, scope["method"] == "HEAD"
        self._keep = "private, max-age=3600" if "/static/" in scope["path"] else "no-store"
        self.has_begun = False

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)  # a chart comes with a stricter policy of its own
            headers["Cache-Control"] = self._keep
        elif self._is_head:
            message = message | {"body": b""}
        await self._send(message)


def _note(error: Exception, scope: Any) -> str:
    """Log where it happened and what kind of error, under a number; its message may quote a person's data."""
    reference = secrets.token_hex(4)
    where = "".join(traceback.format_tb(error.__traceback__))
    route = getattr(scope.get("route"), "path", "an unknown address")
    log.error("%s: %s at %s %s\n%s", reference, type(error).__name__, scope["method"], route, where)
    return reference
