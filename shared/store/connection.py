"""Clients for the Redis of the records, and its errors as ours."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.client
import redis.asyncio.retry
import redis.retry
from redis.backoff import ConstantBackoff
from redis.exceptions import (
    ConnectionError,  # noqa: A004
    NoScriptError,
    ResponseError,
    TimeoutError,  # noqa: A004
)

from shared.errors import RecordsUnavailable
from shared.settings import Settings
from shared.store.link import async_link_class, check_role, is_closed_socket, link_class, link_options, passes, words_of
from shared.telemetry.metrics import meters

# What may pass by itself. Any other answer of Redis is a bug of ours and is shown as one. A script is missing in a
# pipeline when Redis was emptied or another server took over between the look and the call.
_PASSING = (ConnectionError, TimeoutError, NoScriptError, OSError)

# One more try covers a connection that was cut while it idled. An outage is the caller's to decide about: a denoising
# step must not stand still for the client's own ten tries.
_AGAIN = 1
_AGAIN_AFTER_S = 0.05

# A burst of requests waits for a free connection; the client's own pool refuses the hundred-and-first.
_CONNECTIONS = 64
# The longest that a request waits for one answer, with all that the client does for it: a free connection, a new one,
# the second try. One try ends sooner, so that a connection to a host that has gone does not take the second one's time.
ANSWER_S = 10.0
_TRY_S, _TRY_CONNECT_S = 6.0, 2.0

# What goes into Redis as it is.
RedisValue = str | int | float | bytes


def connect(settings: Settings) -> redis.Redis:
    """A client for threads and processes that block. Connects when it is first used."""
    address = settings.redis_address
    pool = redis.ConnectionPool(
        link_class(address),
        **link_options(address),
        decode_responses=True,
        retry=redis.retry.Retry(ConstantBackoff(_AGAIN_AFTER_S), _AGAIN),
    )
    return redis.Redis.from_pool(pool)


def connect_async(settings: Settings) -> redis.asyncio.Redis:
    """A client for an event loop, every answer of which comes or fails within ANSWER_S. Connects at its first use."""
    address = settings.redis_address
    pool = redis.asyncio.BlockingConnectionPool(
        max_connections=_CONNECTIONS,
        timeout=ANSWER_S,
        connection_class=async_link_class(address),
        **{**link_options(address), "socket_timeout": _TRY_S, "socket_connect_timeout": _TRY_CONNECT_S},
        decode_responses=True,
        retry=redis.asyncio.retry.Retry(ConstantBackoff(_AGAIN_AFTER_S), _AGAIN),
    )
    return _Client.from_pool(pool)


class _Client(redis.asyncio.Redis):
    """Gives up after ANSWER_S."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """The answer. Raises TimeoutError."""
        async with asyncio.timeout(ANSWER_S):
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> _Pipeline:
        """Commands that are sent together."""
        return _Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class _Pipeline(redis.asyncio.client.Pipeline):
    """Gives up after ANSWER_S."""

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """The answers. Raises TimeoutError."""
        async with asyncio.timeout(ANSWER_S):
            return await super().execute(raise_on_error)


async def check_primary(client: redis.asyncio.Redis) -> None:
    """Raises RecordsUnavailable unless the server answers now, accepts writes, and is a primary as far as it says."""
    with redis_errors():
        # Redis refuses PING, too, while its disk refuses writes.
        await client.ping()
        # A managed server or an access list may keep the role back.
        with suppress(ResponseError):
            check_role(await client.role())


@contextmanager
def redis_errors() -> Iterator[None]:
    """Turns an outage of Redis into RecordsUnavailable."""
    try:
        yield
    except _PASSING as error:
        raise _unavailable(error) from error
    except (ResponseError, RuntimeError) as error:
        if passes(error) or is_closed_socket(error):
            raise _unavailable(error) from error
        raise


def _unavailable(error: Exception) -> RecordsUnavailable:
    meters().redis_errors.inc()
    return RecordsUnavailable(f"Redis does not answer: {words_of(error) or type(error).__name__}")
