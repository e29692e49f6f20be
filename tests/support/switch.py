"""A TCP switch before servers: it leads where it is told, cuts what runs through it, or goes silent."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from socketserver import BaseRequestHandler, ThreadingTCPServer

from compose.servers import HOST
from tests.support.servers import serving

_READ_BYTES = 65_536
# Closing then resets the connection instead of ending it in order.
_RESET = struct.pack("ii", 1, 0)


@dataclass(kw_only=True)
class Switch:
    """port: where it listens. target: port that new connections lead to; those that are open stay where they are.

    silent: bytes are taken and not passed on, as by a host that lost its power.
    """

    target: int
    port: int = 0
    silent: bool = False
    _near: set[socket.socket] = field(default_factory=set)
    _broken: set[socket.socket] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Its address as that of a Redis server."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def open(self) -> int:
        """How many connections run through it."""
        return len(self._near)

    def reset(self) -> None:
        """Resets all connections that are open."""
        for near in list(self._near):
            with suppress(OSError):
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                # Wakes the thread that reads, which closes it: while somebody reads, closing sends nothing.
                self._broken.add(near)
                near.shutdown(socket.SHUT_RD)


@contextmanager
def tcp_switch(target: int) -> Iterator[Switch]:
    """A switch that leads to this port of this host."""
    made = Switch(target=target)

    class Connection(BaseRequestHandler):
        def handle(self) -> None:
            near: socket.socket = self.request
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made._near.add(near)
            try:
                with socket.create_connection((HOST, made.target)) as far:
                    back = threading.Thread(target=_pass_on, args=(made, far, near), daemon=True)
                    back.start()
                    _pass_on(made, near, far)
                    if near in made._broken:
                        near.close()
                    back.join()
            except OSError:
                pass
            finally:
                made._near.discard(near)
                made._broken.discard(near)

    class Server(ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    server = Server((HOST, 0), Connection)
    made.port = server.server_address[1]
    with serving(server):
        yield made


def _pass_on(switch: Switch, source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_READ_BYTES):
            if not switch.silent:
                to.sendall(data)
    for end in (source, to):
        if end not in switch._broken:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
