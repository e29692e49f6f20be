"""Allowed destinations of requests to addresses that a client supplied: schemes, ports and networks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

Network = IPv4Network | IPv6Network

_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")

# What the IANA has given to public hosts (RFC 4291 section 2.4). All other IPv6 addresses are local, reserved or
# multicast, or wrap an IPv4 address: mapped (::ffff:0:0/96), NAT64 (64:ff9b::/96 and 64:ff9b:1::/48).
_PUBLIC_IPV6 = IPv6Network("2000::/3")
# What `is_global` lets through, in all or some versions of Python, and yet leads to no public host: addresses for
# protocols and for documentation (IANA special-purpose registries), and 6to4 with its relay and Teredo, which wrap an
# IPv4 address.
_NOT_PUBLIC: tuple[Network, ...] = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("2001::/23"),
    IPv6Network("2002::/16"),
    IPv6Network("3fff::/20"),
)


@dataclass(frozen=True, kw_only=True)
class Destinations:
    """Allowed destinations. origins: scheme and port (None: any port). networks: allowed private networks."""

    origins: Sequence[tuple[str, int | None]]
    networks: Sequence[Network]

    @classmethod
    def read(cls, origins: str, networks: str) -> Self:
        """From the texts of the settings: `https:443,http:*` and `10.1.0.0/16,::1/128`. Raises ValueError."""
        return cls(
            origins=[_origin(word) for word in _words(origins)],
            networks=read_networks(networks),
        )

    def takes(self, scheme: str, port: int) -> bool:
        """Whether requests of this scheme may go to this port."""
        return (scheme, port) in self.origins or (scheme, None) in self.origins

    def reaches(self, address: str) -> bool:
        """Whether this IP address may be connected to. Raises ValueError if it is not one."""
        found = ip_address(address)
        return any(found in network for network in self.networks) or _is_public(found)


def read_networks(text: str) -> list[Network]:
    """`10.1.0.0/16,::1/128` as networks. Raises ValueError."""
    return [ip_network(word) for word in _words(text)]


def read_origins(text: str) -> list[str]:
    """Origins of web pages as browsers send them (RFC 6454), from a list with commas. Raises ValueError."""
    origins = _words(text)
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            message = f"{origin} is no origin: scheme, host in lower case and port, as https://app.example.com:8443"
            raise ValueError(message)
    return origins


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address) and (address not in _PUBLIC_IPV6 or address.scope_id is not None):
        return False
    if any(address in network for network in _NOT_PUBLIC):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _origin(word: str) -> tuple[str, int | None]:
    scheme, _, port = word.partition(":")
    if scheme not in {"http", "https"} or not (port == "*" or port.isdecimal()):
        message = f"{word!r} is no scheme and port: write https:443 or http:*"
        raise ValueError(message)
    return scheme, None if port == "*" else int(port)
