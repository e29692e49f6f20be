"""Requests as data, and when to send them again: what both clients do, without doing it.

An operation is a generator: it yields a Call and is sent the answer (or why none came), or yields a Pause; what it
returns is the result. A client only has to make calls and pauses.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx

from api.client.problems import error_of, problem_of

T = TypeVar("T")

_PASSING = frozenset({429, 502, 503, 504})
_RUNNING = "idempotency_running"
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 8.0
# Whoever is told to come back later than this hears of it instead of waiting.
_PATIENCE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request. json, content, or fields with files (a form) is its body; timeout_s: how long the answer may take.

    foreign: the path is an address elsewhere, which must not see the key.
    """

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    timeout_s: float = 30.0
    follow: bool = False
    foreign: bool = False


@dataclass(frozen=True, kw_only=True)
class Pause:
    """Nothing is to be done for so long."""

    seconds: float


Answer = httpx.Response | httpx.TransportError
Steps = Generator[Call | Pause, Answer | None, T]


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How hard to try. where: the server's address, for messages; tries: requests before an error is raised."""

    where: str
    tries: int

    def send(self, call: Call) -> Steps[httpx.Response]:
        """The answer to a call that is safe to send again. Raises the error of the tree that it is."""
        number = 1
        while True:
            got = yield call
            if isinstance(got, httpx.Response) and not got.is_error:
                return got
            if got is None:
                message = f"no answer was given for {call.method} {call.path}"
                raise RuntimeError(message)
            yield self.pause_after(got, number)
            number += 1

    def pause_after(self, got: Answer, number: int) -> Pause:
        """How long to wait after the number-th failure in a row. Raises the failure when trying again cannot help."""
        pause = Pause(seconds=_pause_s(got, number))
        if number >= self.tries or not may_pass(got) or pause.seconds > _PATIENCE_S:
            raise error_of(got, self.where)
        return pause


def may_pass(got: Answer) -> bool:
    """Whether the same request may be answered later."""
    if isinstance(got, httpx.Response):
        return got.status_code in _PASSING or problem_of(got).get("code") == _RUNNING
    return not isinstance(got, httpx.UnsupportedProtocol)


def _pause_s(got: Answer, number: int) -> float:
    asked_s = _retry_after_s(got.headers.get("retry-after", "")) if isinstance(got, httpx.Response) else 0.0
    own_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** (number - 1))
    # Jitter, so that a thousand clients that were cut off together do not come back together.
    return max(asked_s, own_s) * random.uniform(1.0, 1.5) if asked_s else own_s * random.uniform(0.5, 1.0)  # noqa: S311


def _retry_after_s(text: str) -> float:
    """Seconds of a Retry-After, which is a number or a date (RFC 9110, section 10.2.3); 0 when it is neither."""
    if text.strip().isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
