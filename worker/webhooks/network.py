"""The network as a delivery sees it: names are resolved once, and only addresses that are allowed are connected to.

A network backend of httpcore is the place for it: one that checked the address before it gave the name to the client
would leave the client to resolve the name again, to whatever it means by then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import httpcore

from shared.addresses import Destinations
from shared.errors import AddressNotAllowed

# A name may have many addresses; the first few are tried, each for a part of the time.
_MOST_ADDRESSES = 4
_CONNECT_S = 5.0

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Gives the IP addresses of a host. Raises socket.gaierror when it has none."""


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to the very address that was checked. TLS is the connection's matter and still sees the host's name."""

    def __init__(self, destinations: Destinations, resolve: Resolve) -> None:
        self._destinations = destinations
        self._resolve = resolve
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to one of the host's addresses. One that is not allowed refuses them all."""
        addresses = (await self._resolve(host, port))[:_MOST_ADDRESSES]
        for address in addresses:
            if not self._destinations.reaches(address):
                message = "the host's name stands for an address that webhooks may not lead to"
                raise AddressNotAllowed(message)
        failure = httpcore.ConnectError("the host has no address")
        for address in addresses:
            try:
                return await self._inner.connect_tcp(
                    address, port, min(timeout or _CONNECT_S, _CONNECT_S), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = httpcore.ConnectError(str(error))
        raise failure

    async def sleep(self, seconds: float) -> None:
        """As httpcore asks for it."""
        await self._inner.sleep(seconds)
