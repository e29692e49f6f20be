"""The audit log over HTTP: all that is done is noted with its key, nothing else is, and no log grows without bound."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from api.http.paths import BATCHES
from shared.settings import Settings
from shared.stages import Stage
from shared.store import keys
from shared.store.connection import connect, connect_async
from shared.store.tenants.audit import Action, AuditLog, AuditPage
from tests.integration.test_access import key_of, shown
from tests.support.api_server import ApiServer, api_server, png_bytes
from tests.support.queue_harness import queue_harness

T = TypeVar("T")
PNG = {"Accept": "image/png"}
JSONL = {"Content-Type": "application/jsonl"}
PROMPT = "a secret garden party"


@pytest.fixture(scope="module")
def more_settings() -> Mapping[str, object]:
    return {"auth": True, "sweep_every_s": 0.2}


@pytest.fixture
def tenant() -> str:
    """A tenant that nobody else has: its log begins empty."""
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture
def key(server: ApiServer, tenant: str) -> str:
    return key_of(server.settings, tenant)


@pytest.fixture
def client(server: ApiServer, key: str) -> Iterator[httpx.Client]:
    with server.client() as client:
        client.headers.update(shown(key))
        yield client


def upload(client: httpx.Client, colour: str = "teal") -> str:
    photo: str = client.post("/v1/photos", files={"photo": png_bytes(colour=colour)}).json()["id"]
    return photo


def asked(photo: str, **more: Any) -> dict[str, Any]:
    return {"prompt": PROMPT, "concepts": [{"phrase": "the man", "photos": [photo]}], **more}


def submit(client: httpx.Client, photo: str) -> str:
    job: str = client.post("/v1/jobs", json=asked(photo)).json()["id"]
    return job


def entries(client: httpx.Client) -> list[dict[str, Any]]:
    """The whole log, the oldest first."""
    found: list[dict[str, Any]] = []
    params: dict[str, Any] = {"limit": 100}
    while True:
        page = client.get("/v1/audit", params=params).json()
        found += page["entries"]
        if page["next"] is None:
            return found[::-1]
        params["cursor"] = page["next"]


def told(client: httpx.Client) -> list[tuple[str, str, str | None]]:
    return [(one["action"], one["subject"], one["detail"]) for one in entries(client)]


def logged(settings: Settings, act: Callable[[AuditLog], Awaitable[T]]) -> T:
    async def scene() -> T:
        async with connect_async(settings) as redis:
            return await act(AuditLog(redis, settings))

    return asyncio.run(scene())


def test_what_is_done_with_photos_and_jobs_is_noted_with_its_key(client: httpx.Client, key: str, tenant: str) -> None:
    photo = upload(client)
    upload(client)
    job = submit(client, photo)
    form = client.post("/v1/jobs", data={"prompt": PROMPT, "phrase": "x"}, files={"photo": png_bytes(colour="red")})
    brought = form.json()["spec"]["concepts"][0]["photos"][0]
    assert client.post(f"/v1/jobs/{job}/cancel").status_code == 200
    retried = client.post(f"/v1/jobs/{job}/retry").json()["id"]
    client.delete(f"/v1/jobs/{job}")
    client.delete(f"/v1/photos/{photo}")
    assert told(client) == [
        ("photo.uploaded", photo, None),
        ("photo.uploaded", photo, None),
        ("job.submitted", job, None),
        ("photo.uploaded", brought, None),
        ("job.submitted", form.json()["id"], None),
        ("job.canceled", job, None),
        ("job.retried", retried, job),
        ("job.deleted", job, None),
        ("photo.deleted", photo, None),
    ]
    found = entries(client)
    assert {(one["tenant"], one["key"]) for one in found} == {(tenant, key.split("_")[1])}
    assert [one["at"] for one in found] == sorted(one["at"] for one in found)


def test_getting_a_picture_or_its_address_is_a_reading_and_looking_at_a_job_is_none(
    server: ApiServer, client: httpx.Client
) -> None:
    photo = upload(client)
    job = submit(client, photo)
    # Nothing is there to read yet.
    for name in ("picture", "previews/picture", "template"):
        assert client.get(f"/v1/jobs/{job}/{name}").status_code == 409
    server.run_stages(job)
    before = told(client)
    for path in (f"/v1/jobs/{job}", "/v1/jobs", f"/v1/jobs/{job}/events?previews=true", "/v1/queue", "/v1/audit"):
        assert client.get(path).status_code == 200
    client.post("/v1/jobs?dry_run=true", json=asked(photo))
    client.post(f"/v1/jobs/{job}/cancel")
    assert told(client) == before
    assert client.get(f"/v1/jobs/{job}/picture").status_code == 307
    assert client.head(f"/v1/jobs/{job}/template").status_code == 307
    assert client.get(f"/v1/jobs/{job}/masks", headers=PNG).status_code == 200
    for name in ("template", "masks", "picture"):
        assert client.get(f"/v1/jobs/{job}/previews/{name}").status_code == 200
    assert client.get(f"/v1/photos/{photo}").status_code == 307
    assert client.get(f"/v1/photos/{photo}", headers=PNG).status_code == 200
    names = ("picture", "template", "masks", "template", "masks", "picture")
    assert told(client)[len(before) :] == [
        *(("picture.read", job, name) for name in names),
        ("photo.read", photo, None),
        ("photo.read", photo, None),
    ]


def test_a_picture_that_emerges_is_one_reading_for_each_key(
    server: ApiServer, client: httpx.Client, tenant: str
) -> None:
    job = submit(client, upload(client))
    server.run_stages(job, until=Stage.DETECT)
    with connect(server.settings) as redis:
        redis.set(keys.preview_key(server.settings.key_prefix, job), b"a picture so far")
    before = len(entries(client))
    colleague = shown(key_of(server.settings, tenant))
    for headers in ({}, {}, colleague, {}):
        assert client.get(f"/v1/jobs/{job}/previews/picture?step=1", headers=headers).status_code == 200
    new = entries(client)[before:]
    assert [(one["action"], one["subject"], one["detail"]) for one in new] == [("picture.read", job, "emerging")] * 2
    assert len({one["key"] for one in new}) == 2


def test_what_a_batch_is_asked_for_and_gives_is_noted(settings: Settings, tmp_path: Path) -> None:
    quick = Settings.model_validate({**settings.model_dump(exclude_unset=True), "dispatch_every_s": 0.2})
    with (
        queue_harness(quick, tmp_path) as made,
        api_server(made.settings, tmp_path / "api") as server,
        server.client() as client,
    ):
        photo = upload(client)
        lines = [{"custom_id": "a", **asked(photo)}, {"custom_id": "b", **asked(photo), "prompt": "identify=no_face"}]
        text = "\n".join(map(json.dumps, lines))
        strict = client.post(f"{BATCHES}?strict=true", content=text + "\n{}", headers=JSONL)
        assert strict.status_code == 422
        batch = client.post(BATCHES, content=text, headers=JSONL).json()["id"]
        path = f"{BATCHES}/{batch}"
        # Nothing has a picture yet: what a page of lines says is no reading of one.
        client.get(f"{path}/items")
        made.start_workers("all")

        def over() -> bool:
            return bool(client.get(path).json()["done"])

        made.until("the batch's end", over)
        for name in ("output", "errors", "manifest", "zip", "items", "items", "output"):
            assert client.get(f"{path}/{name}").status_code == 200
        assert client.post(f"{path}/retry_failed").status_code == 202
        client.post(f"{path}/cancel")
        assert client.delete(path).status_code == 202
        client.delete(path)
        files = ("output", "errors", "manifest", "zip", "items", "output")
        assert told(client) == [
            ("photo.uploaded", photo, None),
            ("batch.submitted", batch, None),
            *(("batch.files.read", batch, name) for name in files),
            ("batch.retried", batch, None),
            ("batch.canceled", batch, None),
            ("batch.deleted", batch, None),
        ]
        assert {one["key"] for one in entries(client)} == {"-"}


def test_the_log_of_a_tenant_outlives_all_that_the_tenant_had(client: httpx.Client, tenant: str) -> None:
    photo = upload(client)
    job = submit(client, photo)
    assert client.delete(f"/v1/tenant?confirm={tenant}").status_code == 204
    assert told(client) == [
        ("photo.uploaded", photo, None),
        ("job.submitted", job, None),
        ("tenant.erased", tenant, None),
    ]


def test_every_action_is_met_in_these_tests() -> None:
    met = Path(__file__).read_text()
    assert [action for action in Action if f'("{action}"' not in met] == []


def test_what_was_refused_was_not_done(server: ApiServer, client: httpx.Client) -> None:
    photo = upload(client)
    job = submit(client, photo)
    other = shown(key_of(server.settings, "another"))
    before = told(client), entries_of(server, "another")
    client.post("/v1/photos", content=b"no picture", headers={"Content-Type": "image/png"})
    client.post("/v1/jobs", json=asked(photo, sampling={"steps": 9999}))
    client.post("/v1/jobs", json=asked("0" * 64))
    for headers in (other, shown("troupe_no_key")):
        for method, path in (
            ("GET", f"/v1/jobs/{job}/picture"),
            ("POST", f"/v1/jobs/{job}/cancel"),
            ("POST", f"/v1/jobs/{job}/retry"),
            ("DELETE", f"/v1/jobs/{job}"),
            ("GET", f"/v1/photos/{photo}"),
            ("DELETE", f"/v1/photos/{photo}"),
            ("DELETE", "/v1/tenant?confirm=nobody"),
        ):
            assert client.request(method, path, headers=headers).status_code >= 400
    assert (told(client), entries_of(server, "another")) == before


def test_a_request_that_is_sent_again_was_done_once(client: httpx.Client) -> None:
    once = {"Idempotency-Key": uuid.uuid4().hex}
    photo = upload(client)
    first, second = (client.post("/v1/jobs", json=asked(photo), headers=once).json()["id"] for _ in range(2))
    assert first == second
    assert [one for one in told(client) if one[0] == "job.submitted"] == [("job.submitted", first, None)]


def test_pages_go_on_where_the_last_one_ended_whatever_comes_meanwhile(client: httpx.Client) -> None:
    photo = upload(client)
    jobs = [submit(client, photo) for _ in range(5)]
    client.post(f"/v1/jobs/{jobs[0]}/cancel")
    first = client.get("/v1/audit", params={"limit": 2}).json()
    assert [one["action"] for one in first["entries"]] == ["job.canceled", "job.submitted"]
    submit(client, photo)
    second = client.get("/v1/audit", params={"limit": 3, "cursor": first["next"]}).json()
    assert [one["subject"] for one in second["entries"]] == jobs[1:4][::-1]
    last = client.get("/v1/audit", params={"limit": 3, "cursor": second["next"]}).json()
    assert ([one["action"] for one in last["entries"]], last["next"]) == (["job.submitted", "photo.uploaded"], None)
    one = client.get("/v1/audit", params={"limit": 1, "action": "job.canceled"}).json()
    assert ([entry["subject"] for entry in one["entries"]], one["next"] is None) == ([jobs[0]], False)
    assert client.get("/v1/audit", params={"action": "job.canceled", "cursor": one["next"]}).json() == {
        "entries": [],
        "next": None,
    }


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("cursor=x", "cursor"),
        ("cursor=1-", "cursor"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("action=x", "action"),
    ],
)
def test_what_cannot_be_asked_of_a_log_is_refused_by_its_name(client: httpx.Client, query: str, parameter: str) -> None:
    answer = client.get(f"/v1/audit?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, parameter)


def test_a_rare_action_is_looked_for_among_a_bounded_number(settings: Settings) -> None:
    async def fill(log: AuditLog) -> tuple[AuditPage, AuditPage]:
        await log.record("someone", "-", Action.JOB_DELETED, "first")
        await asyncio.gather(*(log.record("someone", "-", Action.JOB_SUBMITTED, str(n)) for n in range(1100)))
        page = await log.page("someone", limit=5, action=Action.JOB_DELETED)
        return page, await log.page("someone", limit=5, action=Action.JOB_DELETED, after=page.next)

    empty, rest = logged(settings, fill)
    assert (empty.entries, empty.next is None) == ((), False)
    assert ([entry.subject for entry in rest.entries], rest.next) == (["first"], None)


def test_a_log_keeps_about_so_many_entries_the_newest(settings: Settings) -> None:
    short = Settings.model_validate({**settings.model_dump(exclude_unset=True), "audit_entries": 100})

    async def fill(log: AuditLog) -> AuditPage:
        for first in range(0, 1000, 50):
            notes = (log.record("someone", "-", Action.JOB_SUBMITTED, str(n)) for n in range(first, first + 50))
            await asyncio.gather(*notes)
        return await log.page("someone", limit=1)

    assert logged(short, fill).entries[0].subject == "999"
    with connect(short) as redis:
        # Redis cuts whole nodes of its stream, of 100 entries each.
        assert 100 <= redis.xlen(keys.audit_key(short.key_prefix, "someone")) <= 200


def test_no_entry_is_older_than_the_log_keeps_them_and_an_idle_log_goes(settings: Settings) -> None:
    brief = Settings.model_validate({**settings.model_dump(exclude_unset=True), "audit_expiry_s": 3600})
    name = keys.audit_key(brief.key_prefix, "someone")
    with connect(brief) as redis:
        now_s, _ = redis.time()
        for age_s in (9000, 3700, 3000):
            redis.xadd(name, {"a": "job.submitted", "k": "-", "i": f"{age_s} s old"}, id=f"{(now_s - age_s) * 1000}-0")
        page = logged(brief, lambda log: log.page("someone", limit=9))
        assert [entry.subject for entry in page.entries] == ["3000 s old"]
        logged(brief, lambda log: log.record("someone", "-", Action.JOB_DELETED, "new"))
        assert [fields["i"] for _, fields in redis.xrange(name)] == ["3000 s old", "new"]
        assert 3590 <= redis.ttl(name) <= 3600


def test_a_server_that_is_to_keep_no_log_keeps_none(settings: Settings, tmp_path: Path) -> None:
    silent = Settings.model_validate({**settings.model_dump(exclude_unset=True), "audit_entries": 0})
    with api_server(silent, tmp_path) as server, server.client() as client:
        job = submit(client, upload(client))
        server.run_stages(job)
        assert client.get(f"/v1/jobs/{job}/picture").status_code == 307
        assert client.get(f"/v1/jobs/{job}/previews/picture").status_code == 200
        assert entries(client) == []
    with connect(silent) as redis:
        names = {str(name).split(":")[1] for name in redis.scan_iter(f"{silent.key_prefix}:*")}
    assert "job" in names
    assert not names & {"audit", "read"}


def test_a_log_holds_ids_and_nothing_that_was_said_or_shown(
    server: ApiServer, client: httpx.Client, key: str, tenant: str
) -> None:
    job = submit(client, upload(client))
    server.run_stages(job)
    address = client.get(f"/v1/jobs/{job}/picture").headers["location"]
    with connect(server.settings) as redis:
        kept = json.dumps(redis.xrange(keys.audit_key(server.settings.key_prefix, tenant)))
    for private in (PROMPT, "the man", key.split("_")[2], "Signature", address.partition("?")[0]):
        assert private not in kept


def test_a_reading_that_cannot_be_noted_is_no_reading(server: ApiServer, client: httpx.Client, tenant: str) -> None:
    job = submit(client, upload(client))
    server.run_stages(job)
    name = keys.audit_key(server.settings.key_prefix, tenant)
    with connect(server.settings) as redis:
        # What was no stream, Redis refuses to write to.
        redis.delete(name)
        redis.set(name, "broken")
        for headers in ({}, PNG):
            # Of its own connection: after a bug the server ends it.
            answer = httpx.get(f"{server.url}/v1/jobs/{job}/picture", headers={**client.headers, **headers})
            assert answer.status_code >= 500
            assert "location" not in answer.headers
        redis.delete(name)


def entries_of(server: ApiServer, tenant: str) -> int:
    with connect(server.settings) as redis:
        return int(redis.xlen(keys.audit_key(server.settings.key_prefix, tenant)))
