"""A dry run checks all there is to check, tells the cost, and leaves nothing behind."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from shared.blob_store import BlobStore
from shared.store.connection import connect
from shared.store.units import encode_units
from tests.support.api_server import ApiServer, png_bytes
from tests.support.queue_records import Records

JSONL = {"Content-Type": "application/jsonl"}
DRY = {"dry_run": "true"}


def everything(server: ApiServer) -> set[str]:
    """Names of all there is in Redis and in the bucket, but for those that go by themselves."""
    passing = (":lock:erase", ":lock:collect", ":events", ":largest")
    with connect(server.settings) as redis:
        names = {str(name) for name in redis.scan_iter(f"{server.settings.key_prefix}:*")}
    names = {name for name in names if not name.endswith(passing) and ":rate:" not in name and ":spent:" not in name}
    return names | {blob.key for blob in BlobStore(server.settings).listed("")}


def job(photo: str, **changed: Any) -> dict[str, Any]:
    sampling = {"steps": 10, "width_px": 128, "height_px": 128}
    return {"prompt": "a", "concepts": [{"phrase": "b", "photos": [photo]}], "sampling": sampling, **changed}


@pytest.fixture
def photo(client: httpx.Client) -> str:
    return str(client.post("/v1/photos", files={"photo": png_bytes()}).json()["id"])


def test_a_job_is_estimated_and_not_queued(server: ApiServer, client: httpx.Client, photo: str) -> None:
    before = everything(server)
    answer = client.post("/v1/jobs", json=job(photo), params=DRY)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["dry_run"], found["lane"], found["units"]) == (True, "interactive", pytest.approx(0.328, abs=0.001))
    assert found["eta_s"] is None
    fields = {"prompt": "a", "phrase": "b"}
    files = {"photo": png_bytes(colour="teal")}
    assert client.post("/v1/jobs", data=fields, files=files, params=DRY).status_code == 200
    assert everything(server) == before
    with connect(server.settings) as redis:
        redis.set(f"{server.settings.key_prefix}:speed", encode_units(0.32768))
    assert client.post("/v1/jobs", json=job(photo), params=DRY).json()["eta_s"] == pytest.approx(1, abs=0.1)
    waits = client.post("/v1/jobs", json=job(photo))
    assert waits.status_code == 202
    assert client.post("/v1/jobs", json=job(photo, lane="batch"), params=DRY).json()["eta_s"] == pytest.approx(
        2, abs=0.1
    )
    client.delete(waits.headers["location"])
    with connect(server.settings) as redis:
        redis.delete(f"{server.settings.key_prefix}:speed")


@pytest.mark.parametrize("params", [{}, DRY])
def test_what_is_refused_in_earnest_is_refused_dry(client: httpx.Client, photo: str, params: dict[str, str]) -> None:
    unknown = client.post("/v1/jobs", json=job("0" * 64), params=params)
    assert (unknown.status_code, unknown.json()["code"]) == (422, "unknown_photo")
    size = client.post("/v1/jobs", json=job(photo, sampling={"width_px": 4096, "height_px": 4096}), params=params)
    assert (size.status_code, size.json()["code"]) == (422, "size_not_allowed")
    lines = json.dumps({"custom_id": "x"})
    strict = client.post("/v1/batches", content=lines, headers=JSONL, params={**params, "strict": "true"})
    assert (strict.status_code, strict.json()["code"]) == (422, "batch_refused")
    empty = client.post("/v1/batches", content="", headers=JSONL, params=params)
    assert (empty.status_code, empty.json()["code"]) == (422, "invalid_field")


def test_a_batch_is_estimated_line_by_line(server: ApiServer, client: httpx.Client, photo: str) -> None:
    before = everything(server)
    lines = [*({"custom_id": str(number), **job(photo)} for number in range(3)), {"custom_id": "0", **job(photo)}]
    text = "\n".join(json.dumps(line) for line in lines)
    answer = client.post("/v1/batches", content=text, headers=JSONL, params=DRY)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["dry_run"], found["lane"], found["lines"], found["invalid"]) == (True, "batch", 4, 1)
    assert found["units"] == pytest.approx(3 * 0.328, abs=0.002)
    assert [one["line"] for one in found["errors"]] == [4]
    asked = {"scenes": [{"prompt": "a"}, {"prompt": "b"}], "casts": [{"concepts": job(photo)["concepts"]}]}
    product = client.post("/v1/batches", json={**asked, "mode": "product"}, params=DRY)
    assert (product.status_code, product.json()["lines"]) == (200, 2), product.text
    file = client.post("/v1/batches", files={"file": text.encode()}, params=DRY)
    assert file.json()["lines"] == 4
    assert everything(server) == before


def test_units_are_looked_at_and_not_taken(server: ApiServer, client: httpx.Client, photo: str) -> None:
    records = Records(settings=server.settings)
    records.limit("default", daily_units=1.0)
    try:
        for _ in range(5):
            answer = client.post("/v1/jobs", json=job(photo), params=DRY)
            assert answer.status_code == 200
        text = "\n".join(json.dumps({"custom_id": str(number), **job(photo)}) for number in range(4))
        much = client.post("/v1/batches", content=text, headers=JSONL, params=DRY)
        assert (much.status_code, much.json()["code"]) == (429, "quota_exceeded")
        assert '"units";r=1' in answer.headers["ratelimit"]
    finally:
        records.limit("default")
        records.close()


def test_photos_that_are_still_to_come_are_no_error_of_a_dry_run_that_says_so(client: httpx.Client) -> None:
    later = {"unsent_photos": "true"}
    line = json.dumps({"custom_id": "a", **job("f" * 64)})

    def estimate(text: str, params: dict[str, str]) -> tuple[int, float]:
        answer = client.post("/v1/batches", content=text, headers=JSONL, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()["invalid"], answer.json()["units"]

    assert estimate(line, DRY) == (1, 0)
    invalid, units = estimate(line, {**DRY, **later})
    assert (invalid, units) == (0, 0.328)
    # All else is checked.
    assert estimate(f"{line}\n{line}", {**DRY, **later})[0] == 1
    product = {"scenes": [{"prompt": "a"}], "casts": [{"concepts": job("f" * 64)["concepts"]}]}
    assert client.post("/v1/batches", json=product, params={**DRY, **later}).json()["invalid"] == 0
    earnest = client.post("/v1/batches", content=line, headers=JSONL, params=later)
    assert (earnest.status_code, earnest.json()["errors"][0]["parameter"]) == (422, "unsent_photos")
