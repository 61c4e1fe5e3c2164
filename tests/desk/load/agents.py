"""Simulated agents at a desk: a browser's requests over HTTP, one connection each, with time to think between."""

import asyncio
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from tests.desk.filling import number_of

_VERSION = re.compile(r'name="version" value="(\d+)"')
_PATIENCE = 60


class Connection:
    """One HTTP/1.1 connection that is kept: cheap, so that the one who measures is not the bottleneck."""

    def __init__(self, host: str, port: int, headers: Mapping[str, str]) -> None:
        self._at, self._streams = (host, port), None
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in headers.items())

    async def send(
        self, method: str, path: str, body: bytes = b"", kind: str = ""
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers (names in lower case) and text of the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._at)
        reader, writer = self._streams
        about = f"content-type: {kind}\r\ncontent-length: {len(body)}\r\n" if kind else ""
        head = f"{method} {path} HTTP/1.1\r\nhost: {self._at[0]}:{self._at[1]}\r\n{self._headers}{about}\r\n"
        writer.write(head.encode() + body)
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
        }
        text = await self._body(reader, headers)
        if headers.get("connection") == "close":
            self.close()
        return int(first.split()[1]), headers, text.decode()

    async def _body(self, reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return await reader.readexactly(int(headers.get("content-length", 0)))
        pieces = []
        while size := int(await reader.readline(), 16):
            pieces.append(await reader.readexactly(size))
            await reader.readline()
        await reader.readline()
        return b"".join(pieces)

    def close(self) -> None:
        """The next request opens a new one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@dataclass(frozen=True)
class Done:
    """One request: what it was for, when it began (monotonic seconds), how long it took, how it was answered."""

    what: str
    began: float
    seconds: float
    status: int
    told: str = ""


@dataclass
class Agent:
    """Somebody who works one ticket after the other until `until` (monotonic seconds)."""

    connection: Connection
    think: float
    until: float
    tickets: int
    random: random.Random
    done: list[Done] = field(default_factory=list)

    async def work(self) -> None:
        """Queue, next ticket, contact, close, and a search: again and again."""
        await asyncio.sleep(self.random.random() * self.think * 2)
        rounds = 0
        while time.monotonic() < self.until:
            await self._ask("queue", "GET", "/desk/?view=mine")
            await self._think()
            await self._work_next()
            await self._search(("subscriber", "last 4 digits", "full number")[rounds % 3])
            await self._think()
            rounds += 1
        self.connection.close()

    async def _work_next(self) -> None:
        at = await self._ask("next ticket", "POST", "/desk/next")
        if "/tickets/" not in at:
            return
        page = await self._ask("ticket", "GET", at)
        for what, fields in (
            ("contact", {"channel": "call", "result": "reached"}),
            ("close", {"outcome": "no_intention/satisfied", "satisfaction": "8"}),
        ):
            await self._think()
            found = _VERSION.search(page)
            if found is None:
                return
            await self._ask(what, "POST", f"{at}/{what}", version=found[1], **fields)
            page = await self._ask("ticket", "GET", at)
        await self._think()

    async def _search(self, by: str) -> None:
        ticket = self.random.randint(1, self.tickets)
        number = number_of(ticket)
        subscriber = f"S{1 + (ticket - 1) % (self.tickets * 7 // 10):08d}"
        words = {"subscriber": subscriber, "last 4 digits": number[-4:], "full number": number}[by]
        await self._ask(f"search: {by}", "POST", "/desk/search", q=words)

    async def _think(self) -> None:
        await asyncio.sleep(self.think * self.random.uniform(0.5, 1.5))

    async def _ask(self, what: str, method: str, path: str, **fields: str) -> str:
        """The page of an answer, or where it sends the browser."""
        kind = "application/x-www-form-urlencoded" if method == "POST" else ""
        began = time.monotonic()
        status, told, text = 0, "", ""
        try:
            sent = self.connection.send(method, path, urlencode(fields).encode(), kind)
            status, headers, text = await asyncio.wait_for(sent, _PATIENCE)
            told = headers.get("location", "")
        except (OSError, EOFError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.connection.close()
            text = repr(error)
        is_right = status in (200, 303)
        seconds = time.monotonic() - began
        self.done.append(Done(what, began, seconds, status, "" if is_right else f"{path}: {text[:300]}"))
        return told or text
