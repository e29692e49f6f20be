"""What is left in Redis of a line that ended, and that it still answers and goes like any other job."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import pytest

from api.batches.retry import retry_failed
from api.context import Context, open_context
from shared.batch_files import LineChunks
from shared.blob_store import stage_key
from shared.job import Failure, Job
from shared.settings import Settings
from shared.stages import STAGES, Stage
from shared.store.jobs.erasure import Erasing
from shared.store.jobs.finished import FinishedStage
from shared.verification import ConceptRegion, PhotoFaces, Verification, VerifiedFace
from tests.benchmarks.shared_work import left_bytes
from tests.integration.test_batch_records import TENANT, Batches, until_over

T = TypeVar("T")
# A record, its place among those that are kept, and two results of its own and three that it shares with ten lines.
MOST_BYTES = 1350
FACES = tuple(
    VerifiedFace(concept=concept, identity=0.6123, face_box_px=(40.1, 22.5, 71.9, 60.2)) for concept in (0, 1)
)
SEEN = ((PhotoFaces(found=1, box_px=(41.5, 30.2, 88.0, 95.1)),),) * 2
REGIONS = (ConceptRegion(box_px=(12.3, 20.5, 60.1, 127.9), score=0.6312),) * 2
VERIFICATION = Verification.of(FACES, ())


@pytest.fixture
def batches(settings: Settings) -> Iterator[Batches]:
    made = Batches(settings=settings.model_copy(update={"sweep_every_s": 3600}))
    made.blobs.put("warm", b"", "text/plain")
    made.blobs.delete(["warm"])
    yield made
    made.close()


def asked(batches: Batches, act: Callable[[Context], Awaitable[T]]) -> T:
    """Acts as a process of the API does."""

    async def scene() -> T:
        async with open_context(batches.settings) as context:
            return await act(context)

    return asyncio.run(scene())


def names(batches: Batches, kind: str) -> list[str]:
    return [str(name) for name in batches.redis.scan_iter(f"{batches.settings.key_prefix}:{kind}:*")]


def work(batches: Batches, job_ids: list[str]) -> list[Job]:
    """Draws the pictures of these jobs, ten of which share all but their picture and its verification."""
    batches.queue_store.dispatch("test", 1000)
    for number, job_id in enumerate(job_ids):
        for stage in STAGES:
            whose = number if stage in STAGES[-2:] else number // 10
            digest = hashlib.sha256(f"{stage}{whose}{job_ids[0]}".encode()).hexdigest()[:32]
            batches.blobs.put(stage_key(TENANT, stage, digest, "picture.png"), b"x", "image/png")
            claim, last = batches.claim(job_id, stage), stage is STAGES[-1]
            drawn = claim.job.outputs.get(Stage.PERSONALIZE, "")
            batches.jobs.finish(
                job_id,
                claim.attempt,
                FinishedStage(
                    stage=stage,
                    digest=digest,
                    seconds=1.25,
                    picture=stage_key(TENANT, Stage.PERSONALIZE, drawn, "picture.png") if last else None,
                    faces=SEEN if stage is Stage.IDENTIFY else (),
                    regions=REGIONS if stage is Stage.DETECT else (),
                    verification=VERIFICATION if last else None,
                ),
            )
    return [batches.jobs.get(job_id) for job_id in job_ids]


def test_a_finished_line_takes_little_room(batches: Batches) -> None:
    lines = 100
    batch_id = batches.start(lines, chunk_lines=50)
    batches.step(batch_id)
    job_ids = batches.jobs_of(batch_id, lines)
    work(batches, job_ids)
    before = left_bytes(batches.redis, batches.settings.key_prefix)
    assert until_over(batches, batch_id)["s"] == "succeeded"
    after = left_bytes(batches.redis, batches.settings.key_prefix)
    assert after / lines < MOST_BYTES
    assert after < 0.75 * before


def test_a_finished_line_reads_as_before(batches: Batches) -> None:
    batch_id = batches.start(15)
    batches.step(batch_id)
    job_ids = batches.jobs_of(batch_id, 15)
    before = work(batches, job_ids)
    assert until_over(batches, batch_id)["s"] == "succeeded"
    assert not any("spec" in batches.fields(job_id) for job_id in job_ids)

    async def read(context: Context) -> list[Job | None]:
        return [await context.jobs.get(job_id) for job_id in job_ids]

    assert asked(batches, read) == before


def test_a_line_that_failed_answers_after_it_was_asked_for_again(batches: Batches) -> None:
    batch_id = batches.start(1)
    batches.step(batch_id)
    (job_id,) = batches.jobs_of(batch_id, 1)
    batches.queue_store.dispatch("test", 1)
    claim = batches.claim(job_id)
    batches.jobs.fail(job_id, claim.attempt, Failure(code="no_face", message="no face", retryable=False))
    before = batches.jobs.get(job_id)
    assert until_over(batches, batch_id)["s"] == "failed"

    async def again(context: Context) -> Job | None:
        batch = await context.batches.get(TENANT, batch_id)
        assert batch is not None
        await retry_failed(context, batch)
        return await context.jobs.get(job_id)

    assert asked(batches, again) == before


def test_a_finished_line_is_erased_with_all_it_left(batches: Batches) -> None:
    batch_id = batches.start(2)
    batches.step(batch_id)
    first, second = batches.jobs_of(batch_id, 2)
    work(batches, [first, second])
    assert until_over(batches, batch_id)["s"] == "succeeded"

    async def erase(context: Context) -> Erasing:
        return await context.eraser.erase_job(first, TENANT)

    assert asked(batches, erase) is Erasing.OVER
    left = [blob.key.split("/")[2] for blob in batches.blobs.listed(f"{TENANT}/stages/")]
    assert sorted(left) == sorted(stage.value for stage in STAGES)
    assert len(names(batches, "faces")) == 1
    # The second goes by itself when its time is over.
    batches.redis.zadd(f"{batches.settings.key_prefix}:kept", {second: 1})
    asked(batches, lambda context: context.eraser.sweep())
    assert names(batches, "job") + names(batches, "references") + names(batches, "faces") == []
    assert list(batches.blobs.listed(f"{TENANT}/stages/")) == []


def test_a_line_whose_text_is_gone_is_not_there_and_can_be_erased(batches: Batches) -> None:
    batch_id = batches.start(1)
    batches.step(batch_id)
    (job_id,) = batches.jobs_of(batch_id, 1)
    work(batches, [job_id])
    until_over(batches, batch_id)
    LineChunks(blobs=batches.blobs, tenant=TENANT, batch_id=batch_id, source="s").delete(range(1))

    async def read_and_erase(context: Context) -> tuple[Job | None, Erasing]:
        return await context.jobs.get(job_id), await context.eraser.erase_job(job_id, TENANT)

    assert asked(batches, read_and_erase) == (None, Erasing.OVER)
    assert list(batches.blobs.listed(f"{TENANT}/stages/")) == []
    assert names(batches, "job") == []
