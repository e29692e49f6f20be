"""A local model hub: the part of the protocol that downloads use, with faults on request."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.servers import serving

COMMIT = "c0ffee" * 6 + "c0ff"


@dataclass
class ModelHub:
    """files: content by path. cut: paths whose next response ends after this number of bytes; later requests fail.

    ranges: the Range header of each path; asked: number of requests.
    """

    files: dict[str, bytes]
    url: str = ""
    cut: dict[str, int] = field(default_factory=dict)
    down: bool = False
    ranges: dict[str, str] = field(default_factory=dict)
    asked: int = 0


@contextmanager
def model_hub(files: dict[str, bytes]) -> Iterator[ModelHub]:
    """Serves the files until the context ends."""
    served = ModelHub(files=files)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, *, body: bool) -> None:
            served.asked += 1
            content = None if served.down else served.files.get(self.path)
            if content is None:
                self.send_response(503 if served.down else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = 0
            if "Range" in self.headers:
                served.ranges[self.path] = self.headers["Range"]
                start = int(self.headers["Range"].removeprefix("bytes=").split("-")[0])
            self.send_response(206 if start else 200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("Content-Length", str(len(content) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if not body:
                return
            end = served.cut.pop(self.path, None)
            self.wfile.write(content[start:end])
            if end is not None:
                served.down = True
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    with serving(server):
        yield served
