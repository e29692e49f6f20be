"""A proxy for Redis that loses the replies of some scripts: the script runs, and the connection breaks."""

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
class LossyRedis:
    """url: address of the proxy. lose: names of scripts; each entry loses one reply."""

    url: str = ""
    lose: list[str] = field(default_factory=list)


@contextmanager
def lossy_redis(settings: Settings, *names: str) -> Iterator[LossyRedis]:
    """A proxy for the Redis of the settings. names: the scripts whose replies `lose` may contain."""
    made, parts = LossyRedis(), urlsplit(settings.redis_url)
    address = (parts.hostname or HOST, parts.port or 6379)
    with connect(settings) as redis:
        # Loaded in advance: a server that does not know a script replies without running it.
        marks = {redis.script_load(scripts.source(name)).encode(): name for name in names}

    class Connection(BaseRequestHandler):
        def handle(self) -> None:
            # A client waits for each reply, so the next data is the reply to the last request.
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
