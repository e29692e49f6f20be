"""Whether an answer is one that the OpenAPI document has: again at in every test that asks over HTTP."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import httpx

from api.app import create_app
from api.http.problems import PROBLEM_TYPE
from shared.settings import Settings

# What is answered where nothing is served, or not with this method: no operation has it.
ELSEWHERE = {"route_not_found", "method_not_allowed", "unauthorized"}


def check_answer(answer: httpx.Response) -> None:
    """Fails for a status or a code that the document does not have for this operation."""
    method = answer.request.method.replace("HEAD", "GET")
    operation = _operation(method, answer.request.url.path)
    code = None
    if answer.headers.get("content-type") == PROBLEM_TYPE and answer.request.method != "HEAD":
        code = answer.read() and answer.json()["code"]
    if operation is None:
        assert code in {*ELSEWHERE, None}, f"{method} {answer.request.url.path} is not in the document, but says {code}"
        return
    if code == "route_not_found":
        return
    known = operation["responses"].get(str(answer.status_code))
    where = f"{method} {answer.request.url.path}: {answer.status_code} {code or ''}"
    assert known is not None, f"the document has no such answer: {where}"
    if code is not None:
        assert code in known["content"][PROBLEM_TYPE]["examples"], f"the document has no such code: {where}"


def _operation(method: str, path: str) -> dict[str, Any] | None:
    for pattern, operations in _operations():
        if pattern.fullmatch(path) and method.lower() in operations:
            found: dict[str, Any] = operations[method.lower()]
            return found
    return None


@cache
def _operations() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    paths = create_app(Settings()).openapi()["paths"]
    return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), operations) for path, operations in paths.items()]
