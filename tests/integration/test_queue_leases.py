"""Claim, renew, finish, give back: what the holder of a lease may do, and that nobody else may."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.errors import JobNotFound, NoFace, RecordsUnavailable
from shared.job import Failure
from shared.settings import Settings
from shared.stages import STAGES, Stage
from shared.store.jobs.finished import FinishedStage
from shared.store.queue.values import (
    ClaimRejected,
    Renewal,
    Report,
    WorkerStatus,
)
from tests.support.queue_records import Records

FAILURE = Failure(code=NoFace.code, message="no face", retryable=False, stage=Stage.IDENTIFY)


@pytest.fixture
def records(settings: Settings) -> Iterator[Records]:
    made = Records(settings=settings)
    yield made
    made.close()


def test_a_claim_gives_the_job_and_raises_its_attempt(records: Records) -> None:
    claim = records.claimed()
    assert (claim.attempt, claim.job.attempt, claim.job.status, claim.job.stage) == (1, 1, "running", Stage.IDENTIFY)
    assert claim.job.started_at is not None
    assert claim.job.sequence == 2
    assert records.where(claim.job.id) == ["leases"]


def test_a_second_message_is_rejected_while_the_job_is_held(records: Records) -> None:
    job_id = records.claimed().job.id
    assert records.jobs.claim(job_id, Stage.IDENTIFY, worker="other", token="t") is ClaimRejected.HELD
    assert records.jobs.get(job_id).attempt == 1


def test_asking_twice_with_one_token_gives_the_same_claim(records: Records) -> None:
    job_id = records.submit()
    first = records.claim(job_id, token="same")
    again = records.claim(job_id, token="same")
    assert again.attempt == first.attempt == 1


def test_a_message_for_a_stage_that_is_not_due_is_rejected(records: Records) -> None:
    job_id = records.submit()
    assert records.jobs.claim(job_id, Stage.RENDER, worker="w", token="t") is ClaimRejected.OTHER_STAGE


def test_a_message_for_a_job_that_does_not_exist_is_rejected(records: Records) -> None:
    assert records.jobs.claim("nobody", Stage.IDENTIFY, worker="w", token="t") is ClaimRejected.OVER


def test_a_message_for_a_job_that_is_over_is_rejected(records: Records) -> None:
    job_id = records.submit()
    records.finish(job_id)
    for stage in STAGES:
        assert records.jobs.claim(job_id, stage, worker="w", token="t") is ClaimRejected.OVER


def test_a_job_that_never_was_is_not_found(records: Records) -> None:
    with pytest.raises(JobNotFound):
        records.jobs.get("nobody")


def test_a_renewal_prolongs_the_lease(records: Records) -> None:
    claim = records.claimed()
    records.run_out(claim.job.id)
    assert records.jobs.renew(claim.job.id, claim.attempt, worker="worker") is Renewal.GO_ON
    assert records.queue_store.reap([]).lost == ()


def test_a_renewal_writes_progress_and_raises_the_sequence(records: Records) -> None:
    claim = records.claimed()
    records.jobs.renew(claim.job.id, claim.attempt, worker="worker", progress=(3, 20))
    job = records.jobs.get(claim.job.id)
    assert (job.progress.step, job.progress.steps) == (3, 20)
    assert job.sequence == claim.job.sequence + 1


def test_a_renewal_of_an_older_attempt_says_that_the_lease_is_lost(records: Records) -> None:
    stale = records.claimed()
    records.run_out(stale.job.id)
    records.queue_store.reap([])
    assert records.jobs.renew(stale.job.id, stale.attempt, worker="worker") is Renewal.LOST
    records.claim(stale.job.id)
    before = records.fields(stale.job.id)
    assert records.jobs.renew(stale.job.id, stale.attempt, worker="worker", progress=(9, 9)) is Renewal.LOST
    assert records.fields(stale.job.id) == before


def test_a_renewal_tells_that_the_person_took_the_job_back(records: Records) -> None:
    claim = records.claimed()
    records.cancel(claim.job.id)
    assert records.jobs.renew(claim.job.id, claim.attempt, worker="worker") is Renewal.CANCELED


def test_a_renewal_tells_only_the_worker_that_drains(records: Records) -> None:
    claim = records.claimed()
    records.queue_store.heartbeat(WorkerStatus(name="worker", role="all", slots=1, bundle="mini", draining=True))
    assert records.jobs.renew(claim.job.id, claim.attempt, worker="worker") is Renewal.DRAINING
    assert records.jobs.renew(claim.job.id, claim.attempt, worker="other") is Renewal.GO_ON


def test_a_finished_stage_makes_the_next_one_due(records: Records) -> None:
    claim = records.claimed()
    done = records.jobs.finish(
        claim.job.id,
        claim.attempt,
        FinishedStage(stage=Stage.IDENTIFY, digest="abc", seconds=1.25, warnings=("two faces",)),
    )
    job = records.jobs.get(claim.job.id)
    assert done is Report.DONE
    assert (job.status, job.stage, job.picture) == ("running", Stage.RENDER, None)
    assert job.outputs == {Stage.IDENTIFY: "abc"}
    assert job.timings == {Stage.IDENTIFY: 1.25}
    assert job.warnings == ("two faces",)
    assert records.where(job.id) == ["dispatched"]


def test_the_last_stage_ends_the_job_with_its_picture(records: Records) -> None:
    job = records.finish(records.submit())
    assert (job.status, job.stage, job.attempt) == ("succeeded", Stage.VERIFY, 5)
    assert job.picture == f"jobs/{job.id}/5/picture.png"
    assert job.finished_at is not None
    assert set(job.outputs) == set(STAGES)
    assert records.where(job.id) == []


def test_the_last_stage_cannot_end_without_a_picture(records: Records) -> None:
    with pytest.raises(ValueError, match="picture"):
        records.jobs.finish("any", 1, FinishedStage(stage=STAGES[-1], digest="d", seconds=1.0))


@pytest.mark.parametrize("stage", [Stage.IDENTIFY, STAGES[-1]])
def test_saying_twice_that_a_stage_is_done_changes_nothing(records: Records, stage: Stage) -> None:
    job_id = records.submit()
    job = records.finish(job_id, until=stage)
    before = records.fields(job_id)
    again = records.jobs.finish(
        job_id,
        job.attempt,
        FinishedStage(stage=stage, digest=f"d-{stage.value}", seconds=9.0, picture="jobs/other/picture.png"),
    )
    assert again is Report.DONE
    assert records.fields(job_id) == before


def test_a_late_twin_changes_nothing(records: Records) -> None:
    job_id = records.submit()
    records.finish(job_id, until=STAGES[-2])
    late = records.claim(job_id, STAGES[-1])
    records.run_out(job_id)
    records.queue_store.reap([])
    records.finish(job_id)
    before = records.fields(job_id)
    ending = records.jobs.finish(
        job_id, late.attempt, FinishedStage(stage=STAGES[-1], digest="late", seconds=1.0, picture="late")
    )
    assert ending is Report.LOST
    for other in (
        records.jobs.fail(job_id, late.attempt, FAILURE),
        records.jobs.end_canceled(job_id, late.attempt),
        records.jobs.release(job_id, late.attempt),
        records.jobs.retry(job_id, late.attempt, FAILURE, tries=5),
    ):
        assert other is Report.LOST
    assert records.fields(job_id) == before


def test_a_job_that_was_taken_back_does_not_finish(records: Records) -> None:
    claim = records.claimed()
    records.cancel(claim.job.id)
    ending = records.jobs.finish(
        claim.job.id, claim.attempt, FinishedStage(stage=Stage.IDENTIFY, digest="d", seconds=1.0)
    )
    assert ending is Report.CANCELED
    job = records.jobs.get(claim.job.id)
    assert (job.status, job.outputs) == ("canceled", {Stage.IDENTIFY: "d"})


def test_a_job_that_fails_says_why(records: Records) -> None:
    claim = records.claimed()
    assert records.jobs.fail(claim.job.id, claim.attempt, FAILURE) is Report.DONE
    job = records.jobs.get(claim.job.id)
    assert (job.status, job.error, job.picture) == ("failed", FAILURE, None)


def test_a_retry_pauses_the_job_and_then_hands_it_out(records: Records) -> None:
    claim = records.claimed()
    assert records.jobs.retry(claim.job.id, claim.attempt, FAILURE, tries=5) is Report.DONE
    assert records.jobs.get(claim.job.id).status == "queued"
    assert records.queue_store.dispatch("test", 100) == []
    records.make_older("delayed", claim.job.id, records.settings.retry_after_s)
    dispatched = records.queue_store.dispatch("test", 100) or []
    assert [one.job_id for one in dispatched] == [claim.job.id]


def test_each_pause_is_twice_as_long_as_the_one_before(records: Records) -> None:
    job_id = records.submit()
    pauses = []
    for _ in range(3):
        claim = records.claim(job_id)
        seconds, microseconds = records.redis.time()
        records.jobs.retry(job_id, claim.attempt, FAILURE, tries=5)
        ends = records.redis.zscore(records.set_of("delayed"), job_id)
        assert ends is not None
        pauses.append(float(ends) - seconds - microseconds / 1e6)
    first = records.settings.retry_after_s
    assert pauses == pytest.approx([first, 2 * first, 4 * first], abs=1.0)


def test_a_job_that_was_tried_too_often_fails(records: Records) -> None:
    job_id = records.submit()
    endings = [records.jobs.retry(job_id, records.claim(job_id).attempt, FAILURE, tries=2) for _ in range(3)]
    assert endings == [Report.DONE, Report.DONE, Report.FAILED]
    job = records.jobs.get(job_id)
    assert (job.status, job.error) == ("failed", FAILURE)


def test_a_job_that_was_taken_back_is_not_tried_again(records: Records) -> None:
    claim = records.claimed()
    records.cancel(claim.job.id)
    assert records.jobs.retry(claim.job.id, claim.attempt, FAILURE, tries=5) is Report.CANCELED
    assert records.jobs.get(claim.job.id).status == "canceled"


def test_a_job_given_back_is_handed_out_before_newer_ones_and_loses_nothing(records: Records) -> None:
    claim = records.claimed()
    newer = records.submit()
    for _ in range(records.settings.max_losses + 1):
        assert records.jobs.release(claim.job.id, claim.attempt) is Report.DONE
        dispatched = records.queue_store.dispatch("test", 1) or []
        assert [one.job_id for one in dispatched] == [claim.job.id]
        claim = records.claim(claim.job.id)
    assert records.where(newer) == ["ready"]


def test_a_job_given_back_goes_on_at_the_stage_it_was_at(records: Records) -> None:
    job_id = records.submit()
    records.finish(job_id, until=Stage.RENDER)
    claim = records.claim(job_id, Stage.DETECT)
    records.jobs.release(job_id, claim.attempt)
    dispatched = records.queue_store.dispatch("test", 100) or []
    assert [(one.job_id, one.stage) for one in dispatched] == [(job_id, Stage.DETECT)]


def test_a_canceled_job_is_not_given_back(records: Records) -> None:
    claim = records.claimed()
    records.cancel(claim.job.id)
    assert records.jobs.release(claim.job.id, claim.attempt) is Report.CANCELED
    assert records.jobs.get(claim.job.id).status == "canceled"


def test_a_worker_loses_only_what_its_own_executor_held(records: Records) -> None:
    claim = records.claimed(worker="worker.12")
    assert not records.queue_store.lose_lease(claim.job.id, "worker.1")
    assert not records.queue_store.lose_lease("nobody", "worker.12")
    assert records.where(claim.job.id) == ["leases"]
    assert records.queue_store.lose_lease(claim.job.id, "worker.12")
    assert not records.queue_store.lose_lease(claim.job.id, "worker.12")
    assert records.where(claim.job.id) == ["ready"]
    assert records.jobs.get(claim.job.id).status == "queued"


def test_a_job_whose_workers_die_too_often_fails_as_worker_lost(records: Records) -> None:
    job_id = records.submit()
    for _ in range(records.settings.max_losses):
        assert not records.jobs.get(job_id).done
        records.claim(job_id)
        records.queue_store.lose_lease(job_id, "worker")
    job = records.jobs.get(job_id)
    assert (job.status, job.attempt) == ("failed", records.settings.max_losses)
    assert job.error is not None
    assert (job.error.code, job.error.retryable) == ("worker_lost", True)


def test_a_canceled_job_whose_worker_dies_is_canceled_whatever_it_lost_before(records: Records) -> None:
    job_id = records.submit()
    for loss in range(records.settings.max_losses):
        records.claim(job_id)
        if loss == records.settings.max_losses - 1:
            records.cancel(job_id)
        records.queue_store.lose_lease(job_id, "worker")
    assert records.jobs.get(job_id).status == "canceled"


def test_a_record_is_to_be_erased_some_time_after_the_job_is_over(records: Records) -> None:
    job_id = records.submit()
    kept = f"{records.settings.key_prefix}:kept"
    assert records.redis.zscore(kept, job_id) is None
    ended_s = records.finish(job_id).finished_at or 0.0
    assert records.redis.zscore(kept, job_id) == pytest.approx(ended_s + records.settings.job_expiry_s, abs=1)


def test_a_server_that_is_not_there_is_an_outage_of_the_records(settings: Settings) -> None:
    records = Records(settings=settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    with pytest.raises(RecordsUnavailable):
        records.jobs.get("any")
    with pytest.raises(RecordsUnavailable):
        records.jobs.claim("any", Stage.IDENTIFY, worker="w", token="t")
    with pytest.raises(RecordsUnavailable):
        records.queue_store.dispatch("test", 1)
    with pytest.raises(RecordsUnavailable):
        records.submit()
    records.close()
