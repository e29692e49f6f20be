"""Equal work of several jobs is done once: one makes it, the others are parked and hold no worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.errors import NoFace
from shared.job import Failure, Job, Lane
from shared.settings import Settings
from shared.stages import STAGES, Stage
from shared.store.jobs.finished import FinishedStage
from shared.store.queue.values import Claim, Report, ResultClaim, WorkerStatus
from shared.verification import Verification, VerifiedFace
from tests.support.queue_records import Records

FAILURE = Failure(code=NoFace.code, message="no face", retryable=False, stage=Stage.IDENTIFY)
OUTAGE = Failure(code="blobs_unavailable", message="S3 is away", retryable=True, stage=Stage.IDENTIFY)
DIGEST = "d" * 64
VERIFICATION = Verification(min_identity=0.5, faces=(VerifiedFace(concept=0, identity=0.5, face_box_px=(1, 2, 3, 4)),))
# More than are told at once.
CROWD = 520


@pytest.fixture
def records(settings: Settings) -> Iterator[Records]:
    made = Records(settings=settings)
    yield made
    made.close()


def claimed(records: Records, *, lane: Lane = "interactive", tenant: str = "default") -> Claim:
    job_id = records.submit(lane=lane, tenant=tenant)
    records.queue_store.dispatch("test", 10_000)
    return records.claim(job_id)


def acquire_result(
    records: Records,
    claim: Claim,
    *parts: str,
    stage: Stage = Stage.IDENTIFY,
    digest: str = DIGEST,
    again: bool = False,
) -> ResultClaim:
    return records.jobs.acquire_result(
        claim.job.id, claim.attempt, worker="worker", stage=stage, digest=digest, parts=parts, again=again
    )


def finish(
    records: Records, claim: Claim, *, stage: Stage = Stage.IDENTIFY, digest: str = DIGEST, reused: bool = False
) -> Report:
    picture = "picture.png" if stage is STAGES[-1] else None
    return records.jobs.finish(
        claim.job.id,
        claim.attempt,
        FinishedStage(
            stage=stage,
            digest=digest,
            seconds=1.5,
            warnings=("two faces",),
            picture=picture,
            verification=VERIFICATION if picture else None,
            reused=reused,
        ),
    )


def maker_and_waiting(records: Records, count: int = 2, *parts: str) -> tuple[Claim, list[Claim]]:
    """One job that makes a result, and others that are parked for it."""
    maker = claimed(records)
    assert acquire_result(records, maker, *parts) is ResultClaim.MAKE
    waiting = [claimed(records) for _ in range(count)]
    assert {acquire_result(records, claim, *parts) for claim in waiting} == {ResultClaim.WAIT}
    return maker, waiting


def job_of(records: Records, claim: Claim) -> Job:
    return records.jobs.get(claim.job.id)


def dispatch_all(records: Records) -> list[str]:
    return [message.job_id for message in records.queue_store.dispatch("test", 10_000) or []]


def leftovers(records: Records) -> list[str]:
    """What is still known of who makes what."""
    prefix = records.settings.key_prefix
    return [
        key
        for what in ("owner", "followers", "waiting", "unsettled")
        for key in records.redis.scan_iter(f"{prefix}:{what}*")
    ]


def test_a_parked_job_holds_no_lease_and_no_place_in_celery(records: Records) -> None:
    _, (waiting, _) = maker_and_waiting(records)
    assert records.where(waiting.job.id) == ["waiting"]
    job = job_of(records, waiting)
    assert (job.status, job.stage, job.outputs) == ("queued", Stage.IDENTIFY, {})
    assert dispatch_all(records) == []
    assert records.queue_store.reap([]).redispatched == ()
    assert finish(records, waiting) is Report.LOST


def test_asking_twice_because_the_answer_got_lost_changes_nothing(records: Records) -> None:
    maker, (waiting, _) = maker_and_waiting(records)
    assert acquire_result(records, maker) is ResultClaim.MAKE
    assert acquire_result(records, waiting) is ResultClaim.LOST
    assert records.where(waiting.job.id) == ["waiting"]


def test_the_makers_finish_serves_all_who_wait(records: Records) -> None:
    maker, waiting = maker_and_waiting(records, 3)
    assert finish(records, maker) is Report.DONE
    assert job_of(records, maker).reused == ()
    for claim in waiting:
        job = job_of(records, claim)
        assert (job.outputs, job.warnings) == ({Stage.IDENTIFY: DIGEST}, ("two faces",))
        assert (job.reused, job.timings) == ((Stage.IDENTIFY,), {Stage.IDENTIFY: 0.0})
        assert (job.status, job.stage) == ("queued", Stage.RENDER)
        assert records.where(job.id) == ["ready"]
    assert dispatch_all(records) == [claim.job.id for claim in waiting]
    assert leftovers(records) == []


def test_who_waits_for_the_last_stage_looks_at_its_result_by_itself_and_ends_with_the_picture(records: Records) -> None:
    jobs = [records.submit() for _ in range(3)]
    records.queue_store.dispatch("test", 100)
    for job_id in jobs:
        records.finish(job_id, until=STAGES[-2])
    claims = [records.claim(job_id, STAGES[-1]) for job_id in jobs]
    answers = [acquire_result(records, claim, stage=STAGES[-1]) for claim in claims]
    assert answers == [ResultClaim.MAKE, ResultClaim.WAIT, ResultClaim.WAIT]
    finish(records, claims[0], stage=STAGES[-1])
    assert dispatch_all(records) == jobs[1:]
    for job_id in jobs[1:]:
        finish(records, records.claim(job_id, STAGES[-1]), stage=STAGES[-1], reused=True)
    done = [job_of(records, claim) for claim in claims]
    assert {(job.status, job.picture, job.verification) for job in done} == {("succeeded", "picture.png", VERIFICATION)}
    assert [STAGES[-1] in job.reused for job in done] == [False, True, True]
    assert all(records.redis.zscore(f"{records.settings.key_prefix}:kept", job.id) for job in done)
    assert leftovers(records) == []


def test_other_work_and_other_tenants_do_not_wait(records: Records) -> None:
    maker_and_waiting(records)
    assert acquire_result(records, claimed(records), digest="e" * 64) is ResultClaim.MAKE
    assert acquire_result(records, claimed(records, tenant="other")) is ResultClaim.MAKE


def test_a_request_that_cannot_be_served_fails_all_who_wait(records: Records) -> None:
    maker, waiting = maker_and_waiting(records)
    records.jobs.fail(maker.job.id, maker.attempt, FAILURE)
    for claim in (maker, *waiting):
        job = job_of(records, claim)
        assert (job.status, job.error) == ("failed", FAILURE)
    assert leftovers(records) == []
    # A job that comes later tries again what failed.
    assert acquire_result(records, claimed(records)) is ResultClaim.MAKE


def test_an_outage_pauses_those_who_wait_and_fails_them_when_it_lasts(records: Records) -> None:
    maker, waiting = maker_and_waiting(records)
    assert records.jobs.retry(maker.job.id, maker.attempt, OUTAGE, tries=1) is Report.DONE
    # The next in line comes back with the maker, whichever is first makes it.
    assert [records.where(claim.job.id) for claim in (maker, *waiting)] == [["delayed"], ["delayed"], ["waiting"]]
    records.make_older("delayed", maker.job.id, 10.0)
    assert dispatch_all(records) == [maker.job.id]
    again = records.claim(maker.job.id)
    assert acquire_result(records, again) is ResultClaim.MAKE
    assert records.jobs.retry(maker.job.id, again.attempt, OUTAGE, tries=1) is Report.FAILED
    assert job_of(records, waiting[1]).error == OUTAGE
    assert records.where(waiting[0].job.id) == ["delayed"]


@pytest.mark.parametrize("how", ["lost", "silent", "drained"])
def test_a_maker_that_loses_its_lease_calls_the_next_one(records: Records, how: str) -> None:
    maker, waiting = maker_and_waiting(records)
    if how == "lost":
        assert records.queue_store.lose_lease(maker.job.id, "worker")
    elif how == "silent":
        records.run_out(maker.job.id)
        assert records.queue_store.reap([]).lost == (maker.job.id,)
    else:
        records.jobs.release(maker.job.id, maker.attempt)
    assert dispatch_all(records) == [maker.job.id, waiting[0].job.id]
    # The first one becomes the owner; the other one waits again.
    assert acquire_result(records, records.claim(waiting[0].job.id)) is ResultClaim.MAKE
    assert acquire_result(records, records.claim(maker.job.id)) is ResultClaim.WAIT
    assert records.where(waiting[1].job.id) == ["waiting"]


def test_a_maker_that_was_taken_back_passes_the_work_on(records: Records) -> None:
    maker, waiting = maker_and_waiting(records)
    records.cancel(maker.job.id)
    assert acquire_result(records, maker) is ResultClaim.CANCELED
    records.jobs.end_canceled(maker.job.id, maker.attempt)
    assert dispatch_all(records) == [waiting[0].job.id]


def test_what_a_canceled_maker_had_finished_is_for_those_who_wait(records: Records) -> None:
    maker, waiting = maker_and_waiting(records)
    records.cancel(maker.job.id)
    assert finish(records, maker) is Report.CANCELED
    assert job_of(records, maker).outputs == {Stage.IDENTIFY: DIGEST}
    assert job_of(records, waiting[0]).outputs == {Stage.IDENTIFY: DIGEST}


def test_a_job_that_was_called_and_taken_back_calls_the_next(records: Records) -> None:
    maker, waiting = maker_and_waiting(records)
    records.cancel(maker.job.id)
    records.jobs.end_canceled(maker.job.id, maker.attempt)
    records.cancel(waiting[0].job.id)
    assert dispatch_all(records) == [waiting[1].job.id]
    records.cancel(waiting[1].job.id)
    assert leftovers(records) == []


def test_a_parked_job_that_is_taken_back_ends_at_once(records: Records) -> None:
    maker, waiting = maker_and_waiting(records)
    job = records.cancel(waiting[0].job.id)
    assert job is not None
    assert job.status == "canceled"
    assert records.where(job.id) == []
    finish(records, maker)
    assert job_of(records, waiting[0]) == job


def test_a_maker_whose_workers_die_too_often_fails_all_who_wait(records: Records) -> None:
    maker = claimed(records)
    for loss in range(records.settings.max_losses):
        assert acquire_result(records, maker) is ResultClaim.MAKE
        waiting = claimed(records)
        assert acquire_result(records, waiting) is ResultClaim.WAIT
        records.queue_store.lose_lease(maker.job.id, "worker")
        if loss < records.settings.max_losses - 1:
            records.cancel(waiting.job.id)
            maker = records.claim(maker.job.id)
    error = job_of(records, waiting).error
    assert error is not None
    assert error.code == "worker_lost"


def test_a_person_is_called_before_a_batch(records: Records) -> None:
    maker = claimed(records, lane="batch")
    acquire_result(records, maker)
    batch, person = claimed(records, lane="batch"), claimed(records)
    assert (acquire_result(records, batch), acquire_result(records, person)) == (ResultClaim.WAIT, ResultClaim.WAIT)
    records.jobs.release(maker.job.id, maker.attempt)
    assert records.where(person.job.id) == ["ready"]
    assert records.where(batch.job.id) == ["waiting"]


def test_who_looked_just_before_the_end_looks_again_and_then_makes_it(records: Records) -> None:
    maker, _ = maker_and_waiting(records)
    finish(records, maker)
    late = claimed(records)
    assert acquire_result(records, late) is ResultClaim.MADE
    # Somebody has deleted it since.
    assert acquire_result(records, late, again=True) is ResultClaim.MAKE


def test_a_result_that_was_found_serves_those_who_wait_for_it(records: Records) -> None:
    _, waiting = maker_and_waiting(records)
    finder = claimed(records)
    finish(records, finder, reused=True)
    assert job_of(records, finder).reused == (Stage.IDENTIFY,)
    assert job_of(records, waiting[0]).outputs == {Stage.IDENTIFY: DIGEST}


def test_a_part_that_two_results_share_is_made_once(records: Records) -> None:
    maker = claimed(records)
    assert acquire_result(records, maker, "one", "two") is ResultClaim.MAKE
    other = claimed(records)
    assert acquire_result(records, other, "two", "three", digest="e" * 64) is ResultClaim.WAIT
    # A part alone is not the other's stage: it looks itself.
    finish(records, maker)
    assert job_of(records, other).outputs == {}
    assert dispatch_all(records) == [other.job.id]
    again = records.claim(other.job.id)
    assert acquire_result(records, again, "three", digest="e" * 64) is ResultClaim.MAKE


def test_a_part_whose_maker_fails_is_made_by_the_next(records: Records) -> None:
    maker = claimed(records)
    acquire_result(records, maker, "one", "two")
    others = [claimed(records) for _ in range(2)]
    for number, claim in enumerate(others):
        assert acquire_result(records, claim, "two", digest=f"{number}" * 64) is ResultClaim.WAIT
    records.jobs.fail(maker.job.id, maker.attempt, FAILURE)
    assert dispatch_all(records) == [others[0].job.id]
    assert job_of(records, others[1]).status == "queued"


def test_a_turn_that_was_spent_waiting_is_given_back(records: Records) -> None:
    maker = claimed(records)
    acquire_result(records, maker)
    key = f"{records.settings.key_prefix}:schedule:interactive"
    waiting = claimed(records)
    records.submit()
    before = float(records.redis.zscore(key, "default") or 0)
    acquire_result(records, waiting)
    units = float(records.fields(waiting.job.id)["units"])
    assert float(records.redis.zscore(key, "default") or 0) == pytest.approx(before - units)


def test_a_worker_that_drains_makes_nothing(records: Records) -> None:
    claim = claimed(records)
    records.queue_store.heartbeat(WorkerStatus(name="worker", role="all", slots=1, bundle="mini", draining=True))
    assert acquire_result(records, claim) is ResultClaim.DRAINING


def test_a_crowd_is_told_in_several_goes(records: Records) -> None:
    maker, waiting = maker_and_waiting(records, CROWD)
    finish(records, maker)
    assert len(dispatch_all(records)) == 200
    records.queue_store.dispatch("test", 0)
    assert all(job_of(records, claim).outputs for claim in waiting)
    assert leftovers(records) == []


def test_should_a_maker_be_gone_without_a_word_the_reaper_calls_the_next(records: Records) -> None:
    maker, waiting = maker_and_waiting(records)
    prefix = records.settings.key_prefix
    records.redis.delete(f"{prefix}:job:{maker.job.id}")
    records.queue_store.reap([])
    assert dispatch_all(records) == [waiting[0].job.id]
    records.queue_store.reap([])
    assert dispatch_all(records) == []
