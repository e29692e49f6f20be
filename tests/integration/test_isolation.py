"""A thing of another tenant answers exactly as one that never was."""

from __future__ import annotations

import asyncio
import uuid

import httpx
import pytest

from api.app import create_app
from api.photos.decode import photo_id
from shared.settings import Settings
from shared.store import keys
from shared.store.connection import connect, connect_async
from shared.store.jobs.store import AsyncJobStore
from tests.support.api_server import ApiServer, png_bytes
from tests.support.queue_records import spec_of


def of_another(server: ApiServer) -> str:
    """A finished job of another tenant: its id."""
    job_id = uuid.uuid4().hex

    async def submit() -> None:
        async with connect_async(server.settings) as redis:
            await AsyncJobStore(redis, server.settings).submit(job_id, spec_of("a beach"), tenant="another")

    asyncio.run(submit())
    server.run_stages(job_id)
    return job_id


def of_a_job() -> list[tuple[str, str]]:
    """Every method and address that names a job."""
    paths = create_app(Settings()).openapi()["paths"]
    found = [(method.upper(), path) for path, methods in paths.items() for method in methods if "{job_id}" in path]
    return [*found, *(("HEAD", path) for method, path in found if method == "GET")]


@pytest.mark.parametrize(("method", "path"), of_a_job())
def test_another_tenants_job_answers_as_one_that_never_was(
    server: ApiServer, client: httpx.Client, method: str, path: str
) -> None:
    theirs = client.request(method, path.replace("{job_id}", of_another(server)))
    never = client.request(method, path.replace("{job_id}", uuid.uuid4().hex))
    assert (theirs.status_code, theirs.content) == (never.status_code, never.content)
    assert theirs.status_code == 404
    assert told(theirs) == told(never)


def test_another_tenants_photo_is_unknown(server: ApiServer, client: httpx.Client) -> None:
    data = png_bytes(colour="olive")
    photo = photo_id(data)

    async def remember() -> None:
        async with connect_async(server.settings) as redis:
            await AsyncJobStore(redis, server.settings).keep_photo("another", photo)

    asyncio.run(remember())
    asked = {"prompt": "a man", "concepts": [{"phrase": "the man", "photos": [photo]}]}
    answer = client.post("/v1/jobs", json=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_photo")
    # And sending it is not answered with "was there already".
    assert client.post("/v1/photos", content=data, headers={"Content-Type": "image/png"}).status_code == 201


def test_another_tenants_log_is_not_told_and_what_is_tried_on_their_things_is_in_none(
    server: ApiServer, client: httpx.Client
) -> None:
    data, mine = png_bytes(colour="navy"), client.get("/v1/audit").json()

    async def remember() -> None:
        async with connect_async(server.settings) as redis:
            await AsyncJobStore(redis, server.settings).keep_photo("another", photo_id(data), by="their-key")

    asyncio.run(remember())
    theirs = of_another(server)
    for path in (f"/v1/jobs/{theirs}/picture", f"/v1/photos/{photo_id(data)}"):
        assert client.get(path).status_code == 404
    assert client.delete(f"/v1/photos/{photo_id(data)}").status_code == 404
    assert client.get("/v1/audit").json() == mine
    with connect(server.settings) as redis:
        ((place, fields),) = redis.xrange(keys.audit_key(server.settings.key_prefix, "another"))
    assert (fields["a"], fields["k"]) == ("photo.uploaded", "their-key")
    # The place of another tenant's entry is a place like any: it leads to nothing of theirs.
    assert client.get("/v1/audit", params={"cursor": place}).json()["entries"] == mine["entries"]


def told(answer: httpx.Response) -> dict[str, str]:
    """The headers, but for the time of day."""
    return {name: value for name, value in answer.headers.items() if name != "date"}
