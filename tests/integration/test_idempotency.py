"""A request that names a key is done once: with the real API, and around a route that does as the test says."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from api.auth.middleware import AccessMiddleware
from api.context import open_context
from api.idempotency import Idempotency, new_id
from shared.settings import Settings
from shared.store.connection import connect
from tests.support.api_server import ApiServer, png_bytes

KEY = "Idempotency-Key"
Reply = Callable[[Request], Response]


def keyed() -> dict[str, str]:
    return {KEY: uuid.uuid4().hex}


def submit(
    client: httpx.Client, headers: dict[str, str], prompt: str = "a man", colour: str = "teal"
) -> httpx.Response:
    form = {"prompt": prompt, "phrase": "the man"}
    return client.post("/v1/jobs", data=form, files={"photo": ("me.png", png_bytes(colour=colour))}, headers=headers)


def jobs(server: ApiServer) -> set[str]:
    with connect(server.settings) as redis:
        return {str(key) for key in redis.scan_iter(f"{server.settings.key_prefix}:job:*")}


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_the_same_request_again_gets_the_first_answer(server: ApiServer, client: httpx.Client) -> None:
    before, headers = jobs(server), keyed()
    # httpx frames a form differently each time: it is the same form.
    first, second = submit(client, headers), submit(client, headers)
    assert (second.status_code, second.content) == (202, first.content)
    assert second.headers["location"] == first.headers["location"]
    assert second.headers["etag"] == first.headers["etag"]
    assert ("idempotency-replayed" in first.headers, second.headers["idempotency-replayed"]) == (False, "true")
    assert len(jobs(server) - before) == 1


def test_the_first_answer_stays_when_the_job_goes_on(server: ApiServer, client: httpx.Client) -> None:
    headers = keyed()
    first = submit(client, headers)
    client.post(first.json()["urls"]["cancel"])
    assert submit(client, headers).content == first.content


def test_the_key_may_be_written_in_quotes(client: httpx.Client) -> None:
    word = uuid.uuid4().hex
    assert submit(client, {KEY: word}).content == submit(client, {KEY: f'"{word}"'}).content


@pytest.mark.parametrize("change", [{"prompt": "a woman"}, {"colour": "red"}])
def test_another_body_under_the_same_key_is_refused(
    server: ApiServer, client: httpx.Client, change: dict[str, str]
) -> None:
    headers = keyed()
    submit(client, headers)
    before = jobs(server)
    refused(submit(client, headers, **change), 422, "idempotency_mismatch")
    huge = client.post("/v1/jobs", content=b" " * 900_000, headers={**headers, "Content-Type": "application/json"})
    refused(huge, 422, "idempotency_mismatch")
    assert jobs(server) == before


def test_the_same_key_elsewhere_is_another_key(client: httpx.Client) -> None:
    headers = keyed()
    job = submit(client, headers).json()
    for _ in range(2):
        answer = client.post(job["urls"]["cancel"], headers=headers)
        assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    assert answer.headers["idempotency-replayed"] == "true"


def test_a_refused_request_leaves_its_key_free(client: httpx.Client) -> None:
    headers, data = keyed(), png_bytes(colour="plum")
    photo = "3d0cbb0f8b1bcf2a3dd9aef1ac26dd6ff7eb2b0a29cf2f5b1ffc71a0eac1eac5"
    job = {"prompt": "a man", "concepts": [{"phrase": "the man", "photos": [photo]}]}
    refused(client.post("/v1/jobs", json=job, headers=headers), 422, "unknown_photo")
    job["concepts"][0]["photos"] = [client.post("/v1/photos", files={"photo": data}).json()["id"]]  # type: ignore[index]
    assert client.post("/v1/jobs", json=job, headers=headers).status_code == 202


def test_a_photo_is_told_as_new_again(client: httpx.Client) -> None:
    headers, data = keyed(), png_bytes(colour="lime")
    responses = [client.post("/v1/photos", files={"photo": data}, headers=headers).status_code for _ in range(2)]
    assert responses == [201, 201]
    assert client.post("/v1/photos", files={"photo": data}).status_code == 200


@pytest.mark.parametrize("key", [b"", b'""', b"two words", b'a"b', b"\xe9", b"x" * 256])
def test_a_strange_key_is_pointed_at(client: httpx.Client, key: bytes) -> None:
    answer = client.post("/v1/photos", content=b"", headers=[(KEY.encode(), key)])
    assert refused(answer, 422, "invalid_field")["errors"][0]["parameter"] == KEY


def test_of_many_at_once_one_is_done(server: ApiServer) -> None:
    before, headers = jobs(server), keyed()

    def send(_: int) -> httpx.Response:
        with server.client() as client:
            return submit(client, headers)

    with ThreadPoolExecutor(12) as callers:
        responses = list(callers.map(send, range(12)))
    done = [answer for answer in responses if answer.status_code == 202]
    for answer in responses:
        if answer not in done:
            refused(answer, 409, "idempotency_running")
            assert int(answer.headers["retry-after"]) >= 1
    assert len({answer.content for answer in done}) == len(jobs(server) - before) == 1


def test_answers_are_kept_for_a_day_and_take_little(server: ApiServer, client: httpx.Client) -> None:
    with connect(server.settings) as redis:
        names = f"{server.settings.key_prefix}:response:*"
        before = set(redis.scan_iter(names))
        submit(client, keyed())
        (name,) = set(redis.scan_iter(names)) - before
        assert 86_000 < int(redis.ttl(name)) <= 86_400
        assert int(redis.memory_usage(name)) < 1500


@asynccontextmanager
async def around(settings: Settings, reply: Reply) -> AsyncIterator[httpx.AsyncClient]:
    """An app of one route with a key, and somebody to ask it."""
    app = FastAPI()
    app.add_middleware(AccessMiddleware)

    async def route(request: Request) -> Response:
        await request.body()
        # The reply may wait for the test.
        answer = reply(request)
        return await answer if asyncio.iscoroutine(answer) else answer

    app.add_api_route("/made", route, methods=["POST"])
    app.routes[-1].app = Idempotency(app.routes[-1].app)  # type: ignore[attr-defined]
    async with open_context(settings) as context:
        app.state.context = context
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client


def test_the_same_request_while_the_first_runs_is_told_so(settings: Settings) -> None:
    async def scene() -> None:
        began, go_on = asyncio.Event(), asyncio.Event()

        async def wait() -> Response:
            began.set()
            await go_on.wait()
            return Response("done", 201)

        async with around(settings, lambda _: wait()) as client:  # type: ignore[arg-type,return-value]
            first = asyncio.create_task(client.post("/made", headers={KEY: "k"}))
            await began.wait()
            refused(await client.post("/made", headers={KEY: "k"}), 409, "idempotency_running")
            go_on.set()
            assert (await first).status_code == 201
            assert (await client.post("/made", headers={KEY: "k"})).text == "done"

    asyncio.run(scene())


@pytest.mark.parametrize("breaks", [503, 500, RuntimeError("a bug")])
def test_what_broke_is_done_over_under_the_same_id(settings: Settings, breaks: int | Exception) -> None:
    ids: list[str] = []

    def reply(request: Request) -> Response:
        ids.append(new_id(request))
        if len(ids) > 1:
            return Response("made")
        if isinstance(breaks, Exception):
            raise breaks
        return Response(status_code=breaks)

    async def scene() -> None:
        async with around(settings, reply) as client:
            assert (await client.post("/made", content=b"x", headers={KEY: "k"})).status_code >= 500
            assert (await client.post("/made", content=b"x", headers={KEY: "k"})).text == "made"

    asyncio.run(scene())
    assert ids[0] == ids[1]


def test_what_died_with_its_process_is_done_over_under_the_same_id(settings: Settings) -> None:
    ids: list[str] = []

    def reply(request: Request) -> Response:
        ids.append(new_id(request))
        if len(ids) == 1:
            # As a process that goes: nothing is told to Redis any more.
            raise asyncio.CancelledError
        return Response("made")

    async def scene() -> None:
        async with around(settings, reply) as client:
            with pytest.raises(asyncio.CancelledError):
                await client.post("/made", content=b"x", headers={KEY: "k"})
            refused(await client.post("/made", content=b"x", headers={KEY: "k"}), 409, "idempotency_running")
            with connect(settings) as redis:
                (name,) = redis.scan_iter(f"{settings.key_prefix}:response:*")
                redis.hset(name, "until", 1)
            assert (await client.post("/made", content=b"x", headers={KEY: "k"})).text == "made"

    asyncio.run(scene())
    assert ids[0] == ids[1]


def test_another_body_gives_another_id_even_after_a_break(settings: Settings) -> None:
    ids: list[str] = []

    def reply(request: Request) -> Response:
        ids.append(new_id(request))
        return Response(status_code=503)

    async def scene() -> None:
        async with around(settings, reply) as client:
            for content in (b"x", b"y", b"x"):
                await client.post("/made", content=content, headers={KEY: "k"})

    asyncio.run(scene())
    assert ids[0] == ids[2] != ids[1]


def test_without_a_key_every_request_makes_its_own(settings: Settings) -> None:
    async def scene() -> None:
        async with around(settings, lambda request: Response(new_id(request))) as client:
            first, second = [(await client.post("/made")).text for _ in range(2)]
            assert first != second
            assert len(first) == 32

    asyncio.run(scene())
