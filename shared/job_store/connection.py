"""Connections to the Redis of the records, and its errors as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
import redis.asyncio
from redis.exceptions import BusyLoadingError, ConnectionError, OutOfMemoryError, ReadOnlyError, TimeoutError  # noqa: A004

from shared.errors import RecordsUnavailable
from shared.settings import Settings

# What may pass by itself. Any other answer of Redis is a bug of ours and is shown as one.
_PASSING = (ConnectionError, TimeoutError, BusyLoadingError, ReadOnlyError, OutOfMemoryError, OSError)

# The client's own defaults wait for ever on a host that has gone.
_OPTIONS: dict[str, Any] = {
    "decode_responses": True,
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
}


def connect(settings: Settings) -> redis.Redis:
    """A client for threads and processes that block. Connects when it is first used."""
    return redis.Redis.from_url(settings.redis_url, **_OPTIONS)


def connect_async(settings: Settings) -> redis.asyncio.Redis:
    """A client for an event loop. Connects when it is first used."""
    return redis.asyncio.Redis.from_url(settings.redis_url, **_OPTIONS)


@contextmanager
def redis_errors() -> Iterator[None]:
    """Turns an outage of Redis into RecordsUnavailable."""
    try:
        yield
    except _PASSING as error:
        message = f"Redis does not answer: {error or type(error).__name__}"
        raise RecordsUnavailable(message) from error
