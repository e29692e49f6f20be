"""Where the API is for its callers: below a path of a proxy, or at a public URL. Every link that it gives begins there.

A proxy says so by X-Forwarded-Prefix, -Host and -Proto. Anybody can send these headers, so only those of a trusted
proxy count. nginx and Caddy set or pass on one value each; of several the last one is from the nearest proxy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextvars import ContextVar
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.addresses import Network

_PREFIX = re.compile(r"(/[\w.~%-]+)+")
_HOST = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")
_base: ContextVar[str] = ContextVar("base", default="")


def link_to(path: str) -> str:
    """A path of this API as the caller of this request reaches it."""
    return _base.get() + path


class Proxies:
    """Finds out where the API is for the caller of each request.

    public_url: where it is for everybody; empty: as trusted proxies say. networks: those of trusted proxies.
    """

    def __init__(self, app: ASGIApp, *, public_url: str, networks: Sequence[Network]) -> None:
        self._app = app
        self._public_url = public_url.rstrip("/")
        self._networks = networks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] == "http":
            _base.set(self._public_url or (forwarded_base(Headers(scope=scope)) if self._trusts(scope) else ""))
        await self._app(scope, receive, send)

    def _trusts(self, scope: Scope) -> bool:
        peer = scope.get("client")
        if peer is None or not self._networks:
            return False
        try:
            address = ip_address(peer[0])
        except ValueError:
            return False
        return any(address in network for network in self._networks)


def forwarded_base(headers: Headers) -> str:
    """What the headers of a proxy say: `https://host/prefix`, or only the prefix. What makes no address is left out."""
    prefix = _last(headers, "x-forwarded-prefix").rstrip("/")
    host, proto = _last(headers, "x-forwarded-host"), _last(headers, "x-forwarded-proto").lower()
    prefix = prefix if _PREFIX.fullmatch(prefix) else ""
    return f"{proto}://{host}{prefix}" if proto in {"http", "https"} and _HOST.fullmatch(host) else prefix


def _last(headers: Headers, name: str) -> str:
    return headers.get(name, "").rpartition(",")[2].strip()
