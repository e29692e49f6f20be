"""Routes without FastAPI's search for parameters and dependencies, which costs every request about 50 us of a core.

FastAPI's route stays: it finds the address and writes the document. Only what it calls is another: Starlette's own
wrapper, which answers errors by the same table.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction, signature

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.routing import request_response


def make_fast(route: APIRoute) -> None:
    """The route calls its endpoint with the request, and with the words of the address by their names.

    Raises TypeError for an endpoint that asks FastAPI for more: it would not get it.
    """
    endpoint: Callable[..., Awaitable[Response]] = route.endpoint
    known = route.dependant
    words = [one.name for one in known.path_params if one.field_info.annotation is str]
    if (
        list(signature(endpoint).parameters) != [known.request_param_name, *words]
        or known.dependencies
        or not iscoroutinefunction(endpoint)
    ):
        message = f"{route.name} must be a coroutine of a request and of words of its address, and of nothing else"
        raise TypeError(message)
    if not words:
        route.app = request_response(endpoint)
        return

    async def answer(request: Request) -> Response:
        return await endpoint(request, **request.path_params)

    route.app = request_response(answer)
