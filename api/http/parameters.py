"""Parameters of a query, read by hand: what is wrong with one is told like a wrong field of a body."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import Request

from api.http.problems import FieldError, Refusal
from shared.errors import InvalidField

CONSENT = "Troupe-Consent"
USUALLY_LISTED, MOST_LISTED = 20, 100


def text(request: Request, name: str) -> str | None:
    """The parameter's value, or None without it. Raises a Refusal when it is given twice."""
    given = request.query_params.getlist(name)
    if len(given) > 1:
        raise wrong(name, "given_twice", f"{name} may be given once")
    return given[0] if given else None


def choice(request: Request, name: str, allowed: Iterable[str]) -> str | None:
    """One of these words, or None without the parameter. Raises a Refusal."""
    value, words = text(request, name), list(allowed)
    if value is not None and value not in words:
        raise wrong(name, "unknown_value", f"{name} must be one of {', '.join(words)}")
    return value


def whole(request: Request, name: str, *, default: int, most: int) -> int:
    """A whole number from 1 to `most`. Raises a Refusal."""
    value = text(request, name)
    if value is None:
        return default
    if not (value.isascii() and value.isdecimal() and len(value) < 10 and 1 <= int(value) <= most):
        raise wrong(name, "out_of_range", f"{name} must be a whole number from 1 to {most}")
    return int(value)


def limit(request: Request) -> int:
    """How many things of a list the page is to hold at most. Raises a Refusal."""
    return whole(request, "limit", default=USUALLY_LISTED, most=MOST_LISTED)


def flag(request: Request, name: str) -> bool:
    """Whether the parameter is `true`; `false` and nothing are the same. Raises a Refusal."""
    return choice(request, name, ("true", "false")) == "true"


def wrong(name: str, code: str, message: str) -> Refusal:
    """The refusal of one parameter."""
    return Refusal(InvalidField, message, [FieldError(code=code, message=message, parameter=name)])
