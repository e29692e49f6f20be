"""An S3 server in memory that lacks what some servers lack, and breaks off where a connection may break.

It knows the operations that Troupe uses and verifies no signature; the server of the session does that. Like servers
from before 2025 it does not know checksums behind the bytes: it stores the frame with them.
"""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from compose.servers import HOST
from shared.settings import Settings
from tests.support.authority import certified
from tests.support.servers import ACCESS_KEY, SECRET_KEY, serving

# Hosts of buckets below this name are found where a test says so.
DOMAIN = "s3.test"
_XML = '<?xml version="1.0" encoding="UTF-8"?>'


@dataclass(kw_only=True)
class Quirks:
    """What the server does not do as S3 does. Tests change it while the server runs.

    conditional: what becomes of If-None-Match. delete_many: what becomes of DeleteObjects. region: the bucket is only
    made with this LocationConstraint. token: only requests with this session token are served. virtual: the bucket is
    in the name of the host, nowhere else. refused: HTTP methods that are answered with this status and code. cut:
    methods whose answers break off in the middle of the body, once for each mention. signed: whether signed addresses
    are served.
    """

    conditional: Literal["kept", "passed over", "unknown"] = "kept"
    delete_many: Literal["done", "unknown", "with Content-MD5", "half"] = "done"
    region: str = ""
    token: str = ""
    virtual: bool = False
    refused: dict[str, tuple[int, str]] = field(default_factory=dict)
    cut: list[str] = field(default_factory=list)
    signed: bool = True


@dataclass(frozen=True, kw_only=True)
class StoredBlob:
    """A blob as the server keeps it."""

    data: bytes
    at: datetime
    metadata: dict[str, str]


@dataclass(kw_only=True)
class S3StandIn:
    """The server. blobs: by key, in a bucket that must be made first; asked: methods and paths, in their order."""

    url: str = ""
    ca_file: str = ""
    quirks: Quirks = field(default_factory=Quirks)
    buckets: set[str] = field(default_factory=set)
    blobs: dict[str, StoredBlob] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def settings(self, **more: object) -> Settings:
        """Settings for this server."""
        own = {"s3_endpoint_url": self.url, "s3_bucket": "bucket", "s3_ca_file": self.ca_file}
        return Settings.model_validate({**own, "s3_access_key": ACCESS_KEY, "s3_secret_key": SECRET_KEY, **more})


@contextmanager
def s3_stand_in(folder: Path | None = None, **quirks: Any) -> Iterator[S3StandIn]:
    """Serves until the context ends. folder: for the certificates of a server over TLS; without, it has none."""
    made = S3StandIn(quirks=Quirks(**quirks))

    class Handler(_Handler):
        stand_in = made

    server = ThreadingHTTPServer((HOST, 0), Handler)
    server.daemon_threads = True
    made.url = f"http://{HOST}:{server.server_port}"
    with ExitStack() as stack:
        if folder is not None:
            authority, pair = certified(folder, HOST, DOMAIN, f"*.{DOMAIN}")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pair)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            made.url, made.ca_file = f"https://{HOST}:{server.server_port}", str(authority)
        stack.enter_context(serving(server))
        yield made


class _Refused(Exception):
    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


