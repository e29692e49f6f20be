"""What it costs to ask for the lines of a batch again: the units of those that a worker had begun."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from api.batches.retry import retry_failed
from api.context import Context
from shared.job import Failure, Status
from shared.settings import Settings
from shared.store.tenants.charge import Charge
from tests.integration.test_batch_lost_answers import spent
from tests.integration.test_batch_records import TENANT, UNITS, Batches, until_over
from tests.integration.test_finished_lines import asked
from tests.support.api_server import ApiServer
from tests.support.lossy_redis import lossy_redis


@pytest.fixture
def settings(settings_on_each_redis: Settings) -> Settings:
    """These are about scripts, which run on two servers."""
    return settings_on_each_redis


NO_FACE = Failure(code="no_face", message="no face", retryable=False)


@pytest.fixture
def batches(settings: Settings) -> Iterator[Batches]:
    made = Batches(settings=settings)
    made.limit(TENANT, daily_units=10_000)
    yield made
    made.close()


def ended(batches: Batches, *, failed: int = 0, drawn: int = 0, begun: int = 0, waiting: int = 0) -> str:
    """A batch that was taken back when so many lines had failed, had a picture, were begun, and waited."""
    batch_id = batches.start(failed + drawn + begun + waiting)
    batches.step(batch_id)
    jobs = batches.jobs_of(batch_id, failed + drawn + begun)
    batches.queue_store.dispatch("test", 100)
    for job_id in jobs[:failed]:
        batches.jobs.fail(job_id, batches.claim(job_id).attempt, NO_FACE)
    for job_id in jobs[failed : failed + drawn]:
        batches.finish(job_id)
    claims = [batches.claim(job_id) for job_id in jobs[failed + drawn :]]
    batches.store.stop(batch_id, "canceled")
    for claim in claims:
        batches.jobs.end_canceled(claim.job.id, claim.attempt)
    until_over(batches, batch_id)
    return batch_id


def again(batches: Batches, batch_id: str) -> Charge:
    """Asks for the lines again as the API does; gives what was counted."""
    charge = Charge(requests=0)

    async def act(context: Context) -> None:
        batch = await context.batches.get(TENANT, batch_id)
        assert batch is not None
        await retry_failed(context, batch, charge)

    asked(batches, act)
    return charge


def test_lines_that_were_begun_cost_their_units_again_and_no_others(batches: Batches) -> None:
    batch_id = ended(batches, failed=2, drawn=1, begun=1, waiting=3)
    charge = again(batches, batch_id)
    assert spent(batches) == pytest.approx(3 * UNITS)
    assert [one.left for one in charge.allowances] == [int(10_000 - 3 * UNITS)]
    # They wait again, and what only waited costs nothing.
    batches.store.stop(batch_id, "canceled")
    until_over(batches, batch_id)
    again(batches, batch_id)
    assert spent(batches) == pytest.approx(3 * UNITS)


def test_lines_that_need_more_units_than_are_left_do_not_run_again(server: ApiServer, client: httpx.Client) -> None:
    batches = Batches(settings=server.settings)
    batch_id = ended(batches, failed=2, waiting=1)
    batches.limit(TENANT, daily_units=int(2 * UNITS))
    before = batches.fields_of(batch_id), sorted(blob.key for blob in batches.blobs.listed(""))
    for _ in range(2):
        answer = client.post(f"/v1/batches/{batch_id}/retry_failed")
        assert (answer.status_code, answer.json()["code"]) == (429, "quota_exceeded")
        assert int(answer.headers["retry-after"]) > 0
    assert (batches.fields_of(batch_id), sorted(blob.key for blob in batches.blobs.listed(""))) == before
    batches.limit(TENANT, daily_units=int(2 * UNITS) + 1)
    answer = client.post(f"/v1/batches/{batch_id}/retry_failed")
    assert (answer.status_code, answer.json()["counts"]["waiting"]) == (202, 3)
    assert '"units";r=0;' in answer.headers["ratelimit"]
    batches.close()


def test_lines_that_are_asked_for_again_are_counted_once_when_the_answer_gets_lost(batches: Batches) -> None:
    batch_id = ended(batches, failed=2)
    with lossy_redis(batches.settings, "batches/retry") as way:
        way.lose = ["batches/retry"]
        theirs = Batches(settings=batches.settings.model_copy(update={"redis_url": way.url}))
        again(theirs, batch_id)
        assert way.lose == []
    assert spent(batches) == pytest.approx(2 * UNITS)
    assert batches.batch(batch_id).round == 1


def test_units_are_counted_down_to_nothing(batches: Batches) -> None:
    # 1096 x 1048 pixels and 7 steps are 24.120768 units, which no float is equal to.
    batch_id = batches.start(7, sampling={"steps": 7, "width_px": 1096, "height_px": 1048})
    load, units = f"{batches.settings.key_prefix}:load", "batch:units"
    batches.step(batch_id)
    assert (batches.fields_of(batch_id)["left"], batches.redis.hget(load, units)) == ("0", str(7 * 24_120_768))
    jobs = batches.jobs_of(batch_id, 7)
    batches.queue_store.dispatch("test", 6)
    assert batches.redis.hget(load, units) == str(24_120_768)
    batches.store.stop(batch_id, "canceled")
    assert batches.redis.hget(load, units) == "0"
    assert {batches.jobs.get(job_id).status for job_id in jobs} == {Status.CANCELED}
