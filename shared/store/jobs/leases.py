"""Job records as a worker's child sees them: claim, renew, finish, give back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import redis

from shared.errors import JobNotFound
from shared.job import Failure, Job
from shared.settings import Settings
from shared.stages import SEEDED_STAGES, STAGES, Stage
from shared.store import keys, scripts
from shared.store.connection import RedisValue, redis_errors
from shared.store.jobs import findings, record
from shared.store.queue.values import (
    Claim,
    ClaimRejected,
    Renewal,
    Report,
    ResultClaim,
)
from shared.verification import ConceptRegion, PhotoFaces, Try, Verification, best_of

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

    Whoever speaks for a job names the attempt of its claim. Once somebody else has claimed the job, or its lease was
    lost, nothing that carries this attempt has any effect.
    """

    def __init__(self, redis: redis.Redis, settings: Settings) -> None:
        self._redis = redis
        self._settings = settings
        self._prefix = settings.key_prefix
        self._scripts = {name: redis.register_script(scripts.source(name)) for name in _SCRIPTS}

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
        answer, *rest = self._run("jobs/claim", job_id, stage.value, f"{worker}/{token}", self._settings.lease_s)
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
        looked: bool = False,
    ) -> ResultClaim:
        """Asks to make a result that is not stored: a stage's, and those of its parts that are missing. A renewal, too.

        Of all jobs that ask for the same, one makes it at a time. looked: after MADE, with nothing found.
        """
        values: tuple[RedisValue, ...] = (self._settings.lease_s, worker, stage.value, digest, int(looked), *parts)
        return ResultClaim(self._run("jobs/acquire_result", job_id, attempt, *values))

    def renew(self, job_id: str, attempt: int, *, worker: str, progress: tuple[int, int] | None = None) -> Renewal:
        """Prolongs the lease, writes (step, steps) if given, and says whether to go on."""
        return Renewal(self._run("jobs/renew", job_id, attempt, self._settings.lease_s, worker, *(progress or ())))

    def show(self, job_id: str, attempt: int, *, step: int, jpeg: bytes) -> Report:
        """Shows the picture as it is after a step of the running stage, to whoever watches."""
        return Report(self._run("jobs/put_preview", job_id, attempt, step, _PREVIEW_S, jpeg))

    def finish(
        self,
        job_id: str,
        attempt: int,
        stage: Stage,
        *,
        digest: str,
        seconds: float,
        warnings: Sequence[str] = (),
        picture: str | None = None,
        faces: Sequence[Sequence[PhotoFaces]] = (),
        regions: Sequence[ConceptRegion] = (),
        verification: Verification | None = None,
        reused: bool = False,
        tries: Sequence[Try] = (),
        again: bool = False,
    ) -> Report:
        """Notes that the stage is done, for this job and for all that wait for the same result.

        The last stage ends the job, where it does not end before, and needs the key of its picture.
        reused: the result was found, not made.
        tries: those of a job that may have several, this one last; the best is kept. again: another one is to follow.
        """
        following = STAGES[STAGES.index(stage) + 1 :]
        if not following and picture is None:
            message = f"{stage.value} is the last stage: it ends with a picture"
            raise ValueError(message)
        due = following[0].value if following else SEEDED_STAGES[0].value if again else ""
        kept = tries[best_of(tries)] if tries and not again else None
        if kept is not None:
            picture, verification, regions = kept.picture, kept.verification, kept.regions
        # The verification first: finish.lua looks there for it.
        found = {} if verification is None else findings.encode_verification(verification)
        found |= {**findings.encode_faces(faces), **findings.encode_regions(regions)}
        outputs = {} if kept is None or kept is tries[-1] else kept.outputs
        words = {stage.value: "" for stage in SEEDED_STAGES} if again else outputs
        values: tuple[RedisValue, ...] = (
            self._settings.job_expiry_s,
            stage.value,
            due,
            digest,
            f"{seconds:.3f}",
            json.dumps(list(warnings)),
            picture or "",
            "1" if reused else "",
            findings.text_of(found),
            len(tries) - 1 if tries else "",
            tries[-1].model_dump_json() if tries else "",
            *(word for pair in words.items() for word in pair),
        )
        return Report(self._run("jobs/finish", job_id, attempt, *values))

    def fail(
        self, job_id: str, attempt: int, failure: Failure, *, faces: Sequence[Sequence[PhotoFaces]] = ()
    ) -> Report:
        """Ends the job as failed. faces: what its photos show, where that is why."""
        expiry_s, found = self._settings.job_expiry_s, findings.text_of(findings.encode_faces(faces))
        return Report(self._run("jobs/end", job_id, attempt, expiry_s, "failed", failure.model_dump_json(), found))

    def canceled(self, job_id: str, attempt: int) -> Report:
        """Ends the job as canceled, as its holder was told."""
        return Report(self._run("jobs/end", job_id, attempt, self._settings.job_expiry_s, "canceled", ""))

    def release(self, job_id: str, attempt: int) -> Report:
        """Puts the job back to the front of its lane; it does not count against the job."""
        return Report(self._run("jobs/release", job_id, attempt, self._settings.job_expiry_s))

    def retry(self, job_id: str, attempt: int, failure: Failure, *, tries: int) -> Report:
        """Puts the job back for after a pause that doubles every time; fails it after so many tries."""
        expiry_s, pause_s = self._settings.job_expiry_s, self._settings.retry_after_s
        return Report(self._run("jobs/retry", job_id, attempt, expiry_s, failure.model_dump_json(), tries, pause_s))

    def _run(self, name: str, *values: RedisValue) -> Any:
        with redis_errors():
            return self._scripts[name](args=[self._prefix, *values])
