"""One Celery task a stage: claim the job, run the stage, record the outcome.

A task raises Ignore when the rest of its chain must not run: the claim was rejected, the attempt had no effect, or the
stage was the job's last.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence

import structlog
from celery import Celery
from celery.exceptions import Ignore

from shared.broker import TASK_OF
from shared.errors import (
    BlobDamaged,
    BlobsRefused,
    JobCanceled,
    LeaseLost,
    NoFace,
    OutOfMemory,
    RecordsUnavailable,
    RequestError,
    TransientError,
    TroupeError,
    WorkerDraining,
)
from shared.job import Failure, Job
from shared.stages import LAST_STAGE, STAGES, Stage
from shared.store.jobs.finished import FinishedStage
from shared.store.queue.values import Claim, ClaimRejected, Report, ResultClaim
from shared.telemetry.log import get_logger
from shared.telemetry.metrics import meters
from shared.verification import Try, seed_of_try, shortfalls
from worker.queue.attempts import Attempt
from worker.queue.executor import Executor, kill_process, retry_until_recorded
from worker.queue.lease import Lease
from worker.runner.assignment import Assignment, OnStep, Show, StageOutput

# Transient errors that a job survives. A device that is too small stays too small; the one retry is for memory that
# another process held.
_RETRIES = 5
_MEMORY_RETRIES = 1

log = get_logger(__name__)


def add_tasks(app: Celery, executor: Executor) -> None:
    """Registers a task for every stage."""
    for stage in STAGES:
        _add(app, executor, stage)


def _add(app: Celery, executor: Executor, stage: Stage) -> None:
    # Not lazy: an executor unpickles the app and must find the tasks in it.
    # Not shared: another app of this process has its own tasks with the same names.
    @app.task(name=TASK_OF[stage], lazy=False, shared=False)
    def run(job_id: str) -> None:
        perform(executor, stage, job_id)


def perform(executor: Executor, stage: Stage, job_id: str) -> None:
    """Runs one stage of a job, if it is due. Raises Ignore unless the chain goes on."""
    with structlog.contextvars.bound_contextvars(job_id=job_id, stage=stage.value):
        if stage not in executor.stages:
            # The message came while this executor was starting, and its bundle turned out to be broken. The job loses
            # nothing: the reaper publishes it again, for another worker.
            log.warning("message_ignored", worker=executor.name)
            raise Ignore
        try:
            claim = executor.jobs.claim(job_id, stage, worker=executor.name, token=uuid.uuid4().hex[:12])
        except RecordsUnavailable as error:
            # The message is consumed; the reaper publishes it again when Redis is back.
            log.warning("claim_failed", error=error.message)
            raise Ignore from error
        if isinstance(claim, ClaimRejected):
            log.info("claim_rejected", reason=claim.value)
            raise Ignore
        with executor.attempts.begin(stage, claim, executor.name) as attempt:
            report = _run_claimed(executor, stage, claim, attempt)
        if report is not Report.DONE or stage is claim.job.spec.until:
            raise Ignore


def _run_claimed(executor: Executor, stage: Stage, claim: Claim, attempt: Attempt) -> Report | None:
    """Runs the claimed stage. Gives DONE when the next stage is due, anything else when this chain is over."""
    jobs, job_id, number = executor.jobs, claim.job.id, claim.attempt
    lease = Lease(jobs, claim, worker=executor.name, settings=executor.settings, on_stall=kill_process)
    try:
        with lease:
            started_s = time.perf_counter()
            found = _result(stage, executor.stages[stage](claim.job), lease)
            if found is None:
                attempt.ended("parked")
                log.info("job_waits_for_result", attempt=number)
                return None
            output = found
            if stage.info.draws != "nothing":
                executor.note_pace(*lease.pace)
            tries = _tries(claim.job, output)
            again = _again(claim.job, tries)
            seconds = time.perf_counter() - started_s
            finished = FinishedStage(
                stage=stage,
                digest=output.digest,
                seconds=seconds,
                warnings=output.findings.warnings,
                picture=output.picture,
                faces=output.findings.faces,
                regions=output.findings.regions,
                verification=output.findings.verification,
                reused=output.reused,
                tries=tries,
                try_again=again,
            )
            # Inside the lease: while Redis is away, no other worker can claim the job either.
            report = retry_until_recorded(
                lambda: jobs.finish(job_id, number, finished), for_s=executor.settings.lease_s
            )
    except LeaseLost as error:
        attempt.ended(Report.LOST.value)
        log.warning("lease_lost", attempt=number, reason=error.message)
        return None
    except Exception as error:  # noqa: BLE001 - the job's record gets every failure
        return _record_failure(executor, stage, claim, error, attempt)
    if report is Report.DONE:
        attempt.done(seconds, reused=output.reused)
    else:
        attempt.ended(report.value)
    log.info("stage_finished", attempt=number, ending=report.value, seconds=round(seconds, 3), reused=output.reused)
    return report


def _result(stage: Stage, assignment: Assignment, lease: Lease) -> StageOutput | None:
    """The result of the stage, stored or new; None when another job makes it now and this one waits for it."""
    found = assignment.find()
    if found is not None:
        return found
    claim = lease.acquire_result(stage, assignment.digest, assignment.missing())
    if claim is ResultClaim.MADE:
        found = assignment.find()
        if found is not None:
            return found
        claim = lease.acquire_result(stage, assignment.digest, assignment.missing(), again=True)
    return None if claim is ResultClaim.WAIT else assignment.make(_counted(stage, lease.on_step))


def _counted(stage: Stage, on_step: OnStep) -> OnStep:
    counter = meters().steps.labels(stage.value)

    def count(step: int, steps: int) -> Show | None:
        counter.inc()
        return on_step(step, steps)

    return count


def _tries(job: Job, output: StageOutput) -> tuple[Try, ...]:
    """The tries of a job that may have several, the newly verified one last; empty at all other stages."""
    verification = output.findings.verification
    if verification is None or output.picture is None or job.spec.max_tries == 1:
        return ()
    newest = Try(
        seed=seed_of_try(job.spec.sampling.seed or 0, len(job.tries)),
        verification=verification,
        outputs={**{stage.value: digest for stage, digest in job.outputs.items()}, LAST_STAGE.value: output.digest},
        regions=job.regions,
        picture=output.picture,
    )
    return (*job.tries, newest)


def _again(job: Job, tries: Sequence[Try]) -> bool:
    """Whether the newest try falls short and another one is allowed."""
    if not tries or len(tries) >= job.spec.max_tries:
        return False
    return bool(shortfalls(tries[-1].verification, job.spec.min_identity))


def _record_failure(
    executor: Executor, stage: Stage, claim: Claim, error: Exception, attempt: Attempt
) -> Report | None:
    """Records how the attempt ended. Never gives DONE: the chain is over."""
    jobs, job_id, number, lease_s = executor.jobs, claim.job.id, claim.attempt, executor.settings.lease_s
    try:
        if isinstance(error, JobCanceled):
            ending = "canceled"
            report = retry_until_recorded(lambda: jobs.end_canceled(job_id, number), for_s=lease_s)
        elif isinstance(error, WorkerDraining):
            ending = "released"
            report = retry_until_recorded(lambda: jobs.release(job_id, number), for_s=lease_s)
        elif isinstance(error, TransientError):
            ending, failure = "retried", _failure(error, stage)
            retries = _MEMORY_RETRIES if isinstance(error, OutOfMemory) else _RETRIES
            report = retry_until_recorded(lambda: jobs.retry(job_id, number, failure, tries=retries), for_s=lease_s)
        else:
            if isinstance(error, BlobsRefused):
                log.error("blobs_refused", attempt=number, reason=error.message)
            elif not isinstance(error, (RequestError, BlobDamaged)):
                log.error("stage_failed", attempt=number, exc_info=error)
                # If this ends the process, the job counts as one that lost its worker.
                executor.end_if_device_failed()
            ending, failure = "failed", _failure(error, stage)
            faces = error.faces if isinstance(error, NoFace) else ()
            report = retry_until_recorded(lambda: jobs.fail(job_id, number, failure, faces=faces), for_s=lease_s)
    except RecordsUnavailable as outage:
        # The lease expires, and the reaper requeues the job.
        log.warning("outcome_not_recorded", attempt=number, error=outage.message)
        return None
    # The record may have ended the attempt in another way, for example because the job was canceled meanwhile.
    ending = ending if report is Report.DONE else report.value
    if isinstance(error, BlobsRefused):
        executor.pause_until_connected(error.message)
    code = error.code if isinstance(error, TroupeError) else "internal"
    attempt.ended(ending, code=code if ending in {"failed", "retried"} else "")
    log.info("stage_stopped", attempt=number, code=code, ending=report.value)
    return None


def _failure(error: Exception, stage: Stage) -> Failure:
    """The error that clients see. The text of an unexpected error may contain secrets, so only the log has it."""
    if isinstance(error, TroupeError):
        return Failure(code=error.code, message=error.message, retryable=error.retryable, stage=stage)
    message = "internal error in Troupe; see the worker's log"
    return Failure(code="internal", message=message, retryable=False, stage=stage)
