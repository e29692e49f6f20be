"""How both clients connect."""

from __future__ import annotations

from typing import Any

import httpx

from api.client.calls import Call
from shared.errors import RequestError

URL = "http://127.0.0.1:8000"
TRIES = 6
_CONNECT_S = 10.0


def options(url: str, key: str | None) -> dict[str, Any]:
    """Options of an httpx client. Raises RequestError for an address that is none."""
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        message = f"{url!r} is no address: {error}"
        raise RequestError(message) from error
    if address.scheme not in {"http", "https"} or not address.host:
        message = f"{url!r} is no address of a Troupe: it begins with http:// or https:// and a host"
        raise RequestError(message)
    headers = {"User-Agent": "troupe-client", "Accept": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    return {"base_url": address, "headers": headers, "limits": httpx.Limits(max_connections=100)}


def request_options(call: Call) -> dict[str, Any]:
    """Options of one request of an httpx client."""
    return {
        # An empty mapping would take a signed address its signature.
        "params": dict(call.params) or None,
        "headers": dict(call.headers),
        "json": call.json,
        "content": call.content,
        "data": dict(call.fields) or None,
        "files": {name: (name, data) for name, data in call.files.items()} or None,
        "timeout": httpx.Timeout(call.timeout_s, connect=_CONNECT_S),
        "follow_redirects": call.follow,
    }
