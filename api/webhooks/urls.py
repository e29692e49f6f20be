"""Addresses of webhooks, looked at before they are kept.

What a name stands for is looked at by those who deliver, at every attempt: it may change at any time.
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
    """The address in its normal form. Raises InvalidField or AddressNotAllowed."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        message = f"this is no address: {error}"
        raise InvalidField(message, pointer=_POINTER) from error
    if url.scheme not in _DEFAULT_PORTS or not url.host:
        raise InvalidField("an address begins with https:// and a host's name", pointer=_POINTER)
    if url.userinfo or url.fragment:
        raise InvalidField("an address has no user, password or fragment in it", pointer=_POINTER)
    port = _DEFAULT_PORTS[url.scheme] if url.port is None else url.port
    if not 0 < port < 65_536 or any(len(label) > _LABEL_CHARS for label in url.raw_host.split(b".")):
        raise InvalidField("no host can have this name and port", pointer=_POINTER)
    if not destinations.takes(url.scheme, port):
        message = f"webhooks may not use {url.scheme} on port {port}: TROUPE_WEBHOOK_ORIGINS says what they may"
        raise AddressNotAllowed(message, pointer=_POINTER)
    if _is_literal(url.host) and not destinations.reaches(url.host):
        raise AddressNotAllowed("webhooks lead to public addresses only", pointer=_POINTER)
    return str(url)


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
