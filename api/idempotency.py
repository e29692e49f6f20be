"""Idempotency: a request with an `Idempotency-Key` takes effect once, however often it is sent.

Wraps the routes: the body is fingerprinted while the route reads it, and the response is recorded for a day before it
is sent. The same request gets the recorded response. Nothing is recorded for 4xx (nothing was made) and 5xx. If the
process dies, the next request with the key takes over, and what it makes gets the same id: it exists once, even if the
first request had already made it.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import Awaitable
from dataclasses import dataclass

from fastapi import Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.auth.middleware import tenant_of
from api.context import context_of
from api.http.fingerprint import CONSENT_HEADER, Fingerprint
from api.http.problems import FieldError, problem, problem_of_error
from shared.errors import IdempotencyMismatch, IdempotencyRunning, InvalidField, RecordsUnavailable
from shared.store.tenants.idempotency import LEASE_S, IdempotencyStore, Recorded, RecordedResponse
from shared.telemetry.log import get_logger

KEY = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
_HEADER = KEY.lower().encode()
# The IETF draft (draft-ietf-httpapi-idempotency-key-header) quotes the key, most services do not.
_WORD = re.compile(r'"?([!#-~]{1,255})"?')
# A client may send a form again with other boundaries; a body that is longer by more than this is another body.
_FRAME_BYTES = 65_536
_log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class IdempotentRequest:
    """The request with a key that runs; its route gets ids from `new_id`."""

    seed: str
    fingerprint: Fingerprint

    def new_id(self) -> str:
        """An id that depends on the key and the body only."""
        return hashlib.sha256(f"{self.seed}:{self.fingerprint.digest()}".encode()).hexdigest()[:32]


def new_id(request: Request) -> str:
    """An id (32 hexadecimal digits) for what this request makes: random, or the same for every repetition of a key.

    Call it after the body has been read.
    """
    found: IdempotentRequest | None = request.scope.get("idempotent")
    return secrets.token_hex(16) if found is None else found.new_id()


class Idempotency:
    """An ASGI app around one route. A request without the header passes unchanged."""

    def __init__(self, route: ASGIApp) -> None:
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        given = [value for name, value in scope["headers"] if name == _HEADER]
        if not given:
            await self._route(scope, receive, send)
            return
        request = Request(scope, receive)
        key = _WORD.fullmatch(given[0].decode("latin-1"))
        if key is None or len(given) > 1:
            message = f"{KEY} must be sent once, as 1 to 255 ASCII characters without spaces and quotes"
            wrong = FieldError(code="not_a_key", message=message, parameter=KEY)
            await problem(InvalidField, message, [wrong])(scope, receive, send)
            return
        # Keys belong to a tenant and a path: the same word elsewhere is a different key.
        whole = f"{scope['path']} {key[1]}".encode("utf-8", "surrogatepass")
        name = f"{tenant_of(request)}:{hashlib.sha256(whole).hexdigest()[:32]}"
        keyed = _Keyed(request, name)
        try:
            answer = await keyed.answer(self._route)
        except RecordsUnavailable as error:
            answer = problem_of_error(error)
        await answer(scope, receive, send)


class _Keyed:
    """A request with a key. name: of its record."""

    def __init__(self, request: Request, name: str) -> None:
        self._request = request
        self._name = name
        self._holder = secrets.token_hex(16)
        self._answers: IdempotencyStore = context_of(request).responses

    async def answer(self, route: ASGIApp) -> Response:
        """The response of the route, or the recorded one. Raises RecordsUnavailable."""
        found = await self._answers.ask(self._name, self._holder)
        if found is None:
            return problem(
                IdempotencyRunning, f"a request with this {KEY} is running; repeat this request to get its response"
            )
        if isinstance(found, Recorded):
            return await self._replay(found)
        return await self._first(route, found.seed)

    async def _replay(self, kept: Recorded) -> Response:
        if kept.fingerprint and not await self._is_same(kept):
            return problem(IdempotencyMismatch, f"this {KEY} belongs to a different request; use a new one")
        first = kept.answer
        answer = Response(first.body, first.status)
        for name, value in first.headers:
            answer.headers.append(name, value)
        answer.headers[REPLAYED] = "true"
        return answer

    async def _is_same(self, kept: Recorded) -> bool:
        size, _, digest = kept.fingerprint.partition(":")
        fingerprint = self._fingerprint()
        async for chunk in self._request.stream():
            fingerprint.feed(chunk)
            if fingerprint.size_bytes > int(size) + _FRAME_BYTES:
                return False
        return fingerprint.digest() == digest

    async def _first(self, route: ASGIApp, seed: str) -> Response:
        fingerprint = self._fingerprint()
        scope = self._request.scope
        scope["idempotent"] = IdempotentRequest(seed=seed, fingerprint=fingerprint)
        body, caught = _FingerprintedBody(self._request.receive, fingerprint), _HeldResponse()
        holding = asyncio.create_task(self._hold())
        try:
            await route(scope, body.receive, caught.send)
        except Exception:
            await self._attempt(self._answers.free(self._name, self._holder))
            raise
        finally:
            holding.cancel()
        if caught.status >= 500:
            await self._attempt(self._answers.free(self._name, self._holder))
        elif caught.status >= 400:
            await self._attempt(self._answers.forget(self._name, self._holder))
        else:
            # The body does not matter to a route that reads none.
            mark = f"{fingerprint.size_bytes}:{fingerprint.digest()}" if body.was_read else ""
            kept = Recorded(fingerprint=mark, answer=caught.answer())
            await self._attempt(self._answers.keep(self._name, self._holder, kept))
        return caught.response()

    def _fingerprint(self) -> Fingerprint:
        headers = self._request.headers
        return Fingerprint(
            query=self._request.scope["query_string"],
            content_type=headers.get("content-type", ""),
            consent=headers.get(CONSENT_HEADER, ""),
        )

    async def _hold(self) -> None:
        """Renews the lease while the route runs."""
        while True:
            await asyncio.sleep(LEASE_S / 3)
            await self._attempt(self._answers.ask(self._name, self._holder))

    async def _attempt(self, call: Awaitable[object]) -> None:
        # The work is done either way. Without this word the turn runs out, and the next request does nothing twice.
        try:
            await call
        except RecordsUnavailable as error:
            _log.warning("response_not_recorded", detail=error.message)


class _FingerprintedBody:
    """Fingerprints the body on its way to the route."""

    def __init__(self, receive: Receive, fingerprint: Fingerprint) -> None:
        self.was_read = False
        self._receive = receive
        self._fingerprint = fingerprint

    async def receive(self) -> Message:
        """The next ASGI message."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._fingerprint.feed(message.get("body", b""))
            self.was_read = not message.get("more_body", False)
        return message


class _HeldResponse:
    """Holds the response of the route until it is recorded. Responses to POST are small."""

    def __init__(self) -> None:
        self.status = 500
        self._headers: list[tuple[bytes, bytes]] = []
        self._chunks: list[bytes] = []

    async def send(self, message: Message) -> None:
        """Takes the next ASGI message."""
        if message["type"] == "http.response.start":
            self.status, self._headers = message["status"], list(message["headers"])
        elif message["type"] == "http.response.body":
            self._chunks.append(message.get("body", b""))

    def answer(self) -> RecordedResponse:
        """The response to record."""
        headers = tuple(
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in self._headers
            if name != b"content-length"
        )
        return RecordedResponse(status=self.status, headers=headers, body=b"".join(self._chunks))

    def response(self) -> Response:
        """The response to send."""
        answer = Response(b"".join(self._chunks), self.status)
        answer.raw_headers = self._headers
        return answer
