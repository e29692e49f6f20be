"""The API as a process of its own, on a real Redis-compatible server and a real S3 server."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from api.photos.decode import photo_id
from shared.job import Failure
from shared.stages import Stage
from shared.store.connection import connect
from shared.store.jobs.leases import JobStore
from tests.support.api_server import ApiServer, png_bytes

PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def more_settings() -> Mapping[str, object]:
    return {"max_photo_bytes": 200_000, "max_body_bytes": 50_000, "max_wait_s": 5}


def upload(client: httpx.Client, colour: str = "teal") -> str:
    answer = client.post("/v1/photos", files={"photo": ("me.png", png_bytes(colour=colour), "image/png")})
    assert answer.is_success
    photo_id: str = answer.json()["id"]
    return photo_id


def submit(client: httpx.Client, **changes: object) -> dict[str, Any]:
    answer = client.post("/v1/jobs", json=asked(client) | changes)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


def asked(client: httpx.Client) -> dict[str, Any]:
    return {"prompt": "a man on the beach", "concepts": [{"phrase": "the man", "photos": [upload(client)]}]}


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    return body


def test_a_photo_is_stored_once_and_named_by_its_bytes(client: httpx.Client) -> None:
    data = png_bytes(colour="plum")
    first = client.post("/v1/photos", files={"photo": ("a.png", data, "image/png")})
    second = client.post("/v1/photos", content=data, headers={"Content-Type": "image/png"})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()


def test_a_job_goes_from_submit_to_its_pictures(server: ApiServer, client: httpx.Client) -> None:
    answer = client.post("/v1/jobs", json=asked(client))
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == job["urls"]["self"] == f"/v1/jobs/{job['id']}"
    assert int(answer.headers["retry-after"]) >= 1
    queued = client.get(job["urls"]["self"]).json()
    assert (queued["status"], queued["done"], queued["queue"]["lane"]) == ("queued", False, "interactive")
    assert isinstance(queued["queue"]["position"], int)
    refused(client.get(f"/v1/jobs/{job['id']}/picture"), 409, "not_ready")

    server.run_stages(job["id"], until=Stage.DETECT)
    running = client.get(job["urls"]["self"]).json()
    assert (running["status"], running["queue"]) == ("running", None)
    assert client.get(running["urls"]["template"]).status_code == 307
    refused(client.get(f"/v1/jobs/{job['id']}/picture"), 409, "not_ready")

    server.run_stages(job["id"], first=Stage.PERSONALIZE)
    over = client.get(job["urls"]["self"]).json()
    assert (over["status"], over["done"], set(over["timings"])) == ("succeeded", True, {str(stage) for stage in Stage})
    for name in ("picture", "template", "masks"):
        redirect = client.get(over["urls"][name])
        assert redirect.status_code == 307
        assert redirect.headers["cache-control"] == "no-store"
        assert httpx.get(redirect.headers["location"]).content == png_bytes()


def test_what_was_left_empty_is_told_back(client: httpx.Client) -> None:
    sampling = submit(client)["spec"]["sampling"]
    assert (sampling["width_px"], sampling["height_px"], sampling["steps"]) == (128, 128, 20)
    assert isinstance(sampling["seed"], int)


def test_a_long_poll_ends_when_the_job_changes(server: ApiServer, client: httpx.Client) -> None:
    job = submit(client)
    played = threading.Timer(0.3, server.run_stages, [job["id"]], {"until": Stage.IDENTIFY})
    played.start()
    began = time.monotonic()
    answer = client.get(f"/v1/jobs/{job['id']}?wait=5", headers={"If-None-Match": f'W/"{job["sequence"]}"'})
    played.join()
    assert answer.status_code == 200
    assert answer.json()["sequence"] > job["sequence"]
    assert time.monotonic() - began < 4


def test_an_unchanged_job_is_304(client: httpx.Client) -> None:
    job = submit(client)
    first = client.get(f"/v1/jobs/{job['id']}")
    for tags in (first.headers["etag"], f'"{job["sequence"]}"', f'"99", {first.headers["etag"]}', "*"):
        answer = client.get(f"/v1/jobs/{job['id']}", headers={"If-None-Match": tags})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", first.headers["etag"])
    assert client.get(f"/v1/jobs/{job['id']}", headers={"If-None-Match": '"99"'}).status_code == 200
    began = time.monotonic()
    answer = client.get(f"/v1/jobs/{job['id']}?wait=0.4", headers={"If-None-Match": first.headers["etag"]})
    assert answer.status_code == 304
    assert time.monotonic() - began >= 0.4


def test_every_change_and_every_step_gives_a_job_another_etag(server: ApiServer, client: httpx.Client) -> None:
    path = submit(client)["urls"]["self"]
    tags = [client.get(path).headers["etag"]]

    def look() -> dict[str, Any]:
        answer = client.get(path, headers={"If-None-Match": tags[-1]})
        assert answer.status_code == 200
        tags.append(answer.headers["etag"])
        return dict(answer.json())

    job_id = path.rpartition("/")[2]
    server.run_stages(job_id, until=Stage.IDENTIFY)
    look()
    with connect(server.settings) as redis:
        store = JobStore(redis, server.settings)
        claim = store.claim(job_id, Stage.RENDER, worker="test", token="t")
        assert not isinstance(claim, str)
        assert look()["status"] == "running"
        for step in (1, 2):
            store.renew(job_id, claim.attempt, worker="test", progress=(step, 20))
            assert look()["progress"]["step"] == step
    assert len(set(tags)) == len(tags)


def test_a_job_that_is_over_is_not_waited_for(server: ApiServer, client: httpx.Client) -> None:
    job = submit(client)
    server.run_stages(job["id"])
    began = time.monotonic()
    assert client.get(f"/v1/jobs/{job['id']}?wait=5").json()["done"]
    assert time.monotonic() - began < 2


def test_prefer_wait_answers_200_when_the_job_is_done_in_time(server: ApiServer, client: httpx.Client) -> None:
    before = set(job_ids(server))

    def play_the_new_one() -> None:
        deadline, pause = time.monotonic() + 5, threading.Event()
        while not (new := set(job_ids(server)) - before) and time.monotonic() < deadline:
            pause.wait(0.02)
        server.run_stages(new.pop())

    worker = threading.Thread(target=play_the_new_one)
    body = asked(client)
    worker.start()
    answer = client.post("/v1/jobs", json=body, headers={"Prefer": "respond-async, wait=5"})
    worker.join()
    assert (answer.status_code, answer.headers["preference-applied"]) == (200, "wait=5")
    assert answer.json()["status"] == "succeeded"


def test_prefer_wait_answers_202_when_it_is_not(client: httpx.Client) -> None:
    answer = client.post("/v1/jobs", json=asked(client), headers={"Prefer": "wait=0"})
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert client.post("/v1/jobs", json=asked(client), headers={"Prefer": "wait=soon"}).status_code == 202


def test_head_answers_like_get_without_the_body(server: ApiServer, client: httpx.Client) -> None:
    job = submit(client)
    server.run_stages(job["id"])
    for path in ("/healthz", f"/v1/jobs/{job['id']}", f"/v1/jobs/{job['id']}/picture", f"/v1/jobs/{'0' * 32}"):
        head, get = client.head(path), client.get(path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        for name in ("content-type", "content-length", "etag"):
            assert head.headers.get(name) == get.headers.get(name)


def test_many_forms_at_once_are_all_served(client: httpx.Client) -> None:
    def send(number: int) -> int:
        form = {"prompt": f"number {number}", "phrase": ["the man", "the woman"]}
        photo = ("me.png", png_bytes(colour="olive"), "image/png")
        return client.post("/v1/jobs", data=form, files=[("photo", photo), ("photo", photo)]).status_code

    with ThreadPoolExecutor(16) as callers:
        assert list(callers.map(send, range(16))) == [202] * 16


def test_cancel_is_idempotent_and_the_picture_will_never_be(client: httpx.Client) -> None:
    job = submit(client)
    for _ in range(2):
        answer = client.post(job["urls"]["cancel"])
        assert (answer.status_code, answer.json()["status"], answer.json()["done"]) == (200, "canceled", True)
    body = refused(client.get(f"/v1/jobs/{job['id']}/picture"), 409, "no_picture")
    assert body["retryable"] is False


def test_a_failed_job_says_why(server: ApiServer, client: httpx.Client) -> None:
    job = submit(client)
    server.run_stages(job["id"], until=Stage.RENDER)
    with connect(server.settings) as redis:
        store = JobStore(redis, server.settings)
        claim = store.claim(job["id"], Stage.DETECT, worker="test", token=uuid.uuid4().hex)
        assert not isinstance(claim, str)
        failure = Failure(code="phrase_not_found", message="nobody is 'the man'", retryable=False, stage=Stage.DETECT)
        store.fail(job["id"], claim.attempt, failure)
    body = client.get(f"/v1/jobs/{job['id']}").json()
    assert (body["status"], body["done"]) == ("failed", True)
    assert body["error"] == failure.model_dump(mode="json")


def test_one_form_does_it_all_with_pairs(client: httpx.Client) -> None:
    form = {
        "prompt": "a man and a woman",
        "phrase": ["the man", "the woman"],
        "sampling": '{"seed": 3}',
        "lane": "batch",
    }
    red, blue = png_bytes(colour="red"), png_bytes(colour="blue")
    answer = client.post("/v1/jobs", data=form, files=[("photo", ("r.png", red)), ("photo", ("b.png", blue))])
    assert answer.status_code == 202, answer.text
    spec = answer.json()["spec"]
    assert [concept["phrase"] for concept in spec["concepts"]] == ["the man", "the woman"]
    assert [concept["photos"] for concept in spec["concepts"]] == [[upload(client, "red")], [upload(client, "blue")]]
    assert (spec["sampling"]["seed"], spec["lane"]) == (3, "batch")


@pytest.mark.parametrize("field", ["job", "concepts"])
def test_one_form_does_it_all_with_json_that_names_its_files(client: httpx.Client, field: str) -> None:
    known = upload(client, "gold")
    concepts = [{"phrase": "the man", "photos": ["front", known, "side"]}]
    job = {"prompt": "a man", "concepts": concepts}
    form = {"job": json.dumps(job)} if field == "job" else {"prompt": "a man", "concepts": json.dumps(concepts)}
    files = {name: (f"{name}.png", png_bytes(colour=colour)) for name, colour in (("front", "red"), ("side", "blue"))}
    answer = client.post("/v1/jobs", data=form, files=files)
    assert answer.status_code == 202, answer.text
    photos = answer.json()["spec"]["concepts"][0]["photos"]
    assert photos == [upload(client, "red"), known, upload(client, "blue")]


def test_the_job_field_may_be_a_file(client: httpx.Client) -> None:
    job = json.dumps({"prompt": "a man", "concepts": [{"phrase": "the man", "photos": ["me"]}]}).encode()
    answer = client.post("/v1/jobs", files={"job": ("job.json", job), "me": ("me.png", png_bytes())})
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize(
    ("form", "files", "status", "code", "pointer"),
    [
        ({"prompt": "x", "phrase": ["a", "b"]}, ["photo"], 422, "invalid_field", "/photo"),
        ({"prompt": "x", "phrase": "a", "concepts": "[]"}, ["photo"], 422, "invalid_field", "/phrase"),
        ({"job": "{}", "prompt": "x"}, ["photo"], 422, "invalid_field", "/prompt"),
        ({"prompt": ["x", "y"], "phrase": "a"}, ["photo"], 422, "invalid_field", "/prompt"),
        ({"prompt": "x", "phrase": "a", "hair": "red"}, ["photo"], 422, "invalid_field", "/hair"),
        ({"prompt": "x", "phrase": "a"}, ["photo", "extra"], 422, "invalid_field", "/extra"),
        ({"prompt": "x"}, ["photo"], 422, "invalid_field", "/photo"),
        ({"job": '{"concepts": [{"photos": ["me"]}]}'}, ["me", "me"], 422, "invalid_field", "/me"),
        ({"job": "{}", "photo": "0" * 64}, ["me"], 422, "invalid_field", "/photo/0"),
        ({"prompt": "x", "concepts": "[}"}, ["photo"], 400, "malformed_body", "/concepts"),
        ({"job": '{"prompt": "\\ud800"}'}, ["photo"], 400, "malformed_body", "/job"),
        ({"phrase": "a"}, ["photo"], 422, "invalid_field", "/prompt"),
        ({"prompt": "x", "phrase": ""}, ["photo"], 422, "invalid_field", "/concepts/0/phrase"),
        (
            {"prompt": "x", "phrase": "a", "sampling": '{"width_px": 100}'},
            ["photo"],
            422,
            "size_not_allowed",
            "/sampling/width_px",
        ),
    ],
)
def test_a_wrong_form_is_refused_and_nothing_is_stored(
    server: ApiServer,
    client: httpx.Client,
    form: dict[str, Any],
    files: list[str],
    status: int,
    code: str,
    pointer: str,
) -> None:
    before, data = len(job_ids(server)), png_bytes(colour="navy")
    answer = client.post("/v1/jobs", data=form, files=[(name, ("a.png", data)) for name in files])
    assert refused(answer, status, code)["errors"][0]["pointer"] == pointer
    assert len(job_ids(server)) == before
    # The photo came with the job that was refused, so it was not kept either.
    unseen = httpx.post(
        f"{server.url}/v1/jobs", json={"prompt": "x", "concepts": [{"phrase": "a", "photos": [photo_id(data)]}]}
    )
    refused(unseen, 422, "unknown_photo")


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 422, "not_a_picture"),
        (b"not a picture", 422, "not_a_picture"),
        (png_bytes()[:-20], 422, "truncated_picture"),
        (b"\x89PNG" + b"\0" * 200_000, 413, "picture_too_large"),
    ],
)
@pytest.mark.parametrize("way", ["form", "body", "job"])
def test_a_bad_photo_is_refused(client: httpx.Client, data: bytes, status: int, code: str, way: str) -> None:
    if way == "form":
        answer = client.post("/v1/photos", files={"photo": ("a.png", data)})
    elif way == "body":
        answer = client.post("/v1/photos", content=data, headers={"Content-Type": "image/jpeg"})
    else:
        answer = client.post("/v1/jobs", data={"prompt": "x", "phrase": "a"}, files={"photo": ("a.png", data)})
    refused(answer, status, code)


def test_every_unknown_photo_is_pointed_at(server: ApiServer, client: httpx.Client) -> None:
    before = len(job_ids(server))
    known = upload(client)
    concepts = [{"phrase": "a", "photos": [known, "0" * 64]}, {"phrase": "b", "photos": ["1" * 64]}]
    body = refused(client.post("/v1/jobs", json={"prompt": "x", "concepts": concepts}), 422, "unknown_photo")
    assert [error["pointer"] for error in body["errors"]] == ["/concepts/0/photos/1", "/concepts/1/photos/0"]
    assert len(job_ids(server)) == before


def test_readyz_says_what_is_missing_and_healthz_does_not_care(server: ApiServer, client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"ok": True, "service": "troupe"}
    before = client.get("/readyz")
    assert before.status_code == 503
    assert {check["name"]: check["ok"] for check in before.json()["checks"]} == {
        "redis": True,
        "s3": True,
        "detection": False,
        "generation": False,
    }
    server.announce_workers(ready=False, reason="unet is missing")
    assert "unet is missing" in client.get("/readyz").text
    server.announce_workers()
    assert client.get("/readyz").json()["ready"] is True


def test_the_documents_are_served(client: httpx.Client) -> None:
    assert client.get("/docs").status_code == 200
    assert client.get("/openapi.json").json()["info"]["title"] == "Troupe"


def job_ids(server: ApiServer) -> list[str]:
    with connect(server.settings) as redis:
        return [str(key).rsplit(":", 1)[1] for key in redis.scan_iter(f"{server.settings.key_prefix}:job:*")]


def test_a_job_that_did_not_succeed_is_done_over_as_a_new_one(server: ApiServer, client: httpx.Client) -> None:
    old = submit(client)
    refused(client.post(f"/v1/jobs/{old['id']}/retry"), 409, "not_over")
    client.post(old["urls"]["cancel"])
    key = {"Idempotency-Key": uuid.uuid4().hex}
    answer, again = (client.post(f"/v1/jobs/{old['id']}/retry", headers=key) for _ in range(2))
    new = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"/v1/jobs/{new['id']}")
    assert again.json() == new
    assert (new["retry_of"], new["spec"], new["status"]) == (old["id"], old["spec"], "queued")
    assert client.get(f"/v1/jobs/{new['id']}").json()["retry_of"] == old["id"]
    assert client.get(f"/v1/jobs/{old['id']}").json()["status"] == "canceled"
    server.run_stages(new["id"])
    refused(client.post(f"/v1/jobs/{new['id']}/retry"), 409, "not_over")
    refused(client.post(f"/v1/jobs/{'0' * 32}/retry"), 404, "job_not_found")
