"""Answers that are errors, as exceptions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus

import httpx

from shared.errors import RateLimited, RequestError, TransientError, TroupeError

_SHOWN_CHARS = 200


def error_of(got: httpx.Response | httpx.TransportError, where: str) -> TroupeError:
    """The error that an answer stands for, or TransientError if none came from `where`."""
    if isinstance(got, httpx.TransportError):
        # Some of httpx's errors have no text.
        return TransientError(f"{where} does not answer: {got or type(got).__name__}")
    problem = json_object(got)
    code, detail = problem.get("code"), problem.get("detail")
    if not isinstance(code, str) or not isinstance(detail, str):
        passing = got.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
        message = f"{where} answered {got.status_code}: {got.text[:_SHOWN_CHARS]}"
        return TransientError(message) if passing else RequestError(message)
    error = error_of_code(code, detail, retryable=problem.get("retryable") is True, pointer=_pointer(problem))
    if isinstance(error, RateLimited):
        wait_s = got.headers.get("retry-after", "")
        error.retry_after_s = int(wait_s) if wait_s.isdecimal() else 0
    return error


def error_of_code(code: str, message: str, *, retryable: bool, pointer: str | None = None) -> TroupeError:
    """The exception with this code; for a code of a newer server, RequestError or TransientError."""
    kind = _kinds().get(code)
    if kind is None:
        kind = TransientError if retryable else RequestError
        message = f"{message} ({code})"
    return kind(message, pointer=pointer)


def json_object(answer: httpx.Response) -> Mapping[str, object]:
    """The JSON object of an answer; empty if it has none."""
    if "json" not in answer.headers.get("content-type", ""):
        return {}
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _pointer(problem: Mapping[str, object]) -> str | None:
    fields = problem.get("errors")
    first = fields[0] if isinstance(fields, list) and fields else None
    pointer = first.get("pointer") if isinstance(first, dict) else None
    return pointer if isinstance(pointer, str) else None


def _kinds() -> dict[str, type[TroupeError]]:
    return {kind.code: kind for kind in _tree(TroupeError)}


def _tree(kind: type[TroupeError]) -> Iterator[type[TroupeError]]:
    # Leaves last, so that they win over a parent with the same code.
    yield kind
    for below in kind.__subclasses__():
        yield from _tree(below)
