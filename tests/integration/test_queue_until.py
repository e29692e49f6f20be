"""Jobs that end after an earlier stage, and what the stages found, as the records know them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.errors import NoFace
from shared.job import Failure, Job
from shared.settings import Settings
from shared.stages import STAGES, Stage
from shared.store.jobs.finished import FinishedStage
from shared.store.queue.values import Claim, ClaimRejected, Report, ResultClaim
from shared.verification import ConceptRegion, PhotoFaces
from tests.support.queue_records import Records

FACES = ((PhotoFaces(found=2, box_px=(1.0, 2.0, 30.5, 40.0)),), (PhotoFaces(found=0),))
REGIONS = (
    ConceptRegion(box_px=(0.0, 8.0, 60.0, 120.5), score=0.62),
    ConceptRegion(box_px=(64.0, 8.0, 128.0, 120.0), score=1),
)


@pytest.fixture
def records(settings: Settings) -> Iterator[Records]:
    made = Records(settings=settings)
    yield made
    made.close()


def finish(records: Records, claim: Claim, stage: Stage) -> Report:
    return records.jobs.finish(
        claim.job.id,
        claim.attempt,
        FinishedStage(
            stage=stage,
            digest=f"d-{stage}",
            seconds=0.5,
            picture="picture.png" if stage in (Stage.PERSONALIZE, Stage.VERIFY) else None,
            faces=FACES if stage is Stage.IDENTIFY else (),
            regions=REGIONS if stage is Stage.DETECT else (),
        ),
    )


def run(records: Records, job_id: str, until: Stage) -> Job:
    """Plays a job that was dispatched through its stages up to this one."""
    for stage in STAGES[: STAGES.index(until) + 1]:
        assert finish(records, records.claim(job_id, stage), stage) is Report.DONE
    return records.jobs.get(job_id)


@pytest.mark.parametrize("until", STAGES)
def test_a_job_succeeds_after_the_stage_that_it_asked_for(records: Records, until: Stage) -> None:
    job_id = records.submit(until=until)
    records.queue_store.dispatch("test", 10)
    job = run(records, job_id, until)
    assert (job.status, job.stage, job.finished_at is None) == ("succeeded", until, False)
    assert set(job.timings) == set(STAGES[: STAGES.index(until) + 1])
    has_picture = until in (Stage.PERSONALIZE, Stage.VERIFY)
    assert job.picture == ("picture.png" if has_picture else None)
    assert job.faces == FACES
    assert job.regions == (REGIONS if Stage.DETECT in job.timings else ())
    assert records.where(job_id) == []
    for stage in STAGES:
        assert records.jobs.claim(job_id, stage, worker="late", token="t") is ClaimRejected.OVER
    # A preview is no picture, and says nothing of how fast pictures are drawn.
    prefix = records.settings.key_prefix
    assert records.redis.exists(f"{prefix}:speed", f"{prefix}:throughput:interactive") == (2 if has_picture else 0)


@pytest.mark.parametrize("early", ["maker", "waiting"])
def test_each_of_those_who_share_a_stage_ends_or_goes_on_by_its_own_until(records: Records, early: str) -> None:
    ends = {who: Stage.IDENTIFY if who == early else Stage.VERIFY for who in ("maker", "waiting")}
    jobs = [records.submit(until=until) for until in ends.values()]
    records.queue_store.dispatch("test", 10)
    claims = [records.claim(job_id) for job_id in jobs]
    wished = [
        records.jobs.acquire_result(one.job.id, one.attempt, worker="worker", stage=Stage.IDENTIFY, digest="d-identify")
        for one in claims
    ]
    assert wished == [ResultClaim.MAKE, ResultClaim.WAIT]
    assert finish(records, claims[0], Stage.IDENTIFY) is Report.DONE
    found = dict(zip(ends, map(records.jobs.get, jobs), strict=True))
    assert {job.faces for job in found.values()} == {FACES}
    assert found.pop(early).status == "succeeded"
    (other,) = found.values()
    assert (other.done, other.stage) == (False, Stage.RENDER)
    assert records.where(other.id) == ["dispatched" if early == "waiting" else "ready"]


def test_who_fails_for_a_photo_without_a_face_and_who_waited_for_it_know_what_the_others_show(records: Records) -> None:
    jobs = [records.submit() for _ in range(2)]
    records.queue_store.dispatch("test", 10)
    claims = [records.claim(job_id) for job_id in jobs]
    for one in claims:
        records.jobs.acquire_result(one.job.id, one.attempt, worker="worker", stage=Stage.IDENTIFY, digest="d")
    failure = Failure(code=NoFace.code, message="no face", retryable=False, stage=Stage.IDENTIFY)
    assert records.jobs.fail(jobs[0], claims[0].attempt, failure, faces=FACES) is Report.DONE
    for job in map(records.jobs.get, jobs):
        assert (job.status, job.error, job.faces) == ("failed", failure, FACES)
