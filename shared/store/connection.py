"""Connections to the Redis of the records, and its errors as ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.retry
import redis.retry
from redis.backoff import ConstantBackoff
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,  # noqa: A004
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,  # noqa: A004
)

from shared.errors import RecordsUnavailable
from shared.settings import Settings
from shared.telemetry.metrics import meters

# What may pass by itself. Any other answer of Redis is a bug of ours and is shown as one.
_PASSING = (ConnectionError, TimeoutError, BusyLoadingError, ReadOnlyError, OutOfMemoryError, OSError)

# The same, for which the client has no class: a full disk, too few replicas, a script that takes long. In a pipeline
# the client puts words of its own before them.
_REFUSALS = re.compile(r"(^|caused error: )(MISCONF|NOREPLICAS|MASTERDOWN|BUSY) ")

# One more try covers a connection that was cut while it idled. An outage is the caller's to decide about: a denoising
# step must not stand still for the client's own ten tries.
_AGAIN = 1
_AGAIN_AFTER_S = 0.05

# The client's own defaults wait for ever on a host that has gone.
_OPTIONS: dict[str, Any] = {
    "decode_responses": True,
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
# A burst of requests waits for a free connection; the client's own pool refuses whoever comes as the hundred-and-first.
_CONNECTIONS = 64
_FREE_WITHIN_S = 10

# What goes into Redis as it is.
RedisValue = str | int | float | bytes


def connect(settings: Settings) -> redis.Redis:
    """A client for threads and processes that block. Connects when it is first used."""
    retry = redis.retry.Retry(ConstantBackoff(_AGAIN_AFTER_S), _AGAIN)
    return redis.Redis.from_url(settings.records_url, retry=retry, **_OPTIONS)


def connect_async(settings: Settings) -> redis.asyncio.Redis:
    """A client for an event loop. Connects when it is first used."""
    retry = redis.asyncio.retry.Retry(ConstantBackoff(_AGAIN_AFTER_S), _AGAIN)
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        settings.records_url, max_connections=_CONNECTIONS, timeout=_FREE_WITHIN_S, retry=retry, **_OPTIONS
    )
    return redis.asyncio.Redis.from_pool(pool)


@contextmanager
def redis_errors() -> Iterator[None]:
    """Turns an outage of Redis into RecordsUnavailable."""
    try:
        yield
    except _PASSING as error:
        raise _unavailable(error) from error
    except ResponseError as error:
        if _REFUSALS.search(str(error)):
            raise _unavailable(error) from error
        raise


def _unavailable(error: Exception) -> RecordsUnavailable:
    meters().redis_errors.inc()
    return RecordsUnavailable(f"Redis does not answer: {error or type(error).__name__}")
