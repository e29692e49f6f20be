"""Somebody else's server: it keeps what it is sent, and answers as a test wants it to."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.servers import serving

_PATIENCE_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request. Names of headers are in lower case."""

    at: float
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What to answer. hang: not at all. delay_s: before the head; pause_s: before each piece."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: tuple[bytes, ...] = (b"ok",)
    delay_s: float = 0.0
    pause_s: float = 0.0
    hang: bool = False


@dataclass(kw_only=True)
class Receiver:
    """A running server. `answer` may be changed at any time. busy: requests that are not answered yet."""

    url: str
    port: int
    answer: Callable[[Received], Answer] = lambda _: Answer()
    received: list[Received] = field(default_factory=list)
    busy: int = 0
    most_busy: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, count: int, *, timeout_s: float = _PATIENCE_S) -> list[Received]:
        """The first requests, once there are so many."""
        with self.changed:
            enough = self.changed.wait_for(lambda: len(self.received) >= count, timeout_s)
        assert enough, f"{len(self.received)} requests of {count} after {timeout_s} s"
        return self.received[:count]


@contextmanager
def receiver(host: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A server on a free port of this address."""
    made: Receiver

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            _take(made, self)

        def do_GET(self) -> None:
            _take(made, self)

        def log_message(self, *_: Any) -> None:
            """Tests read what was received, not a log."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: Any) -> None:
            """A client that went away is what some tests are about."""

    server = Server((host, 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    port = server.server_address[1]
    made = Receiver(url=f"{'https' if tls else 'http'}://{host}:{port}/hook", port=port)
    with serving(server):
        try:
            yield made
        finally:
            made.over.set()


def _take(made: Receiver, handler: BaseHTTPRequestHandler) -> None:
    body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
    headers = {name.lower(): value for name, value in handler.headers.items()}
    request = Received(at=time.time(), path=handler.path, headers=headers, body=body)
    with made.changed:
        made.received.append(request)
        made.busy += 1
        made.most_busy = max(made.most_busy, made.busy)
        made.changed.notify_all()
    answer = made.answer(request)
    made.over.wait(_PATIENCE_S if answer.hang else answer.delay_s)
    with made.changed:
        made.busy -= 1
    if answer.hang:
        handler.close_connection = True
    else:
        _write(made, handler, answer)


def _write(made: Receiver, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    handler.send_response(answer.status)
    for name, value in answer.headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(sum(map(len, answer.body))))
    handler.end_headers()
    for piece in answer.body:
        made.over.wait(answer.pause_s)
        handler.wfile.write(piece)
        handler.wfile.flush()
