"""A way to Redis on which the answers to some scripts get lost: they run, and whoever asked for them never hears."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from socketserver import BaseRequestHandler, ThreadingTCPServer
from urllib.parse import urlsplit

from compose.servers import HOST
from shared.settings import Settings
from shared.store import scripts
from shared.store.connection import connect
from tests.support.servers import serving

_READ_BYTES = 65_536


@dataclass(kw_only=True)
class Lossy:
    """url: where the way begins. lose: names of scripts whose next answers are to get lost, once for each mention."""

    url: str = ""
    lose: list[str] = field(default_factory=list)


@contextmanager
def lossy_redis(settings: Settings, *names: str) -> Iterator[Lossy]:
    """Leads to the Redis of the settings until the context ends; answers to the scripts of these names may be lost."""
    made, parts = Lossy(), urlsplit(settings.redis_url)
    address = (parts.hostname or HOST, parts.port or 6379)
    with connect(settings) as redis:
        # A server that does not know a script yet answers without running it.
        marks = {redis.script_load(scripts.source(name)).encode(): name for name in names}

    class Connection(BaseRequestHandler):
        def handle(self) -> None:
            # Whoever asks waits for the answer, so what comes next is the answer to what went last.
            asked: list[str] = []
            near: socket.socket = self.request
            with socket.create_connection(address) as far:
                forth = threading.Thread(target=self._forth, args=(near, far, asked), daemon=True)
                forth.start()
                with suppress(OSError):
                    while data := far.recv(_READ_BYTES):
                        if asked and asked[0] in made.lose:
                            made.lose.remove(asked[0])
                            break
                        near.sendall(data)
                _shut(near)
                forth.join()

        def _forth(self, near: socket.socket, far: socket.socket, asked: list[str]) -> None:
            with suppress(OSError):
                while data := near.recv(_READ_BYTES):
                    asked[:] = [name for mark, name in marks.items() if mark in data]
                    far.sendall(data)
            _shut(far)

    server = ThreadingTCPServer((HOST, 0), Connection)
    server.daemon_threads = True
    made.url = f"redis://{HOST}:{server.server_address[1]}/0"
    with serving(server):
        yield made


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
