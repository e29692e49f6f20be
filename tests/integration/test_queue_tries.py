"""Tries as the records know them: asked twice, taken back, counted and erased."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from shared.settings import Settings
from shared.stages import SEEDED_STAGES, STAGES, Stage
from shared.store.connection import connect_async
from shared.store.jobs.erasure import Erasures, Remaining
from shared.store.jobs.finished import FinishedStage
from shared.store.queue.values import Report
from shared.verification import ConceptRegion, Try, Verification, VerifiedFace
from tests.support.queue_records import Records


@pytest.fixture
def settings(settings_on_each_redis: Settings) -> Settings:
    """These are about scripts, which run on two servers."""
    return settings_on_each_redis


@pytest.fixture
def records(settings: Settings) -> Iterator[Records]:
    made = Records(settings=settings)
    yield made
    made.close()


def drawn(number: int, identity: float) -> Try:
    return Try(
        seed=number,
        verification=Verification.of([VerifiedFace(concept=0, identity=identity, face_box_px=(1, 2, 3, 4))], ()),
        regions=(ConceptRegion(box_px=(number, 2, 3, 4), score=0.5),),
        outputs={stage.value: f"d-{stage.value}-{0 if stage is STAGES[0] else number}" for stage in STAGES},
        picture=f"picture-{number}",
    )


def draw(records: Records, job_id: str, tries: list[Try], *, again: bool) -> list[Report]:
    """Plays the newest try through its stages, and says twice how it ended."""
    newest = tries[-1]
    endings = []
    for stage in STAGES if len(tries) == 1 else SEEDED_STAGES:
        claim, last = records.claim(job_id, stage), stage is STAGES[-1]
        for _ in range(2 if last else 1):
            ending = records.jobs.finish(
                job_id,
                claim.attempt,
                FinishedStage(
                    stage=stage,
                    digest=newest.outputs[stage.value],
                    seconds=0.5,
                    regions=newest.regions if stage is Stage.DETECT else (),
                    picture=newest.picture if last else None,
                    verification=newest.verification if last else None,
                    tries=tries if last else (),
                    try_again=again and last,
                ),
            )
            endings.append(ending)
    return endings


def test_the_next_try_waits_at_the_front_and_what_the_last_one_left_is_out_of_sight(records: Records) -> None:
    job_id, _ = records.submit(max_tries=2), records.submit()
    records.queue_store.dispatch("test", 1)
    assert set(draw(records, job_id, [drawn(0, 0.3)], again=True)) == {Report.DONE}
    job = records.jobs.get(job_id)
    assert (job.status, job.stage, job.picture, job.verification) == ("queued", SEEDED_STAGES[0], None, None)
    assert job.regions == ()
    assert (set(job.outputs), job.tries) == ({STAGES[0]}, (drawn(0, 0.3),))
    dispatched = records.queue_store.dispatch("test", 1) or []
    assert [(message.job_id, message.stage) for message in dispatched] == [(job_id, SEEDED_STAGES[0])]


def test_the_best_try_is_kept_and_all_of_them_count_and_are_erased(records: Records, settings: Settings) -> None:
    records.limit("default", daily_units=100_000)
    job_id = records.submit(max_tries=2)
    records.queue_store.dispatch("test", 1)
    tries = [drawn(0, 0.4), drawn(1, 0.3)]
    draw(records, job_id, tries[:1], again=True)
    records.queue_store.dispatch("test", 1)
    assert set(draw(records, job_id, tries, again=False)) == {Report.DONE}
    job = records.jobs.get(job_id)
    assert (job.status, job.picture, job.verification) == ("succeeded", "picture-0", tries[0].verification)
    assert job.regions == tries[0].regions
    assert ({stage.value: digest for stage, digest in job.outputs.items()}, job.tries) == (
        tries[0].outputs,
        tuple(tries),
    )
    assert job.timings == {stage: 1.0 if stage in SEEDED_STAGES else 0.5 for stage in STAGES}
    spent = [float(records.redis.get(key) or 0) for key in records.redis.scan_iter(f"{settings.key_prefix}:spent:*")]
    # The second try; submit counts the first at the API's door.
    assert spent == [pytest.approx(float(records.fields(job_id)["units"]))]

    async def left() -> Remaining:
        async with connect_async(settings) as redis:
            return await Erasures(redis, settings).remaining(job_id)

    assert set(asyncio.run(left()).results) == {pair for one in tries for pair in one.outputs.items()}


def test_a_job_taken_back_is_not_drawn_again(records: Records) -> None:
    job_id = records.submit(max_tries=2)
    records.queue_store.dispatch("test", 1)
    records.finish(job_id, until=STAGES[-2])
    claim = records.claim(job_id, STAGES[-1])
    records.cancel(job_id)
    newest = drawn(0, 0.3)
    ending = records.jobs.finish(
        job_id,
        claim.attempt,
        FinishedStage(stage=STAGES[-1], digest="d", seconds=0.5, picture="p", tries=[newest], try_again=True),
    )
    assert ending is Report.CANCELED
    assert records.where(job_id) == []
