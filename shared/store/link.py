"""Single connections to Redis, for the records and the broker alike: only a primary that takes writes is served.

A connection asks for the server's role when it is made and every few seconds while it is used, so after a failover each
one finds the new primary by itself. Answers that say "not now" (READONLY, LOADING, a full disk ...) end the connection
as an outage does: the client's own retry comes once, and then the caller decides.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import Any

import redis
import redis.asyncio
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)

from shared.redis_address import RedisAddress
from shared.store.sentinel import primary_of, primary_of_async, tls_options

# A demoted server is noticed by its READONLY at the first write, and within this time by who only reads.
ROLE_EVERY_S = 5.0

# Timeout of a response, and of making a connection. The clients' own defaults wait for ever on a host
# that has gone.
SOCKET_S, CONNECT_S = 10.0, 5.0

_PASSING = (ReadOnlyError, MasterDownError, BusyLoadingError, OutOfMemoryError)
# The same, for which the client has no class: a full disk, too few replicas, a script that takes long, a role that
# changed while a read waited. In a pipeline the client puts words of its own before them.
_WORDS = re.compile(r"(^|caused error: )(READONLY|LOADING|MASTERDOWN|OOM|MISCONF|NOREPLICAS|BUSY|UNBLOCKED) ")
# The words of uvloop for a socket that the other side has reset.
_CLOSED = "the handler is closed"


# redis-py's connections, into which the two classes below are mixed, have no types.
_Mixin: Any = object


class NotPrimaryError(redis.ConnectionError):
    """The server is a replica: it takes no writes, and what it knows may be old."""


class NotNowError(redis.ConnectionError):
    """The server refuses what it will do again once its trouble is over."""


def passes(error: BaseException) -> bool:
    """Whether an answer of Redis says that it cannot now, and is not the fault of the command."""
    return isinstance(error, _PASSING) or (isinstance(error, ResponseError) and bool(_WORDS.search(str(error))))


def is_closed_socket(error: BaseException) -> bool:
    """Whether an error is uvloop's RuntimeError for a connection that is gone."""
    return isinstance(error, RuntimeError) and _CLOSED in str(error)


def link_options(address: RedisAddress) -> dict[str, Any]:
    """Arguments that make one connection to this address, of either client."""
    options: dict[str, Any] = {
        "db": address.db,
        "username": address.username or None,
        "password": address.password or None,
        "socket_timeout": SOCKET_S,
        "socket_connect_timeout": CONNECT_S,
        # Two commands fewer a connection.
        "driver_info": None,
        "service": address if address.service else None,
    }
    if address.path:
        return {**options, "path": address.path}
    host, port = address.hosts[0]
    return {**options, "host": host, "port": port, "socket_keepalive": True, **tls_options(address)}


class _Link(_Mixin):  # type: ignore[misc]
    """A connection for threads. service: the Sentinels to ask where the primary is, before every connect."""

    def __init__(self, *args: Any, service: RedisAddress | None = None, **options: Any) -> None:
        self._service = service
        self._role_due_s = float("inf")
        super().__init__(*args, **options)

    def _connect(self) -> Any:
        if self._service is not None:
            self.host, self.port = primary_of(self._service)
        return super()._connect()

    def on_connect_check_health(self, check_health: bool = True) -> None:
        self._role_due_s = float("inf")
        super().on_connect_check_health(check_health=check_health)
        self._ask_role()

    def check_health(self) -> None:
        """Before a command is sent: whether this is the primary still, if nobody asked for a while."""
        if time.monotonic() >= self._role_due_s:
            self.retry.call_with_retry(self._ask_role, self._ping_failed, with_failure_count=True)

    def read_response(self, *args: Any, **options: Any) -> Any:
        """The answer to a command. Raises NotNowError where the server refuses everybody for now."""
        try:
            answer = super().read_response(*args, **options)
        except ResponseError as error:
            if not passes(error):
                raise
            self.disconnect(error=error)
            raise NotNowError(words_of(error)) from error
        if _holds_refusal(answer):
            self.disconnect()
        return answer

    def _ask_role(self) -> None:
        self._role_due_s = float("inf")
        self.send_command("ROLE", check_health=False)
        try:
            answer = self.read_response()
        except ResponseError as error:
            _let_pass(error)
        else:
            check_role(answer)
        self._role_due_s = time.monotonic() + ROLE_EVERY_S


