"""Fast routes: routes without FastAPI's search for parameters and dependencies, which costs about 50 us a request.

FastAPI still matches the path and writes the OpenAPI document; the endpoint is called by Starlette's own wrapper, which
handles errors in the same way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction, signature

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.routing import request_response


def make_fast(route: APIRoute) -> None:
    """Makes the route call its endpoint with the request and the path parameters only.

    Raises TypeError for an endpoint with other arguments or dependencies.
    """
    endpoint: Callable[..., Awaitable[Response]] = route.endpoint
    known = route.dependant
    words = [one.name for one in known.path_params if one.field_info.annotation is str]
    if (
        list(signature(endpoint).parameters) != [known.request_param_name, *words]
        or known.dependencies
        or not iscoroutinefunction(endpoint)
    ):
        message = (
            f"{route.name} must be a coroutine that takes the request and the path parameters as text, and nothing else"
        )
        raise TypeError(message)
    if not words:
        route.app = request_response(endpoint)
        return

    async def answer(request: Request) -> Response:
        return await endpoint(request, **request.path_params)

    route.app = request_response(answer)
