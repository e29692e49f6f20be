"""The app as a whole, without any server behind it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from api.app import create_app
from api.http.problems import PROBLEM_TYPE
from compose.servers import HOST, free_port
from shared.settings import Settings

# What only FastAPI's own wrapper of an endpoint leaves in a scope.
_SEARCHED = "fastapi_inner_astack"
_LOOK = f"/v1/jobs/{'0' * 32}"
ROUTES = [route for route in create_app(Settings()).routes if isinstance(route, APIRoute)]
ADDRESSES = sorted((method, route.path) for route in ROUTES for method in route.methods or ())


class Seen:
    """An app, and the scope of the last request to it."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self.scope: Scope = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        self.scope = scope
        await self._app(scope, receive, send)


def apart() -> FastAPI:
    """The API while neither Redis nor S3 is there."""
    nobody = f"{HOST}:{free_port()}"
    return create_app(Settings(redis_url=f"redis://{nobody}/0", s3_endpoint_url=f"http://{nobody}"))


def ask(
    app: FastAPI, requests: Sequence[tuple[str, str]], *, broken: bool = False
) -> list[tuple[httpx.Response, Scope]]:
    """The answers to these requests, and their scopes as they were left. broken: no route finds the records of jobs."""
    seen, found = Seen(app), []

    async def asked() -> None:
        transport = httpx.ASGITransport(seen, raise_app_exceptions=False)
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://me") as me:
            if broken:
                app.state.context = replace(app.state.context, jobs=None)
            for method, path in requests:
                found.append((await me.request(method, path), seen.scope))

    asyncio.run(asked())
    return found


@pytest.fixture(scope="module")
def answered() -> dict[tuple[str, str], tuple[httpx.Response, Scope]]:
    """Of every address, what it answers and its scope, with nobody at the door: no route knows who asks."""
    app = apart()
    app.user_middleware.clear()
    paths = [(method, path.replace("{", "").replace("}", "")) for method, path in ADDRESSES]
    return dict(zip(ADDRESSES, ask(app, paths), strict=True))


def test_the_api_loads_without_torch_celery_or_the_worker() -> None:
    code = "import api.__main__, sys; print([name for name in ('torch', 'celery', 'worker') if name in sys.modules])"
    seen = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert seen.stdout.strip() == "[]"


@pytest.mark.parametrize("address", ADDRESSES, ids=" ".join)
def test_every_route_is_served_without_fastapis_search_for_parameters(
    answered: dict[tuple[str, str], tuple[httpx.Response, Scope]], address: tuple[str, str]
) -> None:
    answer, scope = answered[address]
    assert scope["route"].path == address[1]
    assert _SEARCHED not in scope
    if answer.is_error and address[1] != "/readyz":
        assert answer.headers["content-type"] == PROBLEM_TYPE
        assert answer.status_code != 500


def test_fastapis_own_wrapper_leaves_what_the_test_above_looks_for() -> None:
    app = FastAPI()

    @app.get("/")
    async def look() -> None: ...

    [(_, scope)] = ask(app, [("GET", "/")])
    assert _SEARCHED in scope


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/jobs/nobody", 404, "job_not_found"),
        ("GET", _LOOK, 503, "records_unavailable"),
        ("GET", f"{_LOOK}?wait=soon", 422, "invalid_field"),
        ("POST", "/v1/jobs", 503, "records_unavailable"),
        ("OPTIONS", "/v1/jobs", 405, "method_not_allowed"),
        ("GET", "/v1/nothing", 404, "route_not_found"),
    ],
)
def test_errors_are_problems_with_their_status(method: str, path: str, status: int, code: str) -> None:
    [(answer, _)] = ask(apart(), [(method, path)])
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM_TYPE)
    assert answer.json()["code"] == code


def test_a_bug_in_a_route_is_internal_and_tells_nothing() -> None:
    [(answer, _)] = ask(apart(), [("GET", _LOOK)], broken=True)
    assert (answer.status_code, answer.headers["content-type"]) == (500, PROBLEM_TYPE)
    assert (answer.json()["code"], answer.json()["detail"]) == (
        "internal",
        "an internal error; the server has logged it",
    )
