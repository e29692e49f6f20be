"""What waits without a place in a lane is in the backlog, too: lines of batches in the blob store, and parked jobs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.batches.retry import retry_failed
from api.context import Context
from shared.settings import Settings
from shared.stages import Stage
from shared.store.queue.values import ResultClaim
from shared.store.units import encode_units
from tests.integration.test_batch_records import TENANT, UNITS, Batches, until_over
from tests.integration.test_finished_lines import asked
from tests.integration.test_queue_state import state, worker


@pytest.fixture
def batches(settings: Settings) -> Iterator[Batches]:
    made = Batches(settings=settings.model_copy(update={"batch_window": 20, "sweep_every_s": 3600}))
    # A line takes a worker one second.
    made.redis.set(f"{made.settings.key_prefix}:speed", encode_units(UNITS))
    yield made
    made.close()


def test_lines_that_wait_in_the_blob_store_are_in_depth_eta_and_backlog(batches: Batches) -> None:
    worker(batches, 2)
    batch_id = batches.start(100)
    assert state(batches.settings, TENANT)["batch"].depth == 100
    batches.step(batch_id)
    found = state(batches.settings, TENANT)["batch"]
    assert (found.depth, found.running) == (100, 0)
    assert found.backlog_s == pytest.approx(50, rel=0.01)
    assert found.eta_s == pytest.approx(50, rel=0.05)
    batches.run_stages(batches.jobs_of(batch_id, 100)[:15])
    batches.step(batch_id)
    batches.redis.set(f"{batches.settings.key_prefix}:speed", encode_units(UNITS))
    found = state(batches.settings, TENANT)["batch"]
    assert found.depth + found.running == 85
    theirs = state(batches.settings, "another")["batch"]
    assert (theirs.depth, theirs.eta_s, theirs.backlog_s) == (0, None, found.backlog_s)


def test_a_batch_that_was_taken_back_is_no_backlog(batches: Batches) -> None:
    worker(batches, 1)
    batch_id = batches.start(100)
    batches.step(batch_id)
    batches.store.stop(batch_id, "canceled")
    found = state(batches.settings, TENANT)["batch"]
    assert (found.depth, found.eta_s, found.backlog_s) == (0, None, 0)


def test_lines_that_run_again_are_backlog_again(batches: Batches) -> None:
    batch_id = batches.start(30)
    batches.step(batch_id)
    batches.store.stop(batch_id, "canceled")
    until_over(batches, batch_id)

    async def again(context: Context) -> None:
        batch = await context.batches.get(TENANT, batch_id)
        assert batch is not None
        await retry_failed(context, batch)

    asked(batches, again)
    found = state(batches.settings, TENANT)["batch"]
    assert found.depth == 30
    assert found.backlog_s == pytest.approx(30, rel=0.01)


def test_parked_jobs_are_counted(batches: Batches) -> None:
    for tenant, expected in (("mine", ResultClaim.MAKE), ("mine", ResultClaim.WAIT), ("mine", ResultClaim.WAIT)):
        job_id = batches.submit(tenant=tenant)
        batches.queue_store.dispatch("test", 10)
        claim = batches.claim(job_id)
        asked_for = batches.jobs.acquire_result(
            job_id, claim.attempt, worker="worker", stage=Stage.IDENTIFY, digest="d", parts=()
        )
        assert asked_for is expected
    found = state(batches.settings, "mine")["interactive"]
    assert (found.depth, found.running) == (2, 1)
    assert found.backlog_s == pytest.approx(2, rel=0.01)
    assert found.eta_s == pytest.approx(2, rel=0.01)
    assert state(batches.settings, "another")["interactive"].depth == 0
