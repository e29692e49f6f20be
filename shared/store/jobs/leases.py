"""Job records for an executor: claim, renew, finish, release."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import redis

from shared.errors import JobNotFound
from shared.job import Failure, Job
from shared.settings import Settings
from shared.stages import Stage
from shared.store import keys, scripts
from shared.store.connection import redis_errors
from shared.store.jobs import findings, record
from shared.store.jobs.finished import FinishedStage
from shared.store.queue.values import (
    Claim,
    ClaimRejected,
    Renewal,
    Report,
    ResultClaim,
)
from shared.verification import PhotoFaces

_SCRIPTS = (
    "jobs/claim",
    "jobs/acquire_result",
    "jobs/renew",
    "jobs/finish",
    "jobs/end",
    "jobs/release",
    "jobs/retry",
    "jobs/put_preview",
)
# A step of a large picture on a slow device takes less.
_PREVIEW_S = 600


class JobStore:
    """Job records behind blocking calls; safe to share between threads. Every call may raise RecordsUnavailable.

    Every call names the attempt of its claim. Once the lease is lost or the job is claimed again, calls with the old
    attempt have no effect.
    """

    def __init__(self, redis: redis.Redis, settings: Settings) -> None:
        self._redis = redis
        self._settings = settings
        self._prefix = settings.key_prefix
        self._scripts = scripts.load(redis, self._prefix, _SCRIPTS)

    def get(self, job_id: str) -> Job:
        """The job. Raises JobNotFound."""
        with redis_errors():
            fields: Any = self._redis.hgetall(keys.job_key(self._prefix, job_id))
        if "spec" not in fields:
            message = f"there is no job {job_id}"
            raise JobNotFound(message)
        return record.decode(job_id, fields)

    def claim(self, job_id: str, stage: Stage, *, worker: str, token: str) -> Claim | ClaimRejected:
        """The lease on a job that is due at this stage, or why there is none.

        token: unique to this call, so that asking twice, because an answer got lost, gives the same claim.
        """
        answer, *rest = self._run(
            "jobs/claim", id=job_id, stage=stage.value, holder=f"{worker}/{token}", lease_s=self._settings.lease_s
        )
        if answer != "ok":
            return ClaimRejected(answer)
        attempt, *fields = rest
        found = record.pairs(fields)
        return Claim(job=record.decode(job_id, found), attempt=int(attempt), trace=found.get("trace"))

    def acquire_result(
        self,
        job_id: str,
        attempt: int,
        *,
        worker: str,
        stage: Stage,
        digest: str,
        parts: Sequence[str] = (),
        again: bool = False,
    ) -> ResultClaim:
        """Asks to make a result that is not stored: a stage's, and its missing parts. Renews the lease.

        Of all jobs that ask for the same result, one at a time makes it. again: after MADE, when it was not found.
        """
        answer = self._run(
            "jobs/acquire_result",
            id=job_id,
            attempt=attempt,
            lease_s=self._settings.lease_s,
            worker=worker,
            stage=stage.value,
            digest=digest,
            again=again,
            parts=parts,
        )
        return ResultClaim(answer)

    def renew(self, job_id: str, attempt: int, *, worker: str, progress: tuple[int, int] | None = None) -> Renewal:
        """Prolongs the lease, writes (step, steps) if given, and says whether to go on."""
        step, steps = progress or (None, None)
        lease_s = self._settings.lease_s
        return Renewal(
            self._run("jobs/renew", id=job_id, attempt=attempt, lease_s=lease_s, worker=worker, step=step, steps=steps)
        )

    def put_preview(self, job_id: str, attempt: int, *, step: int, jpeg: bytes) -> Report:
        """Stores the picture as it is after a step of the running stage, for its viewers."""
        return Report(
            self._run("jobs/put_preview", id=job_id, attempt=attempt, step=step, expiry_s=_PREVIEW_S, jpeg=jpeg)
        )

    def finish(self, job_id: str, attempt: int, finished: FinishedStage) -> Report:
        """Writes that the stage is done, for this job and for all followers of its result.

        The job ends with its last stage. Raises ValueError for a last stage without a picture.
        """
        report, expiry_s = finished.encode(), self._settings.job_expiry_s
        return Report(self._run("jobs/finish", id=job_id, attempt=attempt, expiry_s=expiry_s, report=report))

    def fail(
        self, job_id: str, attempt: int, failure: Failure, *, faces: Sequence[Sequence[PhotoFaces]] = ()
    ) -> Report:
        """Ends the job as failed. faces: those found in its photos, where they are the reason."""
        found = json.dumps(findings.encode_faces(faces)) if faces else None
        return self._end(job_id, attempt, status="failed", error=failure.model_dump_json(), found=found)

    def end_canceled(self, job_id: str, attempt: int) -> Report:
        """Ends the job as canceled."""
        return self._end(job_id, attempt, status="canceled")

    def release(self, job_id: str, attempt: int) -> Report:
        """Requeues the job at the front of its lane; it does not count as a loss."""
        return Report(self._run("jobs/release", id=job_id, attempt=attempt, expiry_s=self._settings.job_expiry_s))

    def retry(self, job_id: str, attempt: int, failure: Failure, *, tries: int) -> Report:
        """Delays the job by a pause that doubles every time; fails it after `tries` tries."""
        answer = self._run(
            "jobs/retry",
            id=job_id,
            attempt=attempt,
            expiry_s=self._settings.job_expiry_s,
            error=failure.model_dump_json(),
            max_tries=tries,
            pause_s=self._settings.retry_after_s,
        )
        return Report(answer)

    def _end(self, job_id: str, attempt: int, **values: str | None) -> Report:
        return Report(self._run("jobs/end", id=job_id, attempt=attempt, expiry_s=self._settings.job_expiry_s, **values))

    def _run(self, script: str, **values: Any) -> Any:
        with redis_errors():
            return self._scripts[script](**values)
