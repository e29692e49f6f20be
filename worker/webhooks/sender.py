"""One signed request to one receiver (Standard Webhooks 1.0), and what came back."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpcore
import httpx
from standardwebhooks import Webhook as Signer

from shared.addresses import Destinations
from shared.errors import AddressNotAllowed
from shared.telemetry.log import get_logger
from shared.webhook import Attempt, Delivery, Outcome, Webhook
from worker.webhooks.network import CheckedNetwork, Resolve

# The answer's body says nothing to us. It is read a little way and for a moment, so that a receiver that is still
# sending it sees no broken connection.
_BODY_BYTES = 16_384
_BODY_S = 1.0
_AGENT = "Troupe-Webhooks/1"
_MOST_DIGITS = 9
_DEFAULT_PORTS = {"https": 443, "http": 80}
# The first that fits.
_OUTCOMES: dict[type[Exception], Outcome] = {
    AddressNotAllowed: Outcome.ADDRESS_NOT_ALLOWED,
    socket.gaierror: Outcome.NAME_NOT_FOUND,
    UnicodeError: Outcome.NAME_NOT_FOUND,
    TimeoutError: Outcome.TIMED_OUT,
    httpcore.TimeoutException: Outcome.TIMED_OUT,
    httpcore.ConnectError: Outcome.NOT_CONNECTED,
    httpcore.NetworkError: Outcome.BROKEN_ANSWER,
    httpcore.ProtocolError: Outcome.BROKEN_ANSWER,
}

log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came of one attempt. asked_s: for how long the receiver wants to be left alone."""

    attempt: Attempt
    asked_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Sender:
    """How requests are made. timeout_s: from the name's look-up to the end of the answer's head."""

    destinations: Destinations
    tls: ssl.SSLContext
    timeout_s: float
    resolve: Resolve

    async def send(self, webhook: Webhook, delivery: Delivery) -> Reply:
        """Makes one attempt. Whatever goes wrong is an outcome, not an error."""
        at, began = time.time(), time.monotonic()
        status, asked_s = None, None
        # A connection of its own: the next one goes to an address that was checked for it. httpcore follows no
        # redirects, keeps no cookies, unpacks nothing and asks the environment for no proxy.
        network = CheckedNetwork(self.destinations, self.resolve)
        async with httpcore.AsyncConnectionPool(ssl_context=self.tls, network_backend=network) as pool:
            try:
                async with asyncio.timeout(self.timeout_s):
                    response = await pool.handle_async_request(self._request(webhook, delivery, at))
            except Exception as error:  # noqa: BLE001 - the webhook's log says it, and the delivery is tried again
                outcome = _outcome_of_error(error)
            else:
                status, asked_s = response.status, _asked_s(response.headers)
                outcome = _outcome_of(status)
                await _skim(response)
        attempt = Attempt(at=at, outcome=outcome, seconds=round(time.monotonic() - began, 3), http_status=status)
        return Reply(attempt=attempt, asked_s=asked_s)

    def _request(self, webhook: Webhook, delivery: Delivery, at: float) -> httpcore.Request:
        url = httpx.URL(webhook.url)
        port = _DEFAULT_PORTS[url.scheme] if url.port is None else url.port
        if not self.destinations.takes(url.scheme, port):
            message = "webhooks may not use this scheme and port any more"
            raise AddressNotAllowed(message)
        body = body_of(delivery)
        return httpcore.Request(
            "POST",
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=port, target=url.raw_path),
            headers=[("Host", url.netloc.decode()), *_headers(webhook, delivery.message, body, at)],
            content=body,
        )


def body_of(delivery: Delivery) -> bytes:
    """The message as it is sent, the same in every attempt."""
    moment = datetime.fromtimestamp(delivery.created_at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f'{{"type":{json.dumps(delivery.kind)},"timestamp":"{moment}","data":{delivery.data}}}'.encode()


def _headers(webhook: Webhook, message: str, body: bytes, at: float) -> list[tuple[str, str]]:
    moment = datetime.fromtimestamp(at, UTC)
    secrets = [webhook.secret, *([webhook.old_secret] if webhook.old_secret else [])]
    signatures = [Signer(secret.get_secret_value()).sign(message, moment, body.decode()) for secret in secrets]
    return [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("User-Agent", _AGENT),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
        ("webhook-id", message),
        ("webhook-timestamp", str(int(at))),
        ("webhook-signature", " ".join(signatures)),
    ]


async def _skim(response: httpcore.Response) -> None:
    """Reads a little of the body, for a moment; what goes wrong here changes nothing any more."""
    read = 0
    with suppress(httpcore.NetworkError, httpcore.ProtocolError, TimeoutError):
        async with asyncio.timeout(_BODY_S):
            async for chunk in response.aiter_stream():
                read += len(chunk)
                if read > _BODY_BYTES:
                    break
            await response.aclose()


def _outcome_of(status: int) -> Outcome:
    if 200 <= status < 300:
        return Outcome.ACCEPTED
    if 300 <= status < 400:
        return Outcome.REDIRECTED
    return Outcome.GONE if status == 410 else Outcome.REFUSED


def _outcome_of_error(error: Exception) -> Outcome:
    if any(isinstance(one, ssl.SSLError) for one in _causes(error)):
        return Outcome.BAD_CERTIFICATE
    for kind, outcome in _OUTCOMES.items():
        if isinstance(error, kind):
            return outcome
    # Its text may hold the address, which may hold a secret: the kind is enough.
    log.error("delivery_broke", kind=type(error).__name__)
    return Outcome.INTERNAL


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    # By the context: httpcore's pool raises "from None".
    while error is not None:
        yield error
        error = error.__context__


def _asked_s(headers: Sequence[tuple[bytes, bytes]]) -> float | None:
    """Retry-After in seconds, from either of its forms (RFC 9110 section 10.2.3); None without one that can be read."""
    text = next((value.decode("latin-1").strip() for name, value in headers if name.lower() == b"retry-after"), "")
    if text.isdecimal() and text.isascii():
        return float(text[:_MOST_DIGITS])
    try:
        moment = parsedate_to_datetime(text)
        return max(0.0, moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
