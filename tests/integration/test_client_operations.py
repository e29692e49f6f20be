"""The client and the command line reach every operation that the OpenAPI document names, counted by the server."""

from __future__ import annotations

import asyncio
import inspect
import json
import uuid
from collections import Counter
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from api.cli.app import main, make_app
from api.client import AsyncClient, Client, errors, scene
from api.client.operations import Operations
from shared.settings import Settings
from tests.support.api_server import ApiServer, png_bytes

NOBODY = "0" * 32
HOOK = "https://example.com/troupe"


def documented() -> set[tuple[str, str]]:
    paths = create_app(Settings()).openapi()["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


def counted(server: ApiServer) -> Counter[tuple[str, str]]:
    """Requests so far, by method and route."""
    found: Counter[tuple[str, str]] = Counter()
    for family in text_string_to_metric_families(httpx.get(f"{server.url}/metrics").text):
        for sample in family.samples:
            if sample.name == "troupe_http_requests_total":
                found[sample.labels["method"], sample.labels["route"]] += int(sample.value)
    return found


def fresh_photo() -> bytes:
    return png_bytes() + uuid.uuid4().bytes


def use_jobs_and_photos(server: ApiServer, client: Client) -> None:
    photo, direct = client.upload(fresh_photo(), consent="written"), client.upload(fresh_photo(), direct=True)
    assert (client.photo_record(photo).consent, client.photo_record(direct).consent) == ("written", None)
    assert client.photo(photo).startswith(b"\x89PNG")
    said = fresh_photo()
    assert client.photo_record(client.upload(said, direct=True, consent="schriftlich, für März")).consent is not None

    asked = scene("a man", {"the man": photo})
    assert client.dry_run(asked).units > 0
    job, canceled = client.submit(asked), client.submit(asked)
    server.run_stages(job.id)
    assert [one.id for one in client.jobs(limit=2).jobs] == [canceled.id, job.id]
    assert [one.id for one in client.jobs(status="succeeded", limit=1).jobs] == [job.id]
    assert client.wait(job.id).done
    assert [state.done for state in client.events(job.id, previews=True)] == [True]
    assert client.picture(job.id, "template").startswith(b"\x89PNG")
    assert client.picture(job.id, "masks", preview=True).startswith(b"\xff\xd8")
    client.picture(job.id)
    for image in ("picture", "template"):
        client.picture(job.id, image, preview=True)
    client.picture(job.id, "masks")
    assert client.cancel(canceled.id).status == "canceled"
    assert client.retry(canceled.id).retry_of == canceled.id
    assert client.delete(job.id)
    assert client.delete_photo(direct)


def use_batches(client: Client, folder: Path) -> None:
    asked = scene("a man", {"the man": [client.upload(fresh_photo())]})
    line = json.dumps({"custom_id": "one", "prompt": "a man", "concepts": asked["concepts"]}).encode()
    assert client.dry_run_batch(line, unsent_photos=True).lines == 1
    batch = client.make_batch(line + b"\n{}", name="two lines")
    assert [one.id for one in client.batches(limit=1).batches] == [batch.id]
    assert [one.status for one in client.batch_items(batch.id, status="invalid").items] == ["invalid"]
    assert client.batch(batch.id).name == "two lines"
    assert client.cancel_batch(batch.id).id == batch.id
    assert next(client.batch_events(batch.id)).id == batch.id
    assert client.batch_pictures(batch.id) == []
    assert client.batch_outcomes(batch.id) == []
    assert {one.status for one in client.batch_outcomes(batch.id, "errors")} == {"invalid"}
    client.save_batch_file(batch.id, "zip", folder / "pictures.zip")
    assert (folder / "pictures.zip").read_bytes().startswith(b"PK")
    with pytest.raises(errors.BatchNotFound):
        client.save_batch_file(NOBODY, "zip", folder / "none.zip")
    assert sorted(path.name for path in folder.iterdir()) == ["pictures.zip"]
    with pytest.raises(errors.BatchNotOver):
        client.retry_batch(batch.id)
    client.delete_batch(batch.id)


def use_webhooks(client: Client) -> None:
    webhook = client.create_webhook(HOOK, events=["job.failed"])
    assert client.webhook(webhook.id).events == ("job.failed",)
    assert webhook.id in {one.id for one in client.webhooks()}
    assert client.rotate_webhook(webhook.id, old_valid_s=60).secret != webhook.secret
    assert client.enable_webhook(webhook.id).disabled_at is None
    sent = client.test_webhook(webhook.id)
    assert [one.id for one in client.deliveries(webhook.id, limit=5).deliveries] == [sent.id]
    assert client.replay_delivery(webhook.id, sent.id).message_id == sent.message_id
    client.delete_webhook(webhook.id)
    with pytest.raises(errors.WebhookNotFound):
        client.webhook(webhook.id)


def use_service(client: Client) -> None:
    client.ping()
    assert {check.name for check in client.ready().checks} == {"redis", "s3", "detection", "generation"}
    assert "troupe_http_requests_total" in client.metrics()
    assert set(client.queue().lanes) == {"interactive", "batch"}
    assert client.workers() == []
    assert client.audit(action="job.retried", limit=1).entries[0].action == "job.retried"
    client.delete_tenant("default")


def test_the_client_reaches_every_operation_and_reads_its_answer(server: ApiServer, tmp_path: Path) -> None:
    before = counted(server)
    with Client(server.url) as client:
        use_jobs_and_photos(server, client)
        use_batches(client, tmp_path)
        use_webhooks(client)
        use_service(client)
    assert set(counted(server) - before) == documented()


def test_both_clients_have_every_operation_with_the_same_parameters() -> None:
    operations = {name for name in vars_of(Operations) if name not in {"value", "get_value", "erase", "send_photos"}}
    for kind in (Client, AsyncClient):
        methods = vars_of(kind) - {"close", "run", "watch"}
        assert methods == operations
        for name in methods:
            wanted, found = (inspect.signature(getattr(one, name)).parameters for one in (Operations, kind))
            assert list(found) == list(wanted)


def vars_of(kind: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}


def test_the_client_for_an_event_loop_saves_files_and_follows_batches(server: ApiServer, tmp_path: Path) -> None:
    async def run() -> None:
        async with AsyncClient(server.url) as client:
            photo = await client.upload(fresh_photo(), direct=True)
            line = {"custom_id": "one", "prompt": "a man", "concepts": [{"phrase": "the man", "photos": [photo]}]}
            batch = await client.make_batch(json.dumps(line).encode() + b"\n{}")
            async for state in client.batch_events(batch.id):
                assert state.id == batch.id
                break
            await client.save_batch_file(batch.id, "errors", tmp_path / "errors.jsonl")
            webhook = await client.create_webhook(HOOK)
            assert [one.id for one in await client.webhooks()] == [webhook.id]
            assert (await client.jobs(limit=1)).jobs is not None

    asyncio.run(asyncio.wait_for(run(), 60))
    assert json.loads((tmp_path / "errors.jsonl").read_text())["status"] == "invalid"


def test_the_command_reaches_every_operation(server: ApiServer, tmp_path: Path) -> None:
    photo, lines = tmp_path / "ben.png", tmp_path / "lines.jsonl"
    photo.write_bytes(fresh_photo())
    lines.write_text('{"prompt": ""}\n')
    saved = ["-o", str(tmp_path / "saved")]
    commands: list[list[str]] = [
        ["submit", "a man", "-c", f"the man={photo}"],
        *(["list"], ["get", NOBODY], ["wait", NOBODY], ["events", NOBODY], ["cancel", NOBODY], ["retry", NOBODY]),
        *(["picture", NOBODY, "--image", image, *saved] for image in ("picture", "template", "masks")),
        *(["picture", NOBODY, "--image", image, "--preview", *saved] for image in ("picture", "template", "masks")),
        *(["photo", "upload", str(photo), "--direct"], ["photo", "get", "0" * 64, *saved]),
        *(["delete", NOBODY], ["photo", "delete", "0" * 64]),
        *(
            ["batch", "run", str(lines), "--dry-run"],
            ["batch", "list"],
            ["batch", "status", NOBODY],
            ["batch", "items", NOBODY],
        ),
        *(["batch", "events", NOBODY], ["batch", "cancel", NOBODY], ["batch", "retry", NOBODY]),
        *(["batch", "download", NOBODY, "--file", name, *saved] for name in ("zip", "output", "errors", "manifest")),
        ["batch", "delete", NOBODY],
        *(["webhook", "create", HOOK], ["webhook", "list"], ["webhook", "get", NOBODY], ["webhook", "rotate", NOBODY]),
        *(["webhook", name, NOBODY] for name in ("enable", "test", "delete", "deliveries")),
        ["webhook", "replay", NOBODY, NOBODY],
        *(["queue"], ["workers"], ["health"], ["metrics"], ["audit"], ["top", "--once"]),
        ["tenant", "delete", "nobody"],
    ]
    before = counted(server)
    for words in commands:
        with pytest.raises(SystemExit) as ended:
            main(make_app(), ["--url", server.url, *words])
        assert ended.value.code in {0, 1}, words
    assert set(counted(server) - before) == documented()
