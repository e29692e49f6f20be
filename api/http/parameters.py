"""Parameters of the query and headers. A parameter is one value: it reads itself and describes itself.

A route names its parameters in `@takes(...)`. It gets their values as keyword arguments, and the OpenAPI document gets
their descriptions: no route can read a parameter that the document does not have.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from inspect import Parameter as Argument
from inspect import signature
from typing import Any, Generic, Literal, TypeVar

from fastapi import Request, Response

from api.http.problems import FieldError, InvalidFields
from shared.errors import InvalidField

DEFAULT_LIMIT, MAX_LIMIT = 20, 100

_T = TypeVar("_T")
_Word = TypeVar("_Word", bound=str)
Endpoint = Callable[..., Awaitable[Response]]


class UnreadableValue(Exception):
    """A value of a parameter that cannot be read.

    Attributes:
        code: stable name for programs.
        message: the rest of a sentence that begins with the parameter's name.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, kw_only=True)
class Parameter(Generic[_T]):
    """A parameter of the query or a header.

    Attributes:
        parse: the value of its text. Raises UnreadableValue.
        default: the value where the request does not give it.
        schema: its text as JSON schema.
        is_list: whether several headers of this name are one list (RFC 9110, section 5.3).
    """

    name: str
    description: str
    parse: Callable[[str], _T]
    default: _T
    place: Literal["query", "header"] = "query"
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    required: bool = False
    example: str | None = None
    is_list: bool = False

    def read(self, request: Request) -> _T:
        """The value of this request. Raises InvalidFields."""
        if self.place == "header":
            given = request.headers.getlist(self.name)
        elif request.scope["query_string"]:
            given = request.query_params.getlist(self.name)
        else:
            return self.default
        if not given:
            return self.default
        if len(given) > 1 and not self.is_list:
            raise self.wrong("given_twice", f"{self.name} may be given once")
        try:
            return self.parse(", ".join(given))
        except UnreadableValue as error:
            raise self.wrong(error.code, f"{self.name} {error.message}") from error

    def wrong(self, code: str, message: str) -> InvalidFields:
        """The refusal of this parameter's value."""
        return InvalidFields(InvalidField, message, [FieldError(code=code, message=message, parameter=self.name)])

    def described(self) -> dict[str, Any]:
        """The parameter as an OpenAPI object."""
        described: dict[str, Any] = {
            "name": self.name,
            "in": self.place,
            "description": self.description,
            "schema": {**self.schema, **({} if self.default in {None, ""} else {"default": self.default})},
        }
        if self.required:
            described["required"] = True
        if self.example is not None:
            described["example"] = self.example
        return described


def takes(**parameters: Parameter[Any]) -> Callable[[Endpoint], Endpoint]:
    """Gives an endpoint the values of these parameters as its keyword-only arguments of the same names.

    Raises TypeError when the endpoint has other keyword-only arguments.
    """

    def decorated(endpoint: Endpoint) -> Endpoint:
        found = signature(endpoint)
        positional = [one for one in found.parameters.values() if one.kind is not Argument.KEYWORD_ONLY]
        if {*found.parameters} - {one.name for one in positional} != {*parameters}:
            message = f"{endpoint.__name__} must have these keyword-only arguments: {', '.join(parameters)}"
            raise TypeError(message)
        pairs = tuple(parameters.items())

        @wraps(endpoint)
        async def with_values(request: Request, **path: str) -> Response:
            values = {name: parameter.read(request) for name, parameter in pairs}
            return await endpoint(request, **path, **values)

        # FastAPI must not see the keyword-only arguments: it would document and search them itself.
        vars(with_values).update(__signature__=found.replace(parameters=positional), parameters=parameters)
        return with_values

    return decorated


def parameters_of(endpoint: Endpoint) -> tuple[Parameter[Any], ...]:
    """The parameters that the endpoint takes."""
    return tuple(getattr(endpoint, "parameters", {}).values())


def choice(name: str, values: Iterable[_Word], description: str, *, component: str = "") -> Parameter[_Word | None]:
    """One of these words, or None. component: name of the schema that lists the same words."""
    words = {str(value): value for value in values}

    def parse(text: str) -> _Word:
        if text not in words:
            raise UnreadableValue("unknown_value", f"must be one of {', '.join(words)}")
        return words[text]

    schema = {"$ref": f"#/components/schemas/{component}"} if component else {"type": "string", "enum": [*words]}
    return Parameter(name=name, description=description, parse=parse, default=None, schema=schema)


def flag(name: str, description: str) -> Parameter[bool]:
    """`true` or `false`; false where it is not given."""

    def parse(text: str) -> bool:
        if text not in {"true", "false"}:
            raise UnreadableValue("unknown_value", "must be one of true, false")
        return text == "true"

    return Parameter(name=name, description=description, parse=parse, default=False, schema={"type": "boolean"})


def whole_number(name: str, description: str, *, most: int, default: _T) -> Parameter[int | _T]:
    """A whole number from 1 to `most`."""

    def parse(text: str) -> int | _T:
        if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= most):
            raise UnreadableValue("out_of_range", f"must be a whole number from 1 to {most}")
        return int(text)

    schema = {"type": "integer", "minimum": 1, "maximum": most}
    return Parameter(name=name, description=description, parse=parse, default=default, schema=schema)


def cursor(parse: Callable[[str], _T | None]) -> Parameter[_T | None]:
    """The place where a page begins. parse: gives None for a text that is no such place."""

    def parsed(text: str) -> _T:
        place = parse(text)
        if place is None:
            raise UnreadableValue("not_a_cursor", "must be the `next` of the page before")
        return place

    return Parameter(name="cursor", description="`next` of the previous page", parse=parsed, default=None)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise UnreadableValue("not_seconds", "must be a number of seconds")
    return seconds


LIMIT = whole_number("limit", "Largest number of entries on the page", most=MAX_LIMIT, default=DEFAULT_LIMIT)
WAIT = Parameter(
    name="wait",
    description="Seconds to wait for a change (long polling), up to the server's own limit",
    parse=_seconds,
    default=0.0,
    schema={"type": "number", "minimum": 0},
)
DRY_RUN = flag("dry_run", "Check the request and estimate its cost; nothing is stored or queued, no units are charged")
IF_NONE_MATCH: Parameter[str | None] = Parameter(
    name="If-None-Match",
    description="The ETag of a previous response: answers 304 while nothing has changed",
    parse=str,
    default=None,
    place="header",
    is_list=True,
)
LAST_EVENT_ID = Parameter(
    name="Last-Event-ID",
    description="Id of the last event received; it is not sent again",
    parse=str,
    default="",
    place="header",
    is_list=True,
)
