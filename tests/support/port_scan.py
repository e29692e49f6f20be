"""`python port_scan.py HOST...`: prints which TCP ports of each host accept a connection, as JSON.

It runs in containers too, so it needs nothing but Python.
"""

from __future__ import annotations

import asyncio
import json
import sys

_AT_ONCE = 500
_PATIENCE_S = 2.0


async def open_ports(host: str) -> list[int]:
    """Every port of the host that accepts a connection."""
    slots = asyncio.Semaphore(_AT_ONCE)
    ports = range(1, 65536)
    found = await asyncio.gather(*(_is_open(host, port, slots) for port in ports))
    return [port for port, accepts in zip(ports, found, strict=True) if accepts]


async def _is_open(host: str, port: int, slots: asyncio.Semaphore) -> bool:
    async with slots:
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), _PATIENCE_S)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True


async def _main(hosts: list[str]) -> None:
    sys.stdout.write(json.dumps({host: await open_ports(host) for host in hosts}))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
