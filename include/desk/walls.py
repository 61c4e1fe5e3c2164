"""What every request passes through: same origin and a form or JSON for writes, strict headers for answers.

Airflow guards its own API against foreign origins by tokens; it adds nothing to what a plugin mounts, and the
login cookie comes along with every request of a browser.
"""

from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

_SAFE = ("GET", "HEAD")
_BODIES = ("application/x-www-form-urlencoded", "application/json")
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


class Walls:
    """ASGI middleware around the whole desk."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = _refusal(scope["method"], Headers(scope=scope))
        if refused:
            await PlainTextResponse(refused, status_code=403)(scope, receive, _guarded(send, scope))
            return
        await self._app(scope, receive, _guarded(send, scope))


def _refusal(method: str, headers: Headers) -> str:
    """Why a write is not let in; empty when it is."""
    if method in _SAFE:
        return ""
    body = headers.get("content-type", "").partition(";")[0].strip().lower()
    if body not in _BODIES:
        return f"'{body}' is not accepted. Send a form or JSON."
    if headers.get("authorization", "").lower().startswith("bearer "):
        return ""  # a token no browser adds by itself: nobody else can make one send it
    origin = headers.get("origin") or headers.get("referer", "")
    if urlsplit(origin).netloc != headers.get("host"):
        return "The request comes from another site. Open the desk and repeat it there."
    return ""


def _guarded(send: Any, scope: Any) -> Any:
    is_static = "/static/" in scope["path"]

    async def guarded(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers["Cache-Control"] = "private, max-age=3600" if is_static else "no-store"
        await send(message)

    return guarded
