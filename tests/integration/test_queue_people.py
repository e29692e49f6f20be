"""What people do with a job: submit, look, wait, take back; and where it stands meanwhile."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
import redis.asyncio

from shared.job import Failure
from shared.settings import Settings
from shared.stages import Stage
from shared.store.connection import connect_async
from shared.store.jobs.store import AsyncJobStore
from shared.store.queue.values import QueuePlace, WorkerStatus
from tests.support.queue_records import Records, spec_of

PATIENCE_S = 30.0


@pytest.fixture
def records(settings: Settings) -> Iterator[Records]:
    made = Records(settings=settings)
    yield made
    made.close()


def place_of(records: Records, job_id: str) -> QueuePlace:
    """Where a queued job stands; fails when it is not queued."""
    place = records.ask(lambda store: store.queue_place(job_id))
    assert place is not None
    return place


@asynccontextmanager
async def started(settings: Settings) -> AsyncIterator[AsyncJobStore]:
    client = connect_async(settings)
    store = AsyncJobStore(client, settings)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()
        await client.aclose()


def test_a_submitted_job_waits_as_it_was_asked_for(records: Records) -> None:
    job_id = uuid.uuid4().hex
    spec = spec_of("a man and a woman", lane="batch", steps=7)
    made = records.ask(lambda store: store.submit(job_id, spec, tenant="someone"))
    found = records.ask(lambda store: store.get(job_id))
    assert made == found
    assert found is not None
    assert (found.spec, found.tenant, found.lane, found.status) == (spec, "someone", "batch", "queued")
    assert (found.sequence, found.attempt, found.stage) == (1, 0, None)
    assert records.where(job_id, "someone") == ["ready"]


def test_the_same_id_again_changes_nothing(records: Records) -> None:
    job_id = records.submit("first")
    records.finish(job_id)
    before = records.fields(job_id)
    again = records.ask(lambda store: store.submit(job_id, spec_of("second")))
    assert (again.spec.prompt, again.status) == ("first", "succeeded")
    assert records.fields(job_id) == before
    assert records.where(job_id) == []


def test_there_is_no_job_that_nobody_submitted(records: Records) -> None:
    assert records.ask(lambda store: store.get("nobody")) is None
    assert records.cancel("nobody") is None
    assert records.ask(lambda store: store.queue_place("nobody")) is None


@pytest.mark.parametrize("handed_out", [False, True])
def test_a_job_that_nobody_works_on_is_taken_back_at_once(records: Records, *, handed_out: bool) -> None:
    job_id = records.submit()
    if handed_out:
        records.queue_store.dispatch("test", 1)
    job = records.cancel(job_id)
    assert job is not None
    assert (job.status, job.done) == ("canceled", True)
    assert records.where(job_id) == []


def test_a_job_that_pauses_is_taken_back_at_once(records: Records) -> None:
    claim = records.claimed()
    failure = Failure(code="blobs_unavailable", message="S3 is away", retryable=True, stage=Stage.IDENTIFY)
    records.jobs.retry(claim.job.id, claim.attempt, failure, tries=5)
    job = records.cancel(claim.job.id)
    assert job is not None
    assert job.status == "canceled"
    assert records.where(claim.job.id) == []


def test_a_job_that_is_worked_on_is_taken_back_by_its_holder(records: Records) -> None:
    claim = records.claimed()
    for _ in range(2):
        job = records.cancel(claim.job.id)
        assert job is not None
        assert job.status == "running"
    records.jobs.end_canceled(claim.job.id, claim.attempt)
    assert records.jobs.get(claim.job.id).status == "canceled"


def test_a_job_that_is_over_cannot_be_taken_back(records: Records) -> None:
    done = records.finish(records.submit())
    assert records.cancel(done.id) == done


def test_a_queued_job_knows_how_many_come_before_it(records: Records) -> None:
    ids = [records.submit() for _ in range(3)]
    places = [place_of(records, job_id) for job_id in ids]
    assert [place.position for place in places] == [0, 1, 2]
    assert {place.lane for place in places} == {"interactive"}


def test_other_tenants_come_first_only_as_often_as_ones_own_jobs(records: Records) -> None:
    for _ in range(10):
        records.submit(tenant="crowd")
    mine = [records.submit(tenant="me") for _ in range(3)]
    places = [place_of(records, job_id) for job_id in mine]
    assert [place.position for place in places] == [0, 2, 4]


def test_a_job_that_runs_has_no_place(records: Records) -> None:
    claim = records.claimed()
    assert records.ask(lambda store: store.queue_place(claim.job.id)) is None


def test_how_long_it_takes_is_unknown_before_anything_was_measured(records: Records) -> None:
    job_id = records.submit()
    assert place_of(records, job_id).eta_s is None


def test_how_long_it_takes_grows_with_the_queue(records: Records) -> None:
    records.queue_store.report_readiness("worker", ready=True)
    records.queue_store.heartbeat(WorkerStatus(name="worker", role="generation", slots=1, bundle="mini"))
    # Two stages of half a second each: one second a job of this size.
    records.finish(records.submit())
    ids = [records.submit() for _ in range(4)]
    places = [place_of(records, job_id) for job_id in ids]
    assert [place.eta_s for place in places] == pytest.approx([1.0, 2.0, 3.0, 4.0])


def test_a_wait_ends_with_the_next_change(settings: Settings) -> None:
    records = Records(settings=settings)
    claim = records.claimed()

    async def scene() -> None:
        async with started(settings) as store:
            waits = asyncio.create_task(store.wait(claim.job.id, after=claim.job.sequence, timeout_s=PATIENCE_S))
            await asyncio.to_thread(records.jobs.renew, claim.job.id, claim.attempt, worker="worker", progress=(1, 2))
            job = await asyncio.wait_for(waits, PATIENCE_S)
            assert job is not None
            assert job.progress.step == 1

    asyncio.run(scene())
    records.close()


def test_a_wait_for_a_change_that_was_already_made_ends_at_once(records: Records) -> None:
    claim = records.claimed()
    job = records.ask(lambda store: store.wait(claim.job.id, after=1, timeout_s=PATIENCE_S))
    assert job is not None
    assert job.sequence > 1


def test_a_wait_for_a_job_that_is_over_ends_at_once(records: Records) -> None:
    done = records.finish(records.submit())
    assert records.ask(lambda store: store.wait(done.id, after=done.sequence, timeout_s=PATIENCE_S)) == done


def test_a_wait_gives_the_job_as_it_is_when_the_time_is_over(records: Records) -> None:
    job_id = records.submit()
    job = records.ask(lambda store: store.wait(job_id, after=1, timeout_s=0.05))
    assert job is not None
    assert job.sequence == 1


def test_a_wait_survives_a_cut_connection(settings: Settings, redis_url: str) -> None:
    records = Records(settings=settings)
    claim = records.claimed()

    async def scene() -> None:
        async with started(settings) as store:
            waits = asyncio.create_task(store.wait(claim.job.id, after=claim.job.sequence, timeout_s=PATIENCE_S))
            await _until(lambda: _reads_events(redis_url))
            with redis.Redis.from_url(redis_url) as other:
                other.client_kill_filter(_type="normal", skipme=True)
            await asyncio.to_thread(records.jobs.renew, claim.job.id, claim.attempt, worker="worker", progress=(1, 2))
            job = await asyncio.wait_for(waits, PATIENCE_S)
            assert job is not None
            assert job.progress.step == 1

    asyncio.run(scene())
    records.close()


def test_photos_that_nobody_uploaded_are_named(records: Records) -> None:
    records.ask(lambda store: store.keep_photo("someone", "a" * 64))
    asked = ["a" * 64, "b" * 64]
    assert records.ask(lambda store: store.unknown_photos("someone", asked)) == {"b" * 64}
    assert records.ask(lambda store: store.unknown_photos("someone", [])) == set()


def test_a_photo_is_known_to_the_tenant_who_uploaded_it(records: Records) -> None:
    records.ask(lambda store: store.keep_photo("someone", "a" * 64))
    assert records.ask(lambda store: store.unknown_photos("other", ["a" * 64])) == {"a" * 64}


def test_another_tenants_job_cannot_be_canceled(records: Records) -> None:
    job_id = records.submit(tenant="someone")
    assert records.ask(lambda store: store.cancel(job_id, tenant="other")) is None
    assert records.jobs.get(job_id).status == "queued"
    canceled = records.ask(lambda store: store.cancel(job_id, tenant="someone"))
    assert canceled is not None
    assert canceled.status == "canceled"


def test_the_stages_of_a_job_are_seen_from_outside(records: Records) -> None:
    job_id = records.submit()
    seen = []
    for stage in (Stage.IDENTIFY, Stage.RENDER):
        records.finish(job_id, until=stage)
        job = records.ask(lambda store: store.get(job_id))
        assert job is not None
        seen.append((job.status.value, job.stage))
    assert seen == [("running", Stage.RENDER), ("running", Stage.DETECT)]


async def _reads_events(url: str) -> bool:
    """Whether somebody waits at the stream of changes."""
    client = redis.asyncio.Redis.from_url(url)
    try:
        return any(one["cmd"] == "xread" for one in await client.client_list())
    finally:
        await client.aclose()


async def _until(found: Callable[[], Awaitable[bool]]) -> None:
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while not await found():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)
