"""The answers of the stores, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from shared.job import Job, Lane
from shared.stages import Stage


class QueuePlace(BaseModel):
    """Where a queued job stands.

    position: jobs of its lane before it; eta_s: seconds until it is done, None if unknown.
    """

    model_config = ConfigDict(frozen=True)

    lane: Lane
    position: int
    eta_s: float | None


@dataclass(frozen=True, kw_only=True)
class JobPage:
    """Some of a tenant's jobs, the newest first. next: where the following page starts; None when there is none."""

    jobs: tuple[Job, ...]
    next: ListCursor | None


@dataclass(frozen=True, kw_only=True)
class ListCursor:
    """A place between two jobs of a list: after the one with this id, that came at this time (as Redis writes it)."""

    at: str
    job_id: str


class DeviceStatus(BaseModel):
    """A device as it is now. Empty and 0 where it is not known.

    device: its name. memory_mb, free_mb: 10^6 bytes. max_pixels: the largest picture that it can draw, width times
    height; 0 for a worker that draws none. steps_per_s: denoising steps of its last stages.
    """

    model_config = ConfigDict(frozen=True)

    device: str = ""
    memory_mb: int = 0
    free_mb: int = 0
    max_pixels: int = 0
    steps_per_s: float = 0.0


class WorkerStatus(DeviceStatus):
    """The status of a live worker and its device. slots: jobs it runs at once; reason: why it is not ready.

    A worker sends heartbeats before its executor has reported whether the models are loaded: then it is not ready.
    """

    name: str
    role: str
    slots: int
    bundle: str
    ready: bool = False
    draining: bool = False
    reason: str = ""


class ClaimRejected(StrEnum):
    """Why a claim was rejected."""

    OVER = "over"
    HELD = "held"
    OTHER_STAGE = "other_stage"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A lease on a job. attempt is the fencing token: calls with an older one have no effect.

    trace: traceparent of the request that submitted the job, if that was traced.
    """

    job: Job
    attempt: int
    trace: str | None = None


class Renewal(StrEnum):
    """The answer to a renewal. PREVIEW: go on, and store previews of the picture."""

    GO_ON = "go_on"
    PREVIEW = "preview"
    LOST = "lost"
    CANCELED = "canceled"
    DRAINING = "draining"


class ResultClaim(StrEnum):
    """The answer to a holder that asked to make the result of its stage.

    MADE: another job has just made it, look again. WAIT: another job makes it now; the lease is released, and the job
    goes on when the result is stored. The others are as for a renewal.
    """

    MAKE = "make"
    MADE = "made"
    WAIT = "wait"
    LOST = "lost"
    CANCELED = "canceled"
    DRAINING = "draining"


class Report(StrEnum):
    """The answer to the last call of a holder about its lease."""

    DONE = "done"
    LOST = "lost"
    CANCELED = "canceled"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class DispatchedJob:
    """A message to publish: the job, its due stage, and whether it precedes the batch lane."""

    job_id: str
    stage: Stage
    has_priority: bool


@dataclass(frozen=True, kw_only=True)
class QueueDepth:
    """How many messages wait in the Celery queue of a stage; stages may share a queue."""

    stage: Stage
    queue: str
    messages: int


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """The last report of an executor: whether its models are loaded, and why not."""

    ready: bool
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """The result of one pass of the reaper: jobs whose lease ended, and messages to send again."""

    lost: tuple[str, ...] = ()
    redispatched: tuple[DispatchedJob, ...] = ()
