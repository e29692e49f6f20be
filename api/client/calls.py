"""Requests as data, and when to repeat them: what both clients do, without doing it.

An operation is a generator. It yields a Call and is sent the answer (or the error that came instead), or yields a
Pause; what it returns is its result. A client only has to make calls and pauses.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TypeVar

import httpx

from api.client.problems import error_of, json_object

T = TypeVar("T")

_PASSING = frozenset({429, 502, 503, 504})
_RUNNING = "idempotency_running"
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 8.0
# If the server asks for a longer pause, the caller gets the error instead.
_PATIENCE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request. json, content, or fields with files (a form) is its body.

    timeout_s: how long the answer may take. follow: redirects are followed. anonymous: the API key is not sent, and
    the path may be a full address elsewhere. any_status: every answer is returned, also one that is an error.
    save_to: the file that gets the body of the answer, which is then empty.
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: object = None
    content: bytes | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    timeout_s: float = 30.0
    follow: bool = False
    anonymous: bool = False
    any_status: bool = False
    save_to: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Pause:
    """Nothing happens for this many seconds."""

    seconds: float


Answer = httpx.Response | httpx.TransportError
Steps = Generator[Call | Pause, Answer | None, T]


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How often a call is repeated. where: the server's address, for messages; tries: requests before an error."""

    where: str
    tries: int

    def send(self, call: Call) -> Steps[httpx.Response]:
        """The answer to a call that may be repeated. Raises the error that the answer stands for."""
        number = 1
        while True:
            got = yield call
            if isinstance(got, httpx.Response) and (call.any_status or not got.is_error):
                return got
            if got is None:
                message = f"{call.method} {call.path} was neither answered nor failed"
                raise RuntimeError(message)
            yield self.pause_after(got, number)
            number += 1

    def pause_after(self, got: Answer, number: int) -> Pause:
        """The pause after the number-th failure in a row. Raises the failure if repeating the call cannot help."""
        pause = Pause(seconds=_pause_s(got, number))
        if number >= self.tries or not may_pass(got) or pause.seconds > _PATIENCE_S:
            raise error_of(got, self.where)
        return pause


def may_pass(got: Answer) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(got, httpx.Response):
        return got.status_code in _PASSING or json_object(got).get("code") == _RUNNING
    return not isinstance(got, httpx.UnsupportedProtocol)


def _pause_s(got: Answer, number: int) -> float:
    asked_s = _retry_after_s(got.headers.get("retry-after", "")) if isinstance(got, httpx.Response) else 0.0
    own_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** (number - 1))
    # Jitter, so that a thousand clients that lost their connection together do not come back together.
    return max(asked_s, own_s) * random.uniform(1.0, 1.5) if asked_s else own_s * random.uniform(0.5, 1.0)  # noqa: S311


def _retry_after_s(text: str) -> float:
    """Seconds of a Retry-After, which is a number or a date (RFC 9110, section 10.2.3); 0 if it is neither."""
    if text.strip().isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
