"""Photos by a signed address: exactly as large as was said, checked like any, and thrown away when nobody asks."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from api.context import open_context
from api.photos.decode import photo_id
from api.photos.intake import PhotoSource
from api.photos.uploads import accept_upload
from shared.blob_store import BlobStore, photo_key, upload_key
from shared.errors import RecordsUnavailable
from tests.support.api_server import ApiServer, png_bytes
from tests.support.servers import fresh_settings, redis_server

UPLOADS = "/v1/photos/uploads"


@pytest.fixture(scope="module")
def more_settings() -> Mapping[str, object]:
    return {"max_photo_bytes": 100_000, "sweep_every_s": 3600}


def sent(client: httpx.Client, data: bytes) -> str:
    """An upload whose bytes have come; gives its id."""
    answer = client.post(UPLOADS, json={"bytes": len(data)})
    assert answer.status_code == 201, answer.text
    assert httpx.put(answer.json()["url"], content=data).status_code == 200
    upload: str = answer.json()["id"]
    return upload


def why(answer: httpx.Response) -> tuple[int, str, str | None]:
    problem = answer.json()
    return answer.status_code, problem["code"], problem["errors"][0]["pointer"] if "errors" in problem else None


def test_a_photo_comes_by_a_signed_address_and_is_like_any_other(server: ApiServer, client: httpx.Client) -> None:
    data = png_bytes() + uuid.uuid4().bytes
    upload = sent(client, data)
    kept = client.post("/v1/photos", json={"upload": upload})
    assert (kept.status_code, kept.json()) == (201, {"id": photo_id(data)})
    people = [{"phrase": "the man", "photos": [kept.json()["id"]]}]
    assert client.post("/v1/jobs", json={"prompt": "a man", "concepts": people}).status_code == 202
    # It was taken: it is not there any more, and cannot be taken twice.
    assert not BlobStore(server.settings).exists(upload_key("default", upload))
    assert why(client.post("/v1/photos", json={"upload": upload})) == (422, "unknown_upload", "/upload")
    assert client.post("/v1/photos", json={"upload": sent(client, data)}).status_code == 200


def test_the_address_takes_one_size_and_one_place(client: httpx.Client) -> None:
    data = png_bytes()
    made = client.post(UPLOADS, json={"bytes": len(data)}).json()
    assert (made["bytes"], made["expires_in_s"]) == (len(data), 900)
    assert httpx.put(made["url"], content=data + b"x").status_code == 403
    assert httpx.put(made["url"].replace("/uploads/", "/photos/"), content=data).status_code == 403
    assert httpx.get(made["url"]).status_code == 403
    assert why(client.post("/v1/photos", json={"upload": made["id"]})) == (422, "unknown_upload", "/upload")


def test_what_is_no_photo_is_refused_and_not_kept(server: ApiServer, client: httpx.Client) -> None:
    upload = sent(client, b"no picture at all")
    assert why(client.post("/v1/photos", json={"upload": upload})) == (422, "not_a_picture", "/upload")
    assert not BlobStore(server.settings).exists(upload_key("default", upload))


def test_an_upload_larger_than_a_photo_may_be_is_refused_and_not_kept(server: ApiServer, client: httpx.Client) -> None:
    # Not by a signed address: that takes no more than was said.
    upload, blobs = uuid.uuid4().hex, BlobStore(server.settings)
    blobs.put(upload_key("default", upload), bytes(100_001), "image/png")
    assert why(client.post("/v1/photos", json={"upload": upload})) == (413, "picture_too_large", "/upload")
    assert not blobs.exists(upload_key("default", upload))


def test_an_upload_outlives_an_outage_and_is_taken_when_it_is_over(s3_url: str, tmp_path: Path) -> None:
    data, upload = png_bytes(), uuid.uuid4().hex
    body = json.dumps({"upload": upload}).encode()
    with redis_server(tmp_path) as redis:
        settings = fresh_settings(redis.url, s3_url)
        blobs = BlobStore(settings)
        blobs.ensure_bucket()
        blobs.put(upload_key("default", upload), data, "image/png")

        async def taken() -> tuple[str, bool]:
            async with open_context(settings) as context:
                redis.kill()
                with pytest.raises(RecordsUnavailable):
                    await accept_upload(context, "default", body, PhotoSource(by=""))
                assert blobs.exists(upload_key("default", upload))
                await asyncio.to_thread(redis.start)
                return await accept_upload(context, "default", body, PhotoSource(by=""))

        assert asyncio.run(taken()) == (photo_id(data), True)
    assert blobs.exists(photo_key("default", photo_id(data)))
    assert not blobs.exists(upload_key("default", upload))


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (UPLOADS, {"bytes": 100_001}, (413, "picture_too_large", "/bytes")),
        (UPLOADS, {"bytes": 0}, (422, "invalid_field", "/bytes")),
        (UPLOADS, {"bytes": "9"}, (422, "invalid_field", "/bytes")),
        (UPLOADS, {}, (422, "invalid_field", "/bytes")),
        ("/v1/photos", {"upload": "../photos/x"}, (422, "invalid_field", "/upload")),
        ("/v1/photos", {"upload": "0" * 32}, (422, "unknown_upload", "/upload")),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(
    client: httpx.Client, path: str, body: object, expected: tuple[int, str, str]
) -> None:
    assert why(client.post(path, json=body)) == expected


def test_uploads_that_nobody_asks_for_are_thrown_away(server: ApiServer, client: httpx.Client) -> None:
    upload = sent(client, png_bytes())
    blobs = BlobStore(server.settings)

    async def collect(older_than_s: float) -> bool:
        async with open_context(server.settings) as context:
            await context.eraser.collect(older_than_s=older_than_s)
        return blobs.exists(upload_key("default", upload))

    assert asyncio.run(collect(3600))
    assert not asyncio.run(collect(-5))