class _Handler(BaseHTTPRequestHandler):
    stand_in: S3StandIn
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, ssl.SSLError):
            self.close_connection = True

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_PUT = do_DELETE = do_POST = do_GET  # noqa: N815 - names of http.server

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            with self.stand_in.lock:
                status, headers, answer = self._answer(body)
        except _Refused as refused:
            words = f"{_XML}<Error><Code>{refused.code}</Code><Message>quirk</Message></Error>"
            status, headers, answer = refused.status, {}, words.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command == "HEAD" or status == 204:
            return
        if self.command in self.stand_in.quirks.cut:
            self.stand_in.quirks.cut.remove(self.command)
            self.wfile.write(answer[: len(answer) // 2])
            self.close_connection = True
            return
        self.wfile.write(answer)

    def _place(self) -> tuple[str, str, dict[str, list[str]]]:
        """Bucket, key and query."""
        parts = urlsplit(self.path)
        path, host = unquote(parts.path).lstrip("/"), self.headers.get("Host", "").partition(":")[0]
        if host.endswith(f".{DOMAIN}"):
            bucket, key = host.removesuffix(f".{DOMAIN}"), path
        elif self.stand_in.quirks.virtual:
            raise _Refused(400, "InvalidRequest")
        else:
            bucket, _, key = path.partition("/")
        return bucket, key, parse_qs(parts.query, keep_blank_values=True)

    def _answer(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        made, quirks = self.stand_in, self.stand_in.quirks
        bucket, key, query = self._place()
        made.asked.append(f"{self.command} {key}")
        if quirks.token not in {"", self.headers.get("x-amz-security-token"), *query.get("X-Amz-Security-Token", ())}:
            raise _Refused(403, "InvalidAccessKeyId")
        if self.command in quirks.refused:
            raise _Refused(*quirks.refused[self.command])
        if "X-Amz-Signature" in query and not quirks.signed:
            raise _Refused(403, "SignatureDoesNotMatch")
        if not key and self.command == "PUT":
            return self._make(bucket, body)
        if bucket not in made.buckets:
            raise _Refused(404, "NoSuchBucket")
        if not key:
            return self._of_bucket(query, body)
        return self._of_blob(key, body)

    def _make(self, bucket: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        region = self.stand_in.quirks.region
        if region and f"<LocationConstraint>{region}</LocationConstraint>".encode() not in body:
            raise _Refused(400, "IllegalLocationConstraintException")
        if not region and b"LocationConstraint" in body:
            raise _Refused(400, "InvalidLocationConstraint")
        self.stand_in.buckets.add(bucket)
        return 200, {}, b""

    def _of_bucket(self, query: dict[str, list[str]], body: bytes) -> tuple[int, dict[str, str], bytes]:
        made = self.stand_in
        if self.command == "HEAD":
            return 200, {}, b""
        if self.command == "POST" and "delete" in query:
            return self._delete_many(body)
        prefix = query.get("prefix", [""])[0]
        rows = [
            f"<Contents><Key>{key}</Key><LastModified>{blob.at:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
            f"<Size>{len(blob.data)}</Size></Contents>"
            for key, blob in sorted(made.blobs.items())
            if key.startswith(prefix)
        ]
        head = "<IsTruncated>false</IsTruncated>"
        return 200, {}, f"{_XML}<ListBucketResult>{head}{''.join(rows)}</ListBucketResult>".encode()

    def _delete_many(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        kind = self.stand_in.quirks.delete_many
        if kind == "unknown":
            raise _Refused(501, "NotImplemented")
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        if kind == "with Content-MD5" and self.headers.get("Content-MD5") != digest:
            raise _Refused(400, "MissingContentMD5")
        keys = re.findall(r"<Key>(.*?)</Key>", body.decode())
        kept = keys[::2] if kind == "half" else []
        for key in keys:
            if key not in kept:
                self.stand_in.blobs.pop(key, None)
        errors = [f"<Error><Key>{key}</Key><Code>InternalError</Code><Message>no</Message></Error>" for key in kept]
        return 200, {}, f"{_XML}<DeleteResult>{''.join(errors)}</DeleteResult>".encode()

    def _of_blob(self, key: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        made = self.stand_in
        blob = made.blobs.get(key)
        if self.command == "PUT":
            if "If-None-Match" in self.headers and made.quirks.conditional != "passed over":
                if made.quirks.conditional == "unknown":
                    raise _Refused(501, "NotImplemented")
                if blob is not None:
                    raise _Refused(412, "PreconditionFailed")
            names = [name.lower() for name in self.headers if name.lower().startswith("x-amz-meta-")]
            metadata = {name: self.headers[name] for name in names}
            made.blobs[key] = StoredBlob(data=body, at=datetime.now(UTC), metadata=metadata)
            return 200, {"ETag": '"quirk"'}, b""
        if self.command == "DELETE":
            made.blobs.pop(key, None)
            return 204, {}, b""
        if blob is None:
            raise _Refused(404, "NoSuchKey")
        return 200, blob.metadata, blob.data
