"""Which endpoints a route calls directly, and with what."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import Depends, FastAPI, Request, Response
from fastapi.routing import APIRoute

from api.http.fast_routes import make_fast


async def word() -> str:
    return "a word"


async def wants_a_parameter_of_the_query(request: Request, limit: int = 5) -> Response:
    return Response(f"{request.method}{limit}")


async def wants_a_number_of_the_address(request: Request, place: int) -> Response:
    return Response(f"{request.method}{place}")


async def wants_no_request(name: str) -> Response:
    return Response(name)


def is_no_coroutine(request: Request) -> Response:
    return Response(request.method)


async def wants_all_its_words(request: Request, place: str, name: str) -> Response:
    return Response(f"{request.method} {name} {place}")


@pytest.mark.parametrize(
    "route",
    [
        APIRoute("/", wants_a_parameter_of_the_query),
        APIRoute("/{place}", wants_a_number_of_the_address),
        APIRoute("/{name}", wants_no_request),
        APIRoute("/", is_no_coroutine),
        APIRoute("/{name}/{place}", wants_all_its_words, dependencies=[Depends(word)]),
    ],
    ids=lambda route: route.name,
)
def test_an_endpoint_that_asks_fastapi_for_more_is_refused_at_the_start(route: APIRoute) -> None:
    with pytest.raises(TypeError, match=route.name):
        make_fast(route)


def test_an_endpoint_gets_the_words_of_its_address_by_their_names() -> None:
    app = FastAPI()
    route = APIRoute("/{name}/{place}", wants_all_its_words)
    make_fast(route)
    app.router.routes.append(route)

    async def asked() -> str:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://me") as me:
            return (await me.get("/anna/left%20side")).text

    assert asyncio.run(asked()) == "GET anna left side"
