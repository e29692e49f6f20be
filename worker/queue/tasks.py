"""One task a stage: claim the job, run the stage, say what became of it.

A doorbell that may not run, whose work came to nothing, or whose stage is the job's last, ends with Ignore: the rest of
its chain dies with it.
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
from shared.store.queue.values import (
    Claim,
    ClaimRejected,
    Report,
    ResultClaim,
)
from shared.telemetry.log import get_logger
from shared.telemetry.metrics import meters
from shared.verification import Try, seed_of_try, shortfalls
from worker.queue.attempts import Attempt
from worker.queue.executor import Executor, end_process, persist
from worker.queue.lease import Lease
from worker.runner.assignment import (
    Assignment,
    OnStep,
    Show,
    StageOutput,
)

# How often something transient may stop a job before it fails. A device that is too small stays so; the second try is
# for memory that somebody else held.
_TRIES = 5
_MEMORY_TRIES = 1

log = get_logger(__name__)


def add_tasks(app: Celery, child: Executor) -> None:
    """Registers all stages as tasks of the app."""
    for stage in STAGES:
        _add(app, child, stage)


def _add(app: Celery, child: Executor, stage: Stage) -> None:
    # Not lazy: a pool child unpickles the app and must find the tasks in it.
    # Not shared either: another app of this process has tasks of its own by the same names.
    @app.task(name=TASK_OF[stage], lazy=False, shared=False)
    def run(job_id: str) -> None:
        perform(child, stage, job_id)


def perform(child: Executor, stage: Stage, job_id: str) -> None:
    """Runs one stage of a job, if it is due. Raises Ignore unless the chain is to go on."""
    with structlog.contextvars.bound_contextvars(job_id=job_id, stage=stage.value):
        if stage not in child.stages:
            # The doorbell came while this child was starting, and its bundle turned out to be broken. It must not cost
            # the job anything: the reaper rings again, for a worker that can.
            log.warning("doorbell_not_answered", worker=child.name)
            raise Ignore
        try:
            claim = child.jobs.claim(job_id, stage, worker=child.name, token=uuid.uuid4().hex[:12])
        except RecordsUnavailable as error:
            # The doorbell is spent; the reaper rings again when Redis is back.
            log.warning("claim_failed", error=error.message)
            raise Ignore from error
        if isinstance(claim, ClaimRejected):
            log.info("doorbell_turned_away", why=claim.value)
            raise Ignore
        with child.attempts.begin(stage, claim, child.name) as told:
            ending = _work(child, stage, claim, told)
        if ending is not Report.DONE or stage is claim.job.spec.until:
            raise Ignore


def _work(child: Executor, stage: Stage, claim: Claim, told: Attempt) -> Report | None:
    """Runs the claimed stage. Gives DONE when the next stage is due, anything else when this chain is over."""
    jobs, job_id, attempt = child.jobs, claim.job.id, claim.attempt
    lease = Lease(jobs, claim, worker=child.name, settings=child.settings, on_stall=end_process)
    try:
        with lease:
            started_s = time.perf_counter()
            found = _result(stage, child.stages[stage](claim.job), lease)
            if found is None:
                told.ended("parked")
                log.info("job_parked", attempt=attempt)
                return None
            output = found
            if stage.info.draws != "nothing":
                child.note_pace(*lease.pace)
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
            # Inside the lease: as long as Redis is away, nobody else can have been given the job either.
            ending = persist(lambda: jobs.finish(job_id, attempt, finished), for_s=child.settings.lease_s)
    except LeaseLost as error:
        told.ended(Report.LOST.value)
        log.warning("lease_lost", attempt=attempt, reason=error.message)
        return None
    except Exception as error:  # noqa: BLE001 - every failure is told to the job's record, and nothing else may be lost
        return _settle(child, stage, claim, error, told)
    if ending is Report.DONE:
        told.done(seconds, reused=output.reused)
    else:
        told.ended(ending.value)
    log.info("stage_finished", attempt=attempt, ending=ending.value, seconds=round(seconds, 3), reused=output.reused)
    return ending


def _result(stage: Stage, assignment: Assignment, lease: Lease) -> StageOutput | None:
    """What the stage leaves, found or made; None when another job makes it right now, and this one waits without us."""
    found = assignment.find()
    if found is not None:
        return found
    wish = lease.acquire_result(stage, assignment.digest, assignment.missing())
    if wish is ResultClaim.MADE:
        found = assignment.find()
        if found is not None:
            return found
        wish = lease.acquire_result(stage, assignment.digest, assignment.missing(), again=True)
    return None if wish is ResultClaim.WAIT else assignment.make(_counted(stage, lease.on_step))


def _counted(stage: Stage, on_step: OnStep) -> OnStep:
    counter = meters().steps.labels(stage.value)

    def count(step: int, steps: int) -> Show | None:
        counter.inc()
        return on_step(step, steps)

    return count


def _tries(job: Job, output: StageOutput) -> tuple[Try, ...]:
    """The tries of a job that may have several, with the one that was just verified; nothing at the other stages."""
    verification = output.findings.verification
    if verification is None or output.picture is None or job.spec.max_tries == 1:
        return ()
    drawn = Try(
        seed=seed_of_try(job.spec.sampling.seed or 0, len(job.tries)),
        verification=verification,
        outputs={**{stage.value: digest for stage, digest in job.outputs.items()}, LAST_STAGE.value: output.digest},
        regions=job.regions,
        picture=output.picture,
    )
    return (*job.tries, drawn)


def _again(job: Job, tries: Sequence[Try]) -> bool:
    """Whether the newest try falls short and there may be another."""
    if not tries or len(tries) >= job.spec.max_tries:
        return False
    return bool(shortfalls(tries[-1].verification, job.spec.min_identity))


def _settle(child: Executor, stage: Stage, claim: Claim, error: Exception, told: Attempt) -> Report | None:
    """Tells the record how the attempt ended. Never gives DONE: the chain is over."""
    jobs, job_id, attempt = child.jobs, claim.job.id, claim.attempt
    try:
        if isinstance(error, JobCanceled):
            became = "canceled"
            ending = persist(lambda: jobs.end_canceled(job_id, attempt), for_s=child.settings.lease_s)
        elif isinstance(error, WorkerDraining):
            became = "released"
            ending = persist(lambda: jobs.release(job_id, attempt), for_s=child.settings.lease_s)
        elif isinstance(error, TransientError):
            failure = _failure(error, stage)
            became = "retried"
            tries = _MEMORY_TRIES if isinstance(error, OutOfMemory) else _TRIES
            ending = persist(lambda: jobs.retry(job_id, attempt, failure, tries=tries), for_s=child.settings.lease_s)
        else:
            if isinstance(error, BlobsRefused):
                log.error("blobs_refused", attempt=attempt, reason=error.message)
            elif not isinstance(error, (RequestError, BlobDamaged)):
                log.error("stage_broke", attempt=attempt, exc_info=error)
                # The job then counts as one that lost its worker.
                child.give_up_where_the_device_did()
            failure, became = _failure(error, stage), "failed"
            faces = error.faces if isinstance(error, NoFace) else ()
            ending = persist(lambda: jobs.fail(job_id, attempt, failure, faces=faces), for_s=child.settings.lease_s)
    except RecordsUnavailable as outage:
        # The lease runs out, and the reaper puts the job back.
        log.warning("ending_not_told", attempt=attempt, error=outage.message)
        return None
    # An end that the record did not take or took for another is that one.
    became = became if ending is Report.DONE else ending.value
    if isinstance(error, BlobsRefused):
        child.leave_until_reached(error.message)
    code = error.code if isinstance(error, TroupeError) else "internal"
    told.ended(became, code=code if became in {"failed", "retried"} else "")
    log.info("stage_stopped", attempt=attempt, code=code, ending=ending.value)
    return None


def _failure(error: Exception, stage: Stage) -> Failure:
    """What the person is told. The text of an unknown error may hold anything, so it stays in the log."""
    if isinstance(error, TroupeError):
        return Failure(code=error.code, message=error.message, retryable=error.retryable, stage=stage)
    message = "something broke in Troupe; its log says what"
    return Failure(code="internal", message=message, retryable=False, stage=stage)