class _AsyncLink(_Mixin):  # type: ignore[misc]
    """A connection for an event loop. service: the Sentinels to ask where the primary is, before every connect."""

    def __init__(self, *args: Any, service: RedisAddress | None = None, **options: Any) -> None:
        self._service = service
        self._role_due_s = float("inf")
        super().__init__(*args, **options)

    async def _connect(self) -> None:
        if self._service is not None:
            self.host, self.port = await primary_of_async(self._service)
        await super()._connect()

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        self._role_due_s = float("inf")
        await super().on_connect_check_health(check_health=check_health)
        await self._ask_role()

    async def check_health(self) -> None:
        """Before a command is sent: whether this is the primary still, if nobody asked for a while."""
        if time.monotonic() >= self._role_due_s:
            await self.retry.call_with_retry(self._ask_role, self._ping_failed, with_failure_count=True)

    async def _send_packed_command(self, command: Iterable[bytes]) -> None:
        try:
            await super()._send_packed_command(command)
        except RuntimeError as error:
            if is_closed_socket(error):
                raise ConnectionResetError(str(error)) from error
            raise

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """The answer to a command. Raises NotNowError where the server refuses everybody for now."""
        try:
            answer = await super().read_response(*args, **options)
        except ResponseError as error:
            if not passes(error):
                raise
            await self.disconnect(nowait=True, error=error)
            raise NotNowError(words_of(error)) from error
        except RuntimeError as error:
            if is_closed_socket(error):
                raise redis.ConnectionError(str(error)) from error
            raise
        if _holds_refusal(answer):
            await self.disconnect(nowait=True)
        return answer

    async def _ask_role(self) -> None:
        self._role_due_s = float("inf")
        await self.send_command("ROLE", check_health=False)
        try:
            answer = await self.read_response()
        except ResponseError as error:
            _let_pass(error)
        else:
            check_role(answer)
        self._role_due_s = time.monotonic() + ROLE_EVERY_S


class TcpLink(_Link, redis.Connection):
    """Over TCP."""


class TlsLink(_Link, redis.SSLConnection):
    """Over TLS."""


class UnixLink(_Link, redis.UnixDomainSocketConnection):
    """Over a unix socket."""


class AsyncTcpLink(_AsyncLink, redis.asyncio.Connection):
    """Over TCP, for an event loop."""


class AsyncTlsLink(_AsyncLink, redis.asyncio.SSLConnection):
    """Over TLS, for an event loop."""


class AsyncUnixLink(_AsyncLink, redis.asyncio.UnixDomainSocketConnection):
    """Over a unix socket, for an event loop."""


def link_class(address: RedisAddress) -> type[TcpLink | TlsLink | UnixLink]:
    """The connections to this address, for threads."""
    if address.path:
        return UnixLink
    return TlsLink if address.tls else TcpLink


def async_link_class(address: RedisAddress) -> type[AsyncTcpLink | AsyncTlsLink | AsyncUnixLink]:
    """The connections to this address, for an event loop."""
    if address.path:
        return AsyncUnixLink
    return AsyncTlsLink if address.tls else AsyncTcpLink


def words_of(error: BaseException) -> str:
    """What Redis said, with its code: the client takes some codes off."""
    code = getattr(error, "status_code", None)
    return f"{code} {error}" if code and not str(error).startswith(str(code)) else str(error)


def check_role(answer: Any) -> None:
    """Raises NotPrimaryError for the ROLE of a server that is no primary."""
    role = answer[0] if isinstance(answer, list) and answer else b""
    if (role.decode() if isinstance(role, bytes) else str(role)) == "slave":
        message = "the server is a replica, which takes no writes"
        raise NotPrimaryError(message)


def _let_pass(error: ResponseError) -> None:
    """An access list or a managed server may keep ROLE back: then writes tell. All else is an error."""
    if isinstance(error, AuthenticationError):
        raise error


def _holds_refusal(answer: Any) -> bool:
    """Whether a transaction's answer has a refusal in it: the client raises that one, and asks nobody else."""
    return isinstance(answer, list) and any(isinstance(one, ResponseError) and passes(one) for one in answer)
