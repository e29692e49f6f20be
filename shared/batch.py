"""Batches of jobs, the lines that they consist of, and the outcome of each line."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from shared.job import Job, JobSpec, Status
from shared.stages import Stage
from shared.verification import ConceptRegion, PhotoFaces, Verification, best_of, shortfalls

MAX_CUSTOM_ID_CHARS = 128

CustomId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_CUSTOM_ID_CHARS)]
Log = Literal["output", "errors"]


class BatchStatus(StrEnum):
    """Where a batch is. The last five are terminal; only a retry of its failed lines leaves them."""

    VALIDATING = "validating"
    RUNNING = "running"
    FINALIZING = "finalizing"
    SUCCEEDED = "succeeded"
    PARTIALLY_FAILED = "partially_failed"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"


UNFINISHED = frozenset({BatchStatus.VALIDATING, BatchStatus.RUNNING, BatchStatus.FINALIZING})


class Line(BaseModel):
    """A line that is stored until it is queued: the request with every empty value filled in."""

    model_config = ConfigDict(frozen=True)

    line: int
    custom_id: str
    spec: JobSpec


class LineError(BaseModel):
    """Why a line has no picture. pointer (RFC 6901, into the line) says where a line itself is wrong."""

    model_config = ConfigDict(frozen=True)

    code: str
    message: str
    pointer: str | None = None
    stage: Stage | None = None
    retryable: bool | None = None


class Outcome(BaseModel):
    """The outcome of a line: one line of the output file or of the errors file.

    status: invalid when the line itself could not be read. job: None when none was made. picture: key of the blob.
    faces, regions: faces in the photos and places in the template, as far as the line came.
    seed: of the picture that was kept; tries: how many were drawn. shortfalls: where it misses what the line asks for.
    """

    model_config = ConfigDict(frozen=True)

    line: int
    custom_id: str | None = None
    job: str | None = None
    status: Literal["succeeded", "failed", "canceled", "expired", "invalid"]
    faces: tuple[tuple[PhotoFaces, ...], ...] = ()
    regions: tuple[ConceptRegion, ...] = ()
    picture: str | None = None
    seed: int | None = None
    verification: Verification | None = None
    tries: int | None = None
    shortfalls: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    errors: tuple[LineError, ...] = ()


class Cursor(BaseModel):
    """The next line to queue: the chunk of a source of lines, and how many of its lines have been taken."""

    model_config = ConfigDict(frozen=True)

    source: str = ""
    chunks: int = 0
    chunk: int = 0
    at: int = 0

    @property
    def is_at_end(self) -> bool:
        """Whether no line is left."""
        return self.chunk >= self.chunks


class RateMark(BaseModel):
    """How many lines were over, and how many of them with a picture, at a time (s since the epoch)."""

    model_config = ConfigDict(frozen=True)

    at_s: float
    over: int
    succeeded: int


class Batch(BaseModel):
    """A batch's record. Times are seconds since the epoch on the clock of Redis, where `now_s` is when it was read.

    invalid: lines that could not be read; good: the others. open: jobs of the batch that are queued or running.
    over: lines that ended, by state. saved: stages of finished jobs that were reused instead of made.
    stop: why no more lines are queued. round: how often failed lines were retried.
    pending_delete: it is erased with all that it left as soon as it is over.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    tenant: str
    name: str = ""
    status: BatchStatus
    sequence: int
    good: int = 0
    invalid: int = 0
    open: int = 0
    running: int = 0
    over: dict[Status, int] = {}
    saved: int = 0
    stop: Literal["canceled", "expired"] | None = None
    round: int = 0
    pending_delete: bool = False
    cursor: Cursor = Cursor()
    deadline_s: float | None = None
    stamps: dict[BatchStatus, float] = {}
    mark: RateMark | None = None
    now_s: float

    @property
    def done(self) -> bool:
        """Whether the batch has reached a terminal state."""
        return self.status not in UNFINISHED

    @property
    def ended(self) -> int:
        """Good lines that are over."""
        return sum(self.over.values())

    @property
    def waiting(self) -> int:
        """Good lines that have no job yet."""
        return self.good - self.open - self.ended


def job_id_of(batch_id: str, line: int, round_: int) -> str:
    """Id of a line's job: the same for every process that queues the line, another in another round."""
    return hashlib.blake2b(f"{batch_id}/{line}/{round_}".encode(), digest_size=16).hexdigest()


def outcome_of(job: Job) -> Outcome:
    """The outcome of the line of a job that is over."""
    if job.line is None:
        message = f"job {job.id} is of no batch"
        raise ValueError(message)
    error, found = job.error, job.verification
    kept = job.tries[best_of(job.tries)] if job.tries and job.picture else None
    return Outcome.model_validate(
        {
            "line": job.line,
            "custom_id": job.custom_id,
            "job": job.id,
            "status": job.status.value,
            "faces": job.faces,
            "regions": job.regions,
            "picture": job.picture,
            "seed": kept.seed if kept else job.spec.sampling.seed,
            "verification": found,
            "tries": len(job.tries) or (found and 1),
            "shortfalls": shortfalls(found, job.spec.min_identity) if found else (),
            "warnings": job.warnings,
            "errors": () if error is None else (LineError.model_validate(error.model_dump()),),
        }
    )


@dataclass(frozen=True, kw_only=True)
class LineSource:
    """The place of a job's line in its batch. chunk: source and number, as the batch feeder recorded them."""

    tenant: str
    batch: str
    chunk: str
    line: int


# Gives the fields (spec, custom) that the record of a finished line does without; None when its line is gone.
ReadLine = Callable[[LineSource], Awaitable[Mapping[str, str] | None]]
