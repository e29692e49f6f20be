"""Where the primary of a service is, as Sentinels say; and TLS as both they and the servers speak it."""

from __future__ import annotations

import asyncio
from typing import Any

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from shared.redis_address import RedisAddress

_SENTINEL_S = 2.0


def tls_options(address: RedisAddress) -> dict[str, Any]:
    """Arguments of a TLS connection; none where the address asks for a plain one."""
    tls = address.tls
    if tls is None:
        return {}
    return {
        "ssl_ca_certs": tls.authorities or None,
        "ssl_certfile": tls.certificate or None,
        "ssl_keyfile": tls.key or None,
        "ssl_cert_reqs": "required" if tls.verify else "none",
        "ssl_check_hostname": tls.verify,
    }


def _sentinel_options(address: RedisAddress) -> dict[str, Any]:
    return {
        "password": address.sentinel_password or None,
        "socket_timeout": _SENTINEL_S,
        "socket_connect_timeout": _SENTINEL_S,
        "driver_info": None,
        "ssl": address.tls is not None,
        **tls_options(address),
    }


def primary_of(address: RedisAddress) -> tuple[str, int]:
    """Host and port that the first Sentinel which knows the service names. Raises redis.ConnectionError."""
    for host, port in address.hosts:
        try:
            with redis.Redis(host, port, **_sentinel_options(address), retry=Retry(NoBackoff(), 0)) as client:
                found = client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", address.service)
        except (RedisError, OSError):
            continue
        if found:
            return _primary(found)
    raise _nobody_names(address)


async def primary_of_async(address: RedisAddress) -> tuple[str, int]:
    """The same, for an event loop."""
    for host, port in address.hosts:
        try:
            async with (
                asyncio.timeout(_SENTINEL_S),
                redis.asyncio.Redis(host=host, port=port, **_sentinel_options(address)) as client,
            ):
                found = await client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", address.service)
        except (RedisError, OSError):
            continue
        if found:
            return _primary(found)
    raise _nobody_names(address)


def _primary(found: Any) -> tuple[str, int]:
    host, port = (part.decode() if isinstance(part, bytes) else str(part) for part in found)
    return host, int(port)


def _nobody_names(address: RedisAddress) -> redis.ConnectionError:
    return redis.ConnectionError(f"no Sentinel of {address.place} names a primary")
