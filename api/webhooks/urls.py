"""Validation of webhook URLs before they are stored.

The IP addresses of a host name are checked at every attempt of a delivery, because they may change.
"""

from __future__ import annotations

from ipaddress import ip_address

import httpx

from shared.addresses import Destinations
from shared.errors import AddressNotAllowed, InvalidField

_POINTER = "/url"
_LABEL_CHARS = 63
_DEFAULT_PORTS = {"https": 443, "http": 80}


def checked_url(text: str, destinations: Destinations) -> str:
    """The normalized URL. Raises InvalidField or AddressNotAllowed."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        message = f"not a valid URL: {error}"
        raise InvalidField(message, pointer=_POINTER) from error
    if url.scheme not in _DEFAULT_PORTS or not url.host:
        raise InvalidField("the URL must begin with https:// and a host name", pointer=_POINTER)
    if url.userinfo or url.fragment:
        raise InvalidField("the URL must not contain a user, password or fragment", pointer=_POINTER)
    port = _DEFAULT_PORTS[url.scheme] if url.port is None else url.port
    if not 0 < port < 65_536 or any(len(label) > _LABEL_CHARS for label in url.raw_host.split(b".")):
        raise InvalidField("the host name or port of the URL is not valid", pointer=_POINTER)
    if not destinations.takes(url.scheme, port):
        message = f"webhooks may not use {url.scheme} on port {port}: TROUPE_WEBHOOK_ORIGINS lists what is allowed"
        raise AddressNotAllowed(message, pointer=_POINTER)
    if _is_literal(url.host) and not destinations.reaches(url.host):
        raise AddressNotAllowed("webhooks may use public IP addresses only", pointer=_POINTER)
    return str(url)


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
