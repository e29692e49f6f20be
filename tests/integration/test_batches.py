"""Batches over HTTP, through real workers with stages of the tests."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from api.auth.key_table import KeyTable
from tests.support.api_server import ApiServer, api_server, png_bytes
from tests.support.fault_stages import VERIFICATION
from tests.support.queue_harness import QueueHarness, queue_harness
from tests.support.servers import fresh_settings

JSONL = {"Content-Type": "application/jsonl"}


@dataclass(frozen=True, kw_only=True)
class Service:
    """The module's API, and the workers behind it."""

    server: ApiServer
    harness: QueueHarness

    def start_workers(self) -> None:
        """Two workers that can take jobs: one may be held by a job that waits."""
        self.harness.start_workers(*["all"] * (2 - len(self.harness.workers)))

    def headers(self, tenant: str) -> dict[str, str]:
        """A new key of the tenant, as its requests show it."""
        return {"Authorization": f"Bearer {KeyTable(self.harness.redis, self.harness.settings).create(tenant)}"}


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A tenant of a test's own with a photo: it sees no batch of another test."""

    service: Service
    client: httpx.Client
    photo: str

    @property
    def harness(self) -> QueueHarness:
        return self.service.harness

    def line(self, custom_id: str, prompt: str = "a man", **changed: object) -> dict[str, object]:
        people = [{"phrase": "the man", "photos": [self.photo]}]
        return {"custom_id": custom_id, "prompt": prompt, "concepts": people, **changed}

    def body(self, lines: Sequence[object]) -> bytes:
        return b"".join(json.dumps(line).encode() + b"\n" for line in lines)

    def make(self, lines: Sequence[object], **options: object) -> dict[str, Any]:
        answer = self.client.post("/v1/batches", content=self.body(lines), headers=JSONL, params=options)  # type: ignore[arg-type]
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def look(self, batch: dict[str, Any]) -> dict[str, Any]:
        return dict(self.client.get(batch["urls"]["self"]).json())

    def until_done(self, batch: dict[str, Any]) -> dict[str, Any]:
        def done() -> dict[str, Any] | None:
            seen = self.look(batch)
            return seen if seen["done"] else None

        return self.harness.until("the batch's end", done)

    def file(self, batch: dict[str, Any], name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.client.get(batch["urls"][name]).text.splitlines()]

    def items(self, batch: dict[str, Any], limit: int = 7, **asked: str) -> list[dict[str, Any]]:
        found, cursor = [], None
        while True:
            params: dict[str, Any] = {"limit": limit, **asked, **({"cursor": cursor} if cursor else {})}
            page = self.client.get(batch["urls"]["items"], params=params).json()
            found += page["items"]
            cursor = page["next"]
            if cursor is None:
                return found


