"""How both clients connect: address, key, proxies."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TypedDict
from urllib.request import getproxies

import httpx

from api.client.calls import Call
from shared.errors import RequestError
from shared.version import VERSION

URL = "http://127.0.0.1:8000"
TRIES = 6
_CONNECT_S = 10.0
_DIRECT = ("all://127.0.0.1", "all://localhost", "all://*.localhost", "all://[::1]")


class HttpOptions(TypedDict):
    """Options of an httpx client."""

    base_url: httpx.URL
    headers: dict[str, str]
    limits: httpx.Limits
    trust_env: bool


class RequestOptions(TypedDict):
    """Options of one request of an httpx client."""

    params: dict[str, str] | None
    headers: dict[str, str]
    json: object
    content: bytes | None
    data: dict[str, str] | None
    files: dict[str, tuple[str, bytes]] | None
    timeout: httpx.Timeout
    follow_redirects: bool


def http_options(url: str, key: str | None) -> HttpOptions:
    """Options of an httpx client for this server. Raises RequestError for an invalid address or an unusable proxy."""
    address = _address(url)
    headers = {"User-Agent": f"troupe-client/{VERSION}", "Accept": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    return {
        "base_url": address,
        "headers": headers,
        "limits": httpx.Limits(max_connections=100),
        "trust_env": _proxies_are_usable(address),
    }


def direct_hosts(url: str) -> dict[str, None]:
    """Addresses of this machine as httpx mounts: they are reached without a proxy, whatever the environment says."""
    host = httpx.URL(url).host
    own = [f"all://[{host}]" if ":" in host else f"all://{host}"] if is_loopback(host) else []
    return dict.fromkeys([*_DIRECT, *own])


def request_options(call: Call) -> RequestOptions:
    """Options of one request of an httpx client."""
    return {
        # An empty mapping would remove the signature from a signed address.
        "params": dict(call.params) or None,
        "headers": dict(call.headers),
        "json": call.json,
        "content": call.content,
        "data": dict(call.fields) or None,
        "files": {name: (name, data) for name, data in call.files.items()} or None,
        "timeout": httpx.Timeout(call.timeout_s, connect=_CONNECT_S),
        "follow_redirects": call.follow,
    }


def is_loopback(host: str) -> bool:
    """Whether this host is the machine itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _address(url: str) -> httpx.URL:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        message = f"{url!r} is not an address: {error}"
        raise RequestError(message) from error
    if address.scheme not in {"http", "https"} or not address.host:
        message = f"{url!r} is not the address of a Troupe server: it must begin with http:// or https:// and a host"
        raise RequestError(message)
    return address


def _proxies_are_usable(address: httpx.URL) -> bool:
    """Whether httpx knows the proxies of the environment. Raises RequestError if it does not, for a foreign server.

    A desktop may set a proxy such as `socks://`, which httpx does not know. The server of this machine needs none.
    """
    proxies = getproxies()
    for name in ("http", "https", "all"):
        proxy = proxies.get(name, "")
        try:
            # As httpx reads it.
            httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}")
        except (ValueError, httpx.InvalidURL) as error:
            if is_loopback(address.host):
                return False
            message = f"the proxy in {name.upper()}_PROXY cannot be used: {error}"
            raise RequestError(message) from error
    return True
