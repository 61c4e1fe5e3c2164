"""A real mail server and a real HTTP server on this machine, both of the standard library."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class MailServer(socketserver.ThreadingTCPServer):
    """Speaks enough SMTP to take a mail; `refuse` answers 451 to every recipient."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, *, refuse: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.refuse = refuse
        self.mails: list[bytes] = []


class _Conversation(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self._say("220 here")
        for line in self.rfile:
            word = line.strip().upper()[:4]
            if word == b"DATA":
                self._say("354 go on")
                self._take()
            elif word == b"RCPT" and self.server.refuse:
                self._say("451 not now")
            elif word == b"QUIT":
                return self._say("221 bye")
            else:
                self._say("250 fine")
        return None

    def _take(self) -> None:
        body = b""
        for line in self.rfile:
            if line == b".\r\n":
                break
            body += line
        self.server.mails.append(body)
        self._say("250 taken")

    def _say(self, words: str) -> None:
        self.wfile.write(f"{words}\r\n".encode())


class Webhook(ThreadingHTTPServer):
    """Keeps what is posted and answers with `status` and `answer`."""

    daemon_threads = True

    def __init__(self, status: int = 200, answer: Any = None) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.status, self.answer = status, answer
        self.posts: list[tuple[str, dict[str, str], Any]] = []


class _Post(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.posts.append((self.path, dict(self.headers), json.loads(self.rfile.read(length))))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(json.dumps(self.server.answer).encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Quiet."""


@contextmanager
def running(server: socketserver.BaseServer) -> Iterator[int]:
    """The server at work; its port."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]  # type: ignore[index]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
