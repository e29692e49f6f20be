"""A batch goes with its lines, logs, jobs and pictures: by itself when its time is over, or when asked."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping

import httpx
import pytest

from api.batches.retry import retry_failed
from api.context import Context
from shared.batch_files import LineChunks
from shared.settings import Settings
from shared.store.jobs.erasure import Erasing
from tests.integration.test_batch_records import TENANT, Batches, until_over
from tests.integration.test_finished_lines import asked, names, work
from tests.support.api_server import ApiServer

KINDS = ("batch", "batches", "open", "ended", "log", "job", "references", "faces", "intake")


@pytest.fixture(scope="module")
def more_settings() -> Mapping[str, object]:
    return {"sweep_every_s": 0.2}


@pytest.fixture
def batches(settings: Settings) -> Iterator[Batches]:
    made = Batches(settings=settings.model_copy(update={"sweep_every_s": 3600}))
    made.blobs.put("warm", b"", "text/plain")
    made.blobs.delete(["warm"])
    yield made
    made.close()


def left(batches: Batches) -> list[str]:
    """All there is of batches and jobs, in Redis and in the bucket."""
    kept = batches.redis.zcard(f"{batches.settings.key_prefix}:kept_batches")
    found = [name for kind in KINDS for name in names(batches, kind)]
    return [*found, *(["kept_batches"] if kept else []), *(blob.key for blob in batches.blobs.listed(""))]


def finished(batches: Batches, lines: int) -> str:
    """A batch of which half is drawn and half was taken back."""
    batch_id = batches.start(lines, chunk_lines=4)
    batches.step(batch_id)
    work(batches, batches.jobs_of(batch_id, lines)[: lines // 2])
    batches.step(batch_id)
    batches.store.stop(batch_id, "canceled")
    assert until_over(batches, batch_id)["s"] == "canceled"
    return batch_id


def until_gone(client: httpx.Client, batches: Batches, batch_id: str) -> None:
    for _ in range(200):
        client.get(f"/v1/batches/{batch_id}?wait=0.1", headers={"If-None-Match": "*"})
        if not left(batches):
            return
    pytest.fail(f"there is still {left(batches)}")


def test_a_batch_goes_by_itself_when_its_time_is_over(batches: Batches) -> None:
    batch_id = finished(batches, 10)
    kept = f"{batches.settings.key_prefix}:kept_batches"
    assert batches.redis.ttl(f"{batches.settings.key_prefix}:batch:{batch_id}") == -1
    asked(batches, lambda context: context.eraser.sweep())
    assert batches.fields_of(batch_id)["s"] == "canceled"
    batches.redis.zadd(kept, {batch_id: 1})
    asked(batches, lambda context: context.eraser.sweep())
    assert left(batches) == []


def test_a_batch_that_runs_again_is_kept(batches: Batches) -> None:
    batch_id = finished(batches, 10)

    async def again(context: Context) -> None:
        batch = await context.batches.get(TENANT, batch_id)
        assert batch is not None
        await retry_failed(context, batch)
        await context.eraser.sweep()

    asked(batches, again)
    assert batches.redis.zcard(f"{batches.settings.key_prefix}:kept_batches") == 0
    assert batches.batch(batch_id).waiting == 5


def test_jobs_of_every_round_go_with_their_batch(batches: Batches) -> None:
    batch_id = finished(batches, 4)

    async def again(context: Context) -> None:
        batch = await context.batches.get(TENANT, batch_id)
        assert batch is not None
        await retry_failed(context, batch)

    asked(batches, again)
    batches.step(batch_id)
    assert len(names(batches, "job")) == 6

    async def erase(context: Context) -> list[Erasing]:
        return [await context.batches.erase(tenant, batch_id) for tenant in ("another", TENANT)]

    assert asked(batches, erase) == [Erasing.NONE, Erasing.RUNNING]
    until_over(batches, batch_id)
    asked(batches, lambda context: context.eraser.sweep())
    assert left(batches) == []


def test_files_of_no_batch_are_found_once_they_are_old(batches: Batches) -> None:
    batch_id = finished(batches, 4)
    chunks = LineChunks(blobs=batches.blobs, tenant=TENANT, batch_id=uuid.uuid4().hex, source="s")
    chunks.put(0, [b"{}"])
    before = left(batches)
    assert asked(batches, lambda context: context.eraser.collect(older_than_s=600)) == 0
    assert asked(batches, lambda context: context.eraser.collect(older_than_s=-5)) == 1
    assert len(left(batches)) == len(before) - 1
    assert any(batch_id in name for name in left(batches))


def test_a_finished_batch_is_erased_when_asked(server: ApiServer, client: httpx.Client) -> None:
    batches = Batches(settings=server.settings)
    batch_id = finished(batches, 6)
    assert client.get(f"/v1/batches/{batch_id}").status_code == 200
    assert client.delete(f"/v1/batches/{batch_id}").status_code == 202
    assert client.get(f"/v1/batches/{batch_id}").status_code == 404
    assert client.post(f"/v1/batches/{batch_id}/retry_failed").status_code == 404
    assert client.get("/v1/batches").json()["batches"] == []
    until_gone(client, batches, batch_id)
    assert client.delete(f"/v1/batches/{batch_id}").status_code == 404
    assert client.delete("/v1/batches/x").status_code == 404
    batches.close()


def test_a_batch_that_runs_is_taken_back_and_goes_when_it_is_over(server: ApiServer, client: httpx.Client) -> None:
    batches = Batches(settings=server.settings)
    batch_id = batches.start(6, chunk_lines=4)
    batches.step(batch_id)
    job_ids = batches.jobs_of(batch_id, 6)
    work(batches, job_ids[:2])
    claim = batches.claim(job_ids[2])
    assert client.delete(f"/v1/batches/{batch_id}").status_code == 202
    assert client.get(f"/v1/batches/{batch_id}").json()["counts"]["canceled"] == 3
    assert client.delete(f"/v1/batches/{batch_id}").status_code == 202
    batches.jobs.end_canceled(job_ids[2], claim.attempt)
    for _ in range(50):
        if not batches.store.unfinished():
            break
        batches.step(batch_id)
    until_gone(client, batches, batch_id)
    batches.close()
