"""Errors as responses of the type application/problem+json (RFC 9457).

The body has `type`, `title`, `status`, `detail`, `code` (stable, for programs), `retryable`, and `errors`: for each
wrong field its `pointer` (RFC 6901, into the body) or `parameter` (query or header), `code` and `message`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from shared import errors as tree
from shared.errors import InvalidField, MalformedBody, TroupeError
from shared.telemetry.log import get_logger

PROBLEM_TYPE = "application/problem+json"
# Seconds for Retry-After: an outage takes longer than a job's next stage.
_PAUSE_S = {HTTPStatus.SERVICE_UNAVAILABLE: 5, HTTPStatus.CONFLICT: 1}
_SHOWN_ERRORS = 20
_SHOWN_CHARS = 100
# Messages that replace those of pydantic, which speak of Python. The only pattern is that of a photo id.
_WORDS = {
    "missing": "this field is required",
    "extra_forbidden": "there is no field with this name",
    "string_pattern_mismatch": "a photo id is 64 hexadecimal digits, as POST /v1/photos answers it",
}
_log = get_logger(__name__)
_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class FieldError:
    """One wrong field: its place (a pointer into the body, or the name of a parameter), a stable code, a message."""

    code: str
    message: str
    pointer: str | None = None
    parameter: str | None = None
    line: int | None = None


class InvalidFields(Exception):
    """A request with one or several wrong fields, reported together as one problem of this kind."""

    def __init__(self, kind: type[TroupeError], message: str, fields: Sequence[FieldError]) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.fields = tuple(fields)


def problem(kind: type[TroupeError], detail: str, fields: Sequence[FieldError] = ()) -> Response:
    """The response for this kind of error; with Retry-After where waiting helps."""
    status = kind.status
    body: dict[str, object] = {
        "type": f"urn:troupe:problem:{kind.code}",
        "title": kind.meaning,
        "status": status.value,
        "detail": detail,
        "code": kind.code,
        "retryable": kind.retryable,
    }
    if fields:
        body["errors"] = [_shown(field) for field in fields[:_SHOWN_ERRORS]]
    headers = {"Retry-After": str(_PAUSE_S[status])} if kind.retryable and status in _PAUSE_S else {}
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="troupe"'
    if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        # The rest of the body is not read, so the connection is of no use for another request.
        headers["Connection"] = "close"
    # ASCII JSON: a lone surrogate of a request must not break the response that quotes it.
    return Response(json.dumps(body), status, headers, PROBLEM_TYPE)


def problem_of_error(error: TroupeError) -> Response:
    """The response for this error."""
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # The message names hosts and keys: it belongs into the log. The caller gets the meaning of the code.
        _log.warning("request_failed", code=error.code, detail=error.message)
        return problem(type(error), error.meaning)
    fields = [] if error.pointer is None else [_field_of(error, error.pointer)]
    answer = problem(type(error), error.message, fields)
    if isinstance(error, tree.RateLimited):
        answer.headers["Retry-After"] = str(error.retry_after_s)
    return answer


def fields_of(details: Sequence[ErrorDetails]) -> Iterator[FieldError]:
    """Pydantic's errors as wrong fields: `loc` becomes a pointer into the body."""
    shown = details[:_SHOWN_ERRORS]
    inside = {detail["loc"][:length] for detail in shown for length in range(len(detail["loc"]))}
    for detail in shown:
        if detail["type"] == "too_short" and detail["loc"] in inside:
            # Pydantic does not count wrong items, so it also reports their list as too short.
            continue
        said = detail["msg"].removeprefix("Value error, ").replace("Tuple", "List").replace(" after validation", "")
        message = _WORDS.get(detail["type"], said)
        yield FieldError(code=detail["type"], message=message, pointer=pointer_to(*detail["loc"]))


def pointer_to(*steps: str | int) -> str:
    """An RFC 6901 pointer. Long names are cut: they may come from the request."""
    return "".join("/" + str(step)[:_SHOWN_CHARS].replace("~", "~0").replace("/", "~1") for step in steps)


def add_problem_handlers(app: FastAPI) -> None:
    """Makes every error a problem response; an exception outside the error tree is `internal`, without details."""

    @app.exception_handler(TroupeError)
    async def known(_: Request, error: TroupeError) -> Response:
        return problem_of_error(error)

    @app.exception_handler(InvalidFields)
    async def several(_: Request, refusal: InvalidFields) -> Response:
        return problem(refusal.kind, refusal.message, refusal.fields)

    @app.exception_handler(HTTPException)
    async def routing(request: Request, error: HTTPException) -> Response:
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            answer = problem(tree.MethodNotAllowed, f"this path does not support {request.method[:_SHOWN_CHARS]}")
            answer.headers["Allow"] = ", ".join(_allowed(app, request))
            return answer
        if error.status_code == HTTPStatus.NOT_FOUND:
            return problem(tree.RouteNotFound, "nothing is served at this path; /docs lists all paths")
        return problem(tree.RequestError, str(error.detail))

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, __: ClientDisconnect) -> Response:
        return problem(tree.MalformedBody, "the connection closed before the body was complete")

    @app.exception_handler(Exception)
    async def bug(_: Request, __: Exception) -> Response:
        # The server logs the traceback; a response must not show internals.
        return problem(TroupeError, "an internal error; the server has logged it")


def _allowed(app: FastAPI, request: Request) -> list[str]:
    """All methods of an address: the router names those of the first route that has it."""
    routes = [route for route in app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in routes for method in getattr(route, "methods", None) or ()})


def _field_of(error: TroupeError, pointer: str) -> FieldError:
    return FieldError(code=error.code, message=error.message, pointer=pointer)


def _shown(field: FieldError) -> dict[str, str | int]:
    where = {"parameter": field.parameter} if field.parameter is not None else {"pointer": field.pointer or ""}
    line = {} if field.line is None else {"line": field.line}
    return {**line, **where, "code": field.code, "message": field.message}


def parse_json(model: type[_Model], data: bytes) -> _Model:
    """The model from JSON; a number is no string. Raises MalformedBody, or InvalidFields with every wrong field."""
    try:
        return model.model_validate_json(data, strict=True)
    except ValidationError as error:
        raise invalid_fields_of(error) from error


def invalid_fields_of(error: ValidationError) -> InvalidFields | MalformedBody:
    """The error for a body that pydantic refused."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    fields: Sequence[FieldError] = list(fields_of(details))
    if details[0]["type"] == "json_invalid":
        return MalformedBody(f"the body is not readable as JSON: {fields[0].message.removeprefix('Invalid JSON: ')}")
    first = f"{fields[0].pointer or 'the body'}: {fields[0].message}"
    message = first if len(fields) == 1 else f"{len(fields)} fields are not valid; {first}"
    return InvalidFields(InvalidField, message, fields)