@pytest.fixture(scope="module")
def service(redis_url: str, s3_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    quick = {"lease_s": 4.0, "renew_every_s": 1.0, "reap_every_s": 0.5, "dispatch_every_s": 0.2, "batch_window": 20}
    folder = tmp_path_factory.mktemp("batches")
    settings = fresh_settings(redis_url, s3_url, auth=True, **quick)
    with queue_harness(settings, folder) as made, api_server(made.settings, folder / "api") as server:
        yield Service(server=server, harness=made)


@pytest.fixture
def caller(service: Service) -> Iterator[Caller]:
    with service.server.client() as client:
        client.headers.update(service.headers(uuid.uuid4().hex))
        photo = client.post("/v1/photos", files={"photo": ("photo.png", png_bytes(), "image/png")}).json()["id"]
        yield Caller(service=service, client=client, photo=photo)


@pytest.mark.parametrize("option", ["name=spring", "strict=true", "expires_after_s=60"])
def test_options_of_scenes_and_casts_belong_in_the_body(caller: Caller, option: str) -> None:
    body = {"scenes": [{"prompt": "a man"}], "casts": [{"concepts": [{"phrase": "the man", "photos": ["0" * 64]}]}]}
    answer = caller.client.post(f"/v1/batches?{option}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_field")
    assert answer.json()["errors"][0]["parameter"] == option.partition("=")[0]


def test_good_lines_run_and_bad_ones_are_told(caller: Caller) -> None:
    lines = [caller.line(f"c{number}", sampling={"seed": number}) for number in range(45)]
    lines[3] = caller.line("c3", prompt="")
    lines[4] = caller.line("c2")
    lines[5] = caller.line("c5", concepts=[{"phrase": "the man", "photos": ["f" * 64]}])
    lines[6] = caller.line("c6", prompt="identify=no_face")
    batch = caller.make(lines, name="holiday")
    assert (batch["lines"], batch["counts"]["invalid"], batch["name"]) == (45, 3, "holiday")
    told = [(one["line"], one["errors"][0]["code"], one["errors"][0]["pointer"]) for one in batch["errors"]]
    assert told == [
        (4, "string_too_short", "/prompt"),
        (5, "duplicate_custom_id", "/custom_id"),
        (6, "unknown_photo", "/concepts/0/photos/0"),
    ]
    caller.service.start_workers()
    over = caller.until_done(batch)
    assert over["status"] == "partially_failed"
    assert (over["counts"]["succeeded"], over["counts"]["failed"]) == (41, 1)
    assert set(over["timestamps"]) == {"validating", "running", "finalizing", "partially_failed"}
    output, errors = caller.file(batch, "output"), caller.file(batch, "errors")
    assert len(output) == 41
    assert {one["custom_id"] for one in output} == {f"c{number}" for number in range(45) if number not in {3, 4, 5, 6}}
    assert {one["custom_id"]: one["seed"] for one in output}["c9"] == 9
    assert {one["verification"]["min_identity"] for one in output} == {VERIFICATION.min_identity}
    assert sorted((one["line"], one["status"], one["errors"][0]["code"]) for one in errors) == [
        (4, "invalid", "string_too_short"),
        (5, "invalid", "duplicate_custom_id"),
        (6, "invalid", "unknown_photo"),
        (7, "failed", "no_face"),
    ]
    assert sorted(one["line"] for one in caller.items(batch)) == list(range(1, 46))
    assert [one["line"] for one in caller.items(batch, status="failed")] == [7]
    picture = caller.items(batch, status="succeeded")[0]
    assert httpx.get(picture["picture_url"]).content == f"the picture of {picture['job']}".encode()
    manifest = caller.file(batch, "manifest")
    assert len(manifest) == 41
    assert httpx.get(manifest[-1]["url"]).status_code == 200
    with zipfile.ZipFile(io.BytesIO(caller.client.get(batch["urls"]["zip"]).content)) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 41
        assert "000001-c0.png" in archive.namelist()


def test_a_killed_worker_costs_no_line_and_doubles_none(caller: Caller) -> None:
    batch = caller.make([caller.line(f"c{number}") for number in range(60)])
    caller.service.start_workers()
    caller.harness.until("some pictures", lambda: caller.look(batch)["counts"]["succeeded"] > 5)
    caller.harness.kill_worker(caller.harness.workers[0])
    caller.harness.until("more pictures", lambda: caller.look(batch)["counts"]["succeeded"] > 30)
    caller.harness.kill_worker(caller.harness.workers[0])
    caller.service.start_workers()
    over = caller.until_done(batch)
    assert over["status"] == "succeeded", over
    output = caller.file(batch, "output")
    assert sorted(one["line"] for one in output) == list(range(1, 61))
    assert len({one["job"] for one in output}) == 60


def test_a_canceled_batch_ends_within_a_step_and_can_be_asked_for_again(caller: Caller) -> None:
    batch = caller.make(
        [caller.line(f"c{number}", prompt="render=wait" if number == 0 else "a man") for number in range(40)]
    )
    assert caller.client.post(batch["urls"]["retry_failed"]).json()["code"] == "batch_not_over"
    caller.service.start_workers()
    caller.harness.until("the first stage", lambda: caller.look(batch)["counts"]["running"])
    assert caller.client.post(batch["urls"]["cancel"]).status_code == 200
    over = caller.until_done(batch)
    assert over["status"] == "canceled"
    ended = over["counts"]["succeeded"] + over["counts"]["canceled"]
    assert ended == 40
    assert len(caller.items(batch, status="canceled")) == over["counts"]["canceled"]
    job_id = next(one["job"] for one in caller.file(batch, "errors") if one["line"] == 1)
    again = caller.client.post(batch["urls"]["retry_failed"])
    assert again.status_code == 202
    assert (again.json()["status"], again.json()["retries"]) == ("running", 1)
    retried = caller.harness.until(
        "line 1 again",
        lambda: next((one for one in caller.items(batch, status="running") if one["line"] == 1), None),
    )
    assert retried["job"] != job_id
    caller.harness.unblock(retried["job"])
    assert caller.until_done(batch)["status"] == "succeeded"
    assert sorted(one["line"] for one in caller.file(batch, "output")) == list(range(1, 41))
    assert caller.file(batch, "errors") == []
    assert caller.client.post(batch["urls"]["retry_failed"]).json()["code"] == "nothing_to_retry"


def test_a_batch_whose_time_is_over_expires_with_nobody_working(caller: Caller) -> None:
    batch = caller.make([caller.line("first"), caller.line("second", prompt="render=wait")], expires_after_s=3600)
    assert batch["expires_at"]
    caller.service.start_workers()
    caller.harness.until("a picture", lambda: caller.look(batch)["counts"]["succeeded"] == 1)
    caller.harness.redis.hset(f"{caller.harness.settings.key_prefix}:batch:{batch['id']}", "deadline", "1")
    assert caller.until_done(batch)["status"] == "expired"
    assert [one["custom_id"] for one in caller.file(batch, "output")] == ["first"]
    assert [(one["custom_id"], one["status"]) for one in caller.file(batch, "errors")] == [("second", "expired")]


def test_a_strict_batch_with_a_bad_line_never_was(caller: Caller) -> None:
    lines = [caller.line("a"), caller.line("b", prompt=""), caller.line("c")]
    answer = caller.client.post("/v1/batches", content=caller.body(lines), headers=JSONL, params={"strict": "true"})
    assert answer.status_code == 422
    assert answer.json()["code"] == "batch_refused"
    assert [(one["line"], one["pointer"]) for one in answer.json()["errors"]] == [(2, "/prompt")]
    assert caller.client.get("/v1/batches").json()["batches"] == []


def test_scenes_and_casts_make_a_batch(caller: Caller) -> None:
    people = [{"phrase": "the man", "photos": [caller.photo]}]
    body = {
        "scenes": [{"prompt": f"scene {number}"} for number in range(3)],
        "casts": [{"concepts": people}] * 2,
        "name": "all of it",
    }
    answer = caller.client.post("/v1/batches", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == answer.json()["urls"]["self"]
    counts = answer.json()["counts"]
    assert (sum(counts.values()), counts["invalid"]) == (6, 0)


def test_an_uploaded_file_makes_a_batch(caller: Caller) -> None:
    files = {"file": ("lines.jsonl", b"\xef\xbb\xbf" + caller.body([caller.line("a"), caller.line("b")]), "text/plain")}
    answer = caller.client.post("/v1/batches", files=files)
    assert answer.json()["lines"] == 2
    assert answer.json()["counts"]["invalid"] == 0


def test_batches_are_listed_the_newest_first(caller: Caller) -> None:
    made = [caller.make([caller.line("a")])["id"] for _ in range(5)]
    first = caller.client.get("/v1/batches", params={"limit": 3}).json()
    second = caller.client.get("/v1/batches", params={"limit": 3, "cursor": first["next"]}).json()
    assert [one["id"] for one in first["batches"] + second["batches"]] == made[::-1]
    assert second["next"] is None


def test_a_long_poll_answers_when_the_batch_changes(caller: Caller) -> None:
    caller.service.start_workers()
    batch = caller.make([caller.line("a", prompt="identify=wait")])
    url = batch["urls"]["self"]
    caller.harness.until("the first stage", lambda: caller.look(batch)["counts"]["running"])
    seen = caller.client.get(url)
    tag = seen.headers["etag"]
    assert caller.client.get(url, headers={"If-None-Match": tag}).status_code == 304
    caller.harness.unblock(caller.items(batch)[0]["job"])
    changed = caller.client.get(url, params={"wait": 25}, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.json()["sequence"] > seen.json()["sequence"]


@pytest.mark.parametrize(
    ("headers", "content", "status", "code"),
    [
        ({"Content-Type": "application/jsonl", "Content-Encoding": "gzip"}, b"{}", 415, "unsupported_media"),
        ({"Content-Type": "text/plain"}, b"{}", 415, "unsupported_media"),
        (JSONL, b"", 422, "invalid_field"),
        (JSONL, b"\n\n \n", 422, "invalid_field"),
        (JSONL, b"\n" * 100_001, 413, "batch_too_large"),
        (JSONL, b"{}\n" * 100_001, 413, "batch_too_large"),
        ({"Content-Type": "application/json"}, b"{", 400, "malformed_body"),
        ({"Content-Type": "application/json"}, b"{}", 422, "invalid_field"),
    ],
)
def test_hostile_bodies_are_refused(
    caller: Caller, headers: dict[str, str], content: bytes, status: int, code: str
) -> None:
    answer = caller.client.post("/v1/batches", headers=headers, content=content)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert caller.client.get("/v1/batches").json()["batches"] == []


def test_an_endless_line_and_bytes_that_are_no_text_are_errors_of_their_lines(caller: Caller) -> None:
    content = b"x" * 1_000_000 + b"\n\xff\xfe\n" + caller.body([caller.line("a")])
    answer = caller.client.post("/v1/batches", headers=JSONL, content=content)
    assert [(one["line"], one["errors"][0]["code"]) for one in answer.json()["errors"]] == [
        (1, "line_too_long"),
        (2, "json_invalid"),
    ]
    assert answer.json()["lines"] == 3


@pytest.mark.parametrize("query", [{"strict": "maybe"}, {"expires_after_s": "0"}, {"name": "x" * 101}])
def test_options_that_are_wrong_are_refused(caller: Caller, query: dict[str, str]) -> None:
    answer = caller.client.post("/v1/batches", headers=JSONL, content=caller.body([caller.line("a")]), params=query)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == next(iter(query))


def test_the_same_request_with_a_key_makes_one_batch(caller: Caller) -> None:
    headers = {**JSONL, "Idempotency-Key": "mine"}
    content = caller.body([caller.line("a")])
    first, second = (caller.client.post("/v1/batches", headers=headers, content=content) for _ in range(2))
    assert first.json()["id"] == second.json()["id"]
    assert len(caller.client.get("/v1/batches").json()["batches"]) == 1


def test_a_batch_that_never_was_is_not_found(caller: Caller) -> None:
    for path in ("", "/items", "/output", "/errors", "/manifest", "/zip"):
        answer = caller.client.get(f"/v1/batches/{'0' * 32}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "batch_not_found")
    for path in ("/cancel", "/retry_failed"):
        assert caller.client.post(f"/v1/batches/{'0' * 32}{path}").status_code == 404


def test_another_tenants_batch_is_as_one_that_never_was(caller: Caller) -> None:
    line = {"custom_id": "a", "prompt": "identify=wait", "concepts": [{"phrase": "the man", "photos": [caller.photo]}]}
    made = caller.make([line])
    assert made["counts"]["invalid"] == 0
    other = caller.service.headers(uuid.uuid4().hex)
    client, content = caller.client, caller.body([line])
    theirs = client.post("/v1/batches", content=content, headers={**JSONL, **other}).json()
    assert theirs["errors"][0]["errors"][0]["code"] == "unknown_photo"
    for name, url in made["urls"].items():
        method = "POST" if name in {"cancel", "retry_failed"} else "GET"
        never = client.request(method, url.replace(made["id"], "0" * 32), headers=other)
        assert (client.request(method, url, headers=other).status_code, never.status_code) == (404, 404)
    assert [one["id"] for one in client.get("/v1/batches").json()["batches"]] == [made["id"]]
    assert client.get(made["urls"]["self"]).json()["status"] == "running"
    assert client.post(made["urls"]["cancel"]).status_code == 200
