"""What Airflow mounts: a door that builds the desk behind it when somebody first comes in.

Every Airflow process loads every plugin; only the api-server ever needs FastAPI, templates and a pool.
"""

import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Desk:
    """An ASGI application that stands for `include.desk.app.build()`."""

    def __init__(self) -> None:
        self._built: Any = None
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._built is None:
            from starlette.concurrency import run_in_threadpool

            # building takes a second or two: task heartbeats go through this process too
            await run_in_threadpool(self._build)
        await self._built(scope, receive, send)

    def _build(self) -> None:
        with self._lock:
            if self._built is None:
                from include.desk.app import build_from_airflow

                self._built = build_from_airflow()
