"""The newest state of watched jobs, on a real server: read once for everybody, newest only for the slow."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from shared.settings import Settings
from shared.stages import Stage
from shared.store.connection import connect_async
from shared.store.jobs.live import LiveJobs, Watch
from shared.store.jobs.store import AsyncJobStore
from tests.support.queue_records import Records

_PATIENCE_S = 20.0
_STEPS = 50


@pytest.fixture
def records(settings: Settings) -> Iterator[Records]:
    records = Records(settings=settings)
    yield records
    records.close()


async def step_of(watch: Watch) -> int:
    """Step of the next state."""
    snapshot = await asyncio.wait_for(watch.next(), _PATIENCE_S)
    assert snapshot is not None
    assert snapshot.job is not None
    return snapshot.job.progress.step


def advance(records: Records, job_id: str, attempt: int) -> None:
    for step in range(1, _STEPS + 1):
        records.jobs.renew(job_id, attempt, worker="worker", progress=(step, _STEPS))


def test_many_readers_cost_one_read_and_a_slow_one_finds_the_newest_state(records: Records) -> None:
    job_id = records.submit()
    records.queue_store.dispatch("test", 100)
    attempt = records.claim(job_id, Stage.IDENTIFY).attempt

    async def run() -> None:
        client = connect_async(records.settings)
        jobs = AsyncJobStore(client, records.settings)
        live = LiveJobs(jobs)
        await jobs.start()
        live.start()
        with live.watch(job_id) as quick, live.watch(job_id) as slow, live.watch(job_id) as late:
            assert live.count == 3
            assert [await step_of(watch) for watch in (quick, slow)] == [0, 0]
            await asyncio.to_thread(advance, records, job_id, attempt)
            heard = [await step_of(quick)]
            while heard[-1] != _STEPS:
                heard.append(await step_of(quick))
            assert heard == sorted(set(heard))
            assert [await step_of(watch) for watch in (slow, late)] == [_STEPS, _STEPS]
        assert live.count == 0
        with live.watch(job_id) as watch:
            assert await step_of(watch) == _STEPS
            waiting = asyncio.create_task(watch.next())
            await live.stop()
            assert await waiting is None
        # Nothing is left of anybody.
        assert (live._watched, jobs.events._listening) == ({}, {})
        await jobs.stop()
        await client.aclose()

    asyncio.run(run())


def test_a_job_that_is_not_there_is_told_as_such(records: Records) -> None:
    async def run() -> None:
        client = connect_async(records.settings)
        live = LiveJobs(AsyncJobStore(client, records.settings))
        live.start()
        with live.watch("0" * 32) as watch:
            snapshot = await asyncio.wait_for(watch.next(), _PATIENCE_S)
            assert snapshot is not None
            assert snapshot.job is None
        await live.stop()
        await client.aclose()

    asyncio.run(run())


def test_a_burst_of_questions_waits_for_connections(records: Records) -> None:
    job_id = records.submit()

    async def run() -> int:
        client = connect_async(records.settings)
        jobs = AsyncJobStore(client, records.settings)
        answers = await asyncio.gather(*(jobs.get(job_id) for _ in range(500)))
        await client.aclose()
        return len([job for job in answers if job is not None])

    assert asyncio.run(run()) == 500
