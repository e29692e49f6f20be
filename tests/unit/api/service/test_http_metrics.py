from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from api.app import create_app
from api.service.http_metrics import MetricsMiddleware, Requests
from shared.settings import Settings


def answered(requests: Requests, *, method: str = "GET", status: int = 200, **scope: Any) -> None:
    """One request."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        pass

    route = SimpleNamespace(path="/v1/jobs/{job_id}")

    async def serve() -> None:
        await MetricsMiddleware(app, requests)(
            {"type": "http", "method": method, "route": route, **scope}, receive, send
        )

    asyncio.run(serve())


def samples(requests: Requests, name: str) -> dict[tuple[str, ...], float]:
    found = [sample for family in requests.collect() for sample in family.samples if sample.name == name]
    return {tuple(sample.labels.values()): sample.value for sample in found}


def test_answers_are_counted_by_the_template_of_their_route() -> None:
    requests = Requests()
    for status in (200, 200, 404):
        answered(requests, status=status)
    answered(requests, route=None, status=404)
    assert samples(requests, "troupe_http_requests_total") == {
        ("/v1/jobs/{job_id}", "GET", "200"): 2,
        ("/v1/jobs/{job_id}", "GET", "404"): 1,
        ("none", "GET", "404"): 1,
    }
    assert samples(requests, "troupe_http_request_seconds_count")["/v1/jobs/{job_id}", "GET"] == 3


def test_methods_that_callers_make_up_are_one() -> None:
    requests = Requests()
    for number in range(5):
        answered(requests, method=f"HACK{number}", status=405)
    assert samples(requests, "troupe_http_requests_total") == {("/v1/jobs/{job_id}", "other", "405"): 5}


def test_a_request_that_waits_is_counted_but_not_timed() -> None:
    requests = Requests()
    answered(requests, waits=True)
    assert samples(requests, "troupe_http_requests_total") == {("/v1/jobs/{job_id}", "GET", "200"): 1}
    assert samples(requests, "troupe_http_request_seconds_count") == {("/v1/jobs/{job_id}", "GET"): 0}


def test_a_request_that_breaks_the_app_is_a_500() -> None:
    app = create_app(Settings())

    @app.get("/breaks")
    async def breaks() -> None:
        message = "a bug"
        raise RuntimeError(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        pass

    app.state.context = SimpleNamespace(settings=Settings(), read_limit=SimpleNamespace(is_enabled=False))
    scope = {"type": "http", "method": "GET", "path": "/breaks", "headers": [], "query_string": b""}

    async def serve() -> None:
        await app(scope, receive, send)

    with pytest.raises(RuntimeError):
        asyncio.run(serve())
    assert samples(app.state.metrics_endpoint.requests, "troupe_http_requests_total") == {("/breaks", "GET", "500"): 1}
