"""A SOCKS5 proxy (RFC 1928) that leads every host to one server, and notes which hosts were asked for."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import StreamRequestHandler, ThreadingTCPServer

from compose.servers import HOST

_GRANTED = b"\x05\x00\x00\x01" + bytes(6)


@contextmanager
def socks_proxy(port: int) -> Iterator[tuple[str, list[str]]]:
    """The proxy's address, and the hosts so far. port: of the server, on this machine."""
    hosts: list[str] = []

    class Connection(StreamRequestHandler):
        def handle(self) -> None:
            self.rfile.read(self.rfile.read(2)[1])
            self.wfile.write(b"\x05\x00")
            assert self.rfile.read(4)[3] == 3, "only names are understood"
            hosts.append(self.rfile.read(self.rfile.read(1)[0]).decode())
            self.rfile.read(2)
            with socket.create_connection((HOST, port)) as server:
                self.wfile.write(_GRANTED)
                threading.Thread(target=self.answer, args=(server,), daemon=True).start()
                while data := self.connection.recv(65_536):
                    server.sendall(data)

        def answer(self, server: socket.socket) -> None:
            while data := server.recv(65_536):
                self.wfile.write(data)

    class Server(ThreadingTCPServer):
        daemon_threads = True
        # Connections that the client keeps open must not hold up the end of a test.
        block_on_close = False

    with Server((HOST, 0), Connection) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"socks5://{HOST}:{proxy.server_address[1]}", hosts
        proxy.shutdown()
