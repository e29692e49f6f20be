from __future__ import annotations

from typing import cast

import pytest
from celery.exceptions import Ignore

from shared.errors import (
    BlobsRefused,
    BlobsUnavailable,
    JobCanceled,
    LeaseLost,
    NoFace,
    OutOfMemory,
    PhraseNotFound,
    WorkerDraining,
)
from shared.job import Job
from shared.stages import Stage
from shared.store.queue.values import (
    Claim,
    ClaimRejected,
    Report,
    ResultClaim,
)
from tests.support.fakes import (
    ATTEMPT,
    FakeExecutor,
    FakeJobStore,
    executor,
    job,
)
from tests.support.unshared_stages import Make, unshared
from worker.queue.executor import Executor
from worker.queue.tasks import perform
from worker.runner.assignment import Assignment, OnStep, StageOutput


def works(job: Job, on_step: OnStep) -> StageOutput:
    on_step(0, 1)
    return StageOutput(digest="d")


def stops(error: Exception) -> Make:
    def stage(job: Job, on_step: OnStep) -> StageOutput:
        raise error

    return stage


def run(jobs: FakeJobStore, stage: Make) -> None:
    perform(executor(jobs, {Stage.RENDER: unshared(stage)}), Stage.RENDER, "a job")


def test_a_stage_that_is_done_lets_its_chain_go_on() -> None:
    jobs = FakeJobStore()
    run(jobs, works)
    assert jobs.words == ["claim", "finish"]


def test_the_last_stage_that_a_job_asked_for_ends_its_chain() -> None:
    jobs = FakeJobStore(answer=Claim(job=job(until=Stage.RENDER), attempt=ATTEMPT))
    with pytest.raises(Ignore):
        run(jobs, works)
    assert jobs.words == ["claim", "finish"]


@pytest.mark.parametrize("refusal", ClaimRejected)
def test_a_rejected_claim_ends_its_chain_and_runs_nothing(refusal: ClaimRejected) -> None:
    jobs = FakeJobStore(answer=refusal)
    with pytest.raises(Ignore):
        run(jobs, stops(AssertionError("the stage ran")))
    assert jobs.words == ["claim"]


def test_a_message_for_models_that_are_not_there_costs_the_job_nothing() -> None:
    jobs = FakeJobStore()
    with pytest.raises(Ignore):
        perform(executor(jobs, {}), Stage.RENDER, "a job")
    assert jobs.said == []


def test_a_message_during_an_outage_ends_its_chain() -> None:
    with pytest.raises(Ignore):
        run(FakeJobStore(outages=1), works)


@pytest.mark.parametrize("ending", [Report.LOST, Report.CANCELED])
def test_work_that_came_to_nothing_ends_its_chain(ending: Report) -> None:
    with pytest.raises(Ignore):
        run(FakeJobStore(ending=ending), works)


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (JobCanceled("taken back"), "canceled"),
        (WorkerDraining("going away"), "release"),
        (BlobsUnavailable("S3 is away"), "retry 5"),
        (BlobsRefused("no right to write"), "fail"),
        (OutOfMemory("no room"), "retry 1"),
        (NoFace("no face"), "fail"),
        (RuntimeError("a secret"), "fail"),
    ],
)
def test_the_record_hears_how_a_stage_ended(error: Exception, word: str) -> None:
    jobs = FakeJobStore()
    with pytest.raises(Ignore):
        run(jobs, stops(error))
    assert jobs.words == ["claim", word]


def test_an_executor_that_lost_the_lease_reports_nothing_more() -> None:
    jobs = FakeJobStore()
    with pytest.raises(Ignore):
        run(jobs, stops(LeaseLost("another one holds the job")))
    assert jobs.words == ["claim"]


def test_a_failure_that_the_person_can_mend_is_told_in_its_own_words() -> None:
    jobs = FakeJobStore()
    with pytest.raises(Ignore):
        run(jobs, stops(PhraseNotFound("nobody answers to 'the cat'")))
    assert jobs.failure is not None
    assert jobs.failure.model_dump() == {
        "code": "phrase_not_found",
        "message": "nobody answers to 'the cat'",
        "retryable": False,
        "stage": Stage.RENDER,
    }


def test_the_text_of_a_bug_stays_in_the_log() -> None:
    jobs = FakeJobStore()
    with pytest.raises(Ignore):
        run(jobs, stops(RuntimeError("password=hunter2")))
    assert jobs.failure is not None
    assert jobs.failure.code == "internal"
    assert "hunter2" not in jobs.failure.model_dump_json()


@pytest.mark.parametrize(("error", "asked"), [(RuntimeError("an illegal memory access"), 1), (NoFace("no face"), 0)])
def test_only_what_nobody_expected_is_a_reason_to_ask_whether_the_device_answers(error: Exception, asked: int) -> None:
    held = FakeExecutor(FakeJobStore(), {Stage.RENDER: unshared(stops(error))})
    with pytest.raises(Ignore):
        perform(cast("Executor", held), Stage.RENDER, "a job")
    assert held.asked == asked


def test_a_finish_that_redis_did_not_hear_is_said_again() -> None:
    jobs = FakeJobStore()

    def stage(job: Job, on_step: OnStep) -> StageOutput:
        jobs.outages = 2
        return StageOutput(digest="d")

    run(jobs, stage)
    assert jobs.words == ["claim", "finish"]


def test_an_ending_that_nobody_hears_leaves_the_job_to_the_reaper() -> None:
    jobs = FakeJobStore()

    def stage(job: Job, on_step: OnStep) -> StageOutput:
        jobs.outages = 10**6
        message = "no face"
        raise NoFace(message)

    with pytest.raises(Ignore):
        run(jobs, stage)
    assert jobs.words == ["claim"]


def test_a_job_whose_result_another_one_makes_gives_its_worker_back() -> None:
    jobs = FakeJobStore(result_claims=[ResultClaim.WAIT])
    with pytest.raises(Ignore):
        run(jobs, stops(AssertionError("the stage ran")))
    assert jobs.said == ["claim", "want"]


def test_a_result_that_was_just_made_and_is_not_there_is_made_again() -> None:
    jobs = FakeJobStore(result_claims=[ResultClaim.MADE, ResultClaim.MAKE])
    run(jobs, works)
    assert [word for word in jobs.said if word != "renew"] == ["claim", "want", "want", "finish"]


def test_work_is_done_unasked_while_redis_is_away() -> None:
    jobs = FakeJobStore()

    def assign(job: Job) -> Assignment:
        jobs.outages = 1
        return unshared(works)(job)

    perform(executor(jobs, {Stage.RENDER: assign}), Stage.RENDER, "a job")
    assert jobs.words == ["claim", "finish"]


@pytest.mark.parametrize(("stage", "paces"), [(Stage.RENDER, 1), (Stage.DETECT, 0)])
def test_only_stages_that_denoise_set_the_pace(stage: Stage, paces: int) -> None:
    held = FakeExecutor(FakeJobStore(answer=Claim(job=job(stage), attempt=ATTEMPT)), {stage: unshared(works)})
    perform(cast("Executor", held), stage, "a job")
    assert len(held.paces) == paces
