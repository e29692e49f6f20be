"""Batches in the records: fed, counted, written and closed exactly once, even if processes die or are late."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest

from shared.batch import Batch, BatchStatus, Line, Outcome, job_id_of
from shared.batch_files import ChunkLog, LineChunks
from shared.blob_store import BlobStore
from shared.job import Status
from shared.settings import Settings
from shared.stages import Stage
from shared.store.batches.feed import BatchStore, Chunk
from shared.store.batches.store import AsyncBatchStore
from shared.store.connection import connect_async
from shared.store.jobs.events import EventReader
from shared.store.jobs.finished import FinishedStage
from shared.store.jobs.record import units
from tests.support.queue_records import Records, spec_of
from worker.queue.batch_feeder import BatchFeeder

TENANT = "default"
UNITS = units(spec_of("a scene", lane="batch"))


@dataclass(kw_only=True)
class Batches(Records):
    """Records with batches: what the API writes, played by hand, and a feeder that steps when it is told to."""

    @cached_property
    def blobs(self) -> BlobStore:
        blobs = BlobStore(self.settings)
        blobs.ensure_bucket()
        return blobs

    @cached_property
    def store(self) -> BatchStore:
        return BatchStore(self.redis, self.settings)

    @cached_property
    def feeder(self) -> BatchFeeder:
        return BatchFeeder(self.store, self.settings, "feeder")

    def start(self, lines: int, *, chunk_lines: int = 10, deadline_s: int | None = None, **options: Any) -> str:
        """A batch whose lines are all read, each with these options; gives its id."""
        batch_id = uuid.uuid4().hex
        chunks = LineChunks(blobs=self.blobs, tenant=TENANT, batch_id=batch_id, source="s")
        spec = spec_of("a scene", lane="batch", **options)
        texts = [
            Line(line=number, custom_id=f"c{number}", spec=spec).model_dump_json() for number in range(1, lines + 1)
        ]
        parts = [texts[first : first + chunk_lines] for first in range(0, lines, chunk_lines)]
        for number, part in enumerate(parts):
            chunks.put(number, [text.encode() for text in part])

        async def started() -> bool:
            redis = connect_async(self.settings)
            store = AsyncBatchStore(redis, self.settings, EventReader(redis, self.settings.key_prefix))
            await store.open(batch_id, tenant=TENANT, name="", expires_after_s=deadline_s)
            begun = await store.start(
                batch_id, source="s", chunks=len(parts), good=lines, invalid=0, units=lines * units(spec), errors=()
            )
            await redis.aclose()
            return begun

        assert self._runner.run(started())
        return batch_id

    def batch(self, batch_id: str) -> Batch:
        return next(batch for batch in self.store.unfinished() if batch.id == batch_id)

    def step(self, batch_id: str) -> None:
        self.feeder.advance(self.batch(batch_id))

    def jobs_of(self, batch_id: str, lines: int) -> list[str]:
        return [job_id_of(batch_id, line, 0) for line in range(1, lines + 1)]

    def written(self, batch_id: str, log: str) -> list[Outcome]:
        names = self.redis.lrange(f"{self.settings.key_prefix}:log:{log}:{batch_id}", 0, -1)
        chunks = ChunkLog(blobs=self.blobs, tenant=TENANT, batch_id=batch_id, log=log)  # type: ignore[arg-type]
        return [Outcome.model_validate(json.loads(line)) for name in names for line in chunks.read(str(name))]

    def run_stages(self, job_ids: list[str]) -> None:
        self.queue_store.dispatch("test", 1000)
        for job_id in job_ids:
            self.finish(job_id)

    def fields_of(self, batch_id: str) -> dict[str, str]:
        found: Any = self.redis.hgetall(f"{self.settings.key_prefix}:batch:{batch_id}")
        return dict(found)


@pytest.fixture
def batches(settings: Settings) -> Iterator[Batches]:
    made = Batches(settings=settings.model_copy(update={"batch_window": 20}))
    yield made
    made.close()


def test_a_line_ends_where_its_until_says_and_is_kept_for_its_retention(batches: Batches) -> None:
    batch_id = batches.start(3, until=Stage.IDENTIFY, retention_s=60)
    batches.step(batch_id)
    jobs = batches.jobs_of(batch_id, 3)
    batches.queue_store.dispatch("test", 10)
    assert {batches.finish(job_id, until=Stage.IDENTIFY).status for job_id in jobs} == {Status.SUCCEEDED}
    (seconds, _) = batches.redis.time()
    kept = [batches.redis.zscore(f"{batches.settings.key_prefix}:kept", job_id) for job_id in jobs]
    assert [one for one in kept if one is None or not seconds < float(one) <= seconds + 61] == []
    assert until_over(batches, batch_id)["s"] == BatchStatus.SUCCEEDED
    assert {(one.status, one.picture) for one in batches.written(batch_id, "output")} == {("succeeded", None)}


def test_a_line_that_nobody_begins_in_its_time_expires(batches: Batches) -> None:
    batch_id = batches.start(1, expires_after_s=60)
    batches.step(batch_id)
    (job_id,) = batches.jobs_of(batch_id, 1)
    key = f"{batches.settings.key_prefix}:deadlines"
    (seconds, _) = batches.redis.time()
    assert seconds < float(batches.redis.zscore(key, job_id) or 0) <= seconds + 61
    batches.redis.zadd(key, {job_id: 1})
    batches.queue_store.reap([])
    assert batches.jobs.get(job_id).status is Status.EXPIRED
    assert until_over(batches, batch_id)["s"] == BatchStatus.FAILED


def until_over(batches: Batches, batch_id: str) -> dict[str, str]:
    for _ in range(50):
        if batches.fields_of(batch_id)["s"] not in {"validating", "running", "finalizing"}:
            return batches.fields_of(batch_id)
        batches.step(batch_id)
    raise AssertionError(batches.fields_of(batch_id))


def test_a_window_of_the_lines_is_queued_and_every_line_ends_once(batches: Batches) -> None:
    batch_id = batches.start(45)
    jobs = batches.jobs_of(batch_id, 45)
    batches.step(batch_id)
    batches.step(batch_id)
    assert batches.batch(batch_id).open == 20
    assert batches.batch(batch_id).waiting == 25
    for first in (0, 20, 40):
        batches.run_stages(jobs[first : first + 20])
        batches.step(batch_id)
    assert until_over(batches, batch_id)["s"] == "succeeded"
    outcomes = batches.written(batch_id, "output")
    assert sorted(outcome.line for outcome in outcomes) == list(range(1, 46))
    assert {outcome.custom_id for outcome in outcomes} == {f"c{number}" for number in range(1, 46)}
    assert all(outcome.picture and outcome.seed is None for outcome in outcomes)
    assert batches.redis.zcard(f"{batches.settings.key_prefix}:active_batches") == 0


def test_a_feeder_that_comes_late_queues_nothing_twice(batches: Batches) -> None:
    batch_id = batches.start(30)
    seen = batches.batch(batch_id)
    BatchFeeder(batches.store, batches.settings, "first").advance(seen)
    BatchFeeder(batches.store, batches.settings, "late").advance(seen)
    assert batches.batch(batch_id).open == 20
    assert batches.redis.zcard(f"{batches.set_of('ready', 'batch')}:{TENANT}") == 20


def test_a_feeder_that_died_between_s3_and_redis_has_written_nothing(batches: Batches) -> None:
    batch_id = batches.start(3)
    batches.step(batch_id)
    jobs = batches.jobs_of(batch_id, 3)
    batches.run_stages(jobs[:2])
    log = ChunkLog(blobs=batches.blobs, tenant=TENANT, batch_id=batch_id, log="output")
    log.put(0, [b'{"line":1,"status":"succeeded"}'])
    batches.step(batch_id)
    batches.run_stages(jobs[2:])
    assert until_over(batches, batch_id)["s"] == "succeeded"
    assert [outcome.line for outcome in batches.written(batch_id, "output")] == [1, 2, 3]


def test_a_chunk_that_was_written_late_is_nobodys(batches: Batches) -> None:
    batch_id = batches.start(2)
    batches.step(batch_id)
    batches.run_stages(batches.jobs_of(batch_id, 2))
    seen = batches.batch(batch_id)
    until_over(batches, batch_id)
    late = Chunk(log="output", before=0, last="", replaces=False, name="00000-9-late", jobs=2)
    assert not batches.store.write(seen, late)
    assert [outcome.line for outcome in batches.written(batch_id, "output")] == [1, 2]


def test_two_feeders_at_once_leave_one_line_each(batches: Batches) -> None:
    batch_id = batches.start(40)
    jobs = batches.jobs_of(batch_id, 40)
    over = threading.Event()

    def feed(name: str) -> None:
        feeder = BatchFeeder(batches.store, batches.settings, name)
        while not over.is_set():
            for batch in batches.store.unfinished():
                feeder.advance(batch)

    threads = [threading.Thread(target=feed, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    try:
        for job_id in jobs:
            while batches.redis.exists(f"{batches.settings.key_prefix}:job:{job_id}") == 0:
                pass
            batches.run_stages([job_id])
        while batches.fields_of(batch_id)["s"] not in {"succeeded", "partially_failed", "failed"}:
            pass
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert batches.fields_of(batch_id)["s"] == "succeeded"
    assert sorted(outcome.line for outcome in batches.written(batch_id, "output")) == list(range(1, 41))


def test_a_canceled_batch_ends_what_waits_at_once_and_what_runs_at_its_next_step(batches: Batches) -> None:
    batch_id = batches.start(45)
    batches.step(batch_id)
    jobs = batches.jobs_of(batch_id, 45)
    batches.queue_store.dispatch("test", 1)
    claim = batches.claim(jobs[0])
    batches.store.stop(batch_id, "canceled")
    batch = batches.batch(batch_id)
    assert (batch.status, batch.open, batch.running, batch.over[Status.CANCELED]) == (BatchStatus.RUNNING, 1, 1, 19)
    batches.step(batch_id)
    assert batches.batch(batch_id).status is BatchStatus.RUNNING
    assert batches.jobs.renew(jobs[0], claim.attempt, worker="worker") == "canceled"
    batches.jobs.end_canceled(jobs[0], claim.attempt)
    assert until_over(batches, batch_id)["s"] == "canceled"
    outcomes = batches.written(batch_id, "errors")
    assert sorted(outcome.line for outcome in outcomes) == list(range(1, 46))
    assert {outcome.status for outcome in outcomes} == {"canceled"}
    assert sum(outcome.job is None for outcome in outcomes) == 25


def test_a_batch_whose_time_is_over_keeps_what_is_finished(batches: Batches) -> None:
    batch_id = batches.start(25, deadline_s=3600)
    batches.step(batch_id)
    jobs = batches.jobs_of(batch_id, 25)
    batches.run_stages(jobs[:2])
    claim = batches.claim(jobs[2])
    batches.redis.hset(f"{batches.settings.key_prefix}:batch:{batch_id}", "deadline", 1)
    batches.step(batch_id)
    assert (
        batches.jobs.finish(jobs[2], claim.attempt, FinishedStage(stage=Stage.IDENTIFY, digest="d", seconds=1))
        == "canceled"
    )
    assert batches.jobs.get(jobs[2]).status is Status.EXPIRED
    assert until_over(batches, batch_id)["s"] == "expired"
    assert [outcome.line for outcome in batches.written(batch_id, "output")] == [1, 2]
    assert {outcome.status for outcome in batches.written(batch_id, "errors")} == {"expired"}
    assert len(batches.written(batch_id, "errors")) == 23


def test_running_jobs_are_counted_through_losses_and_retries(batches: Batches) -> None:
    batch_id = batches.start(1)
    batches.step(batch_id)
    (job_id,) = batches.jobs_of(batch_id, 1)
    batches.queue_store.dispatch("test", 1)
    claim = batches.claim(job_id)
    assert (batches.batch(batch_id).running, batches.batch(batch_id).open) == (1, 1)
    batches.jobs.release(job_id, claim.attempt)
    assert batches.batch(batch_id).running == 0
    batches.queue_store.dispatch("test", 1)
    batches.claim(job_id)
    batches.run_out(job_id)
    batches.queue_store.reap(())
    assert (batches.batch(batch_id).running, batches.batch(batch_id).open) == (0, 1)
    batches.run_stages([job_id])
    assert until_over(batches, batch_id)["running"] == "0"


def test_lines_that_were_lost_do_not_stop_the_batch(batches: Batches) -> None:
    batch_id = batches.start(20)
    LineChunks(blobs=batches.blobs, tenant=TENANT, batch_id=batch_id, source="s").delete(range(1))
    batches.step(batch_id)
    batches.run_stages(batches.jobs_of(batch_id, 20)[10:])
    assert until_over(batches, batch_id)["s"] == "partially_failed"


def test_a_batch_of_no_good_line_has_failed(batches: Batches) -> None:
    assert until_over(batches, batches.start(0))["s"] == "failed"
