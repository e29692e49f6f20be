"""What the stores answer, as values."""

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
    """What a live worker says of itself and its device. slots: jobs it runs at once; reason: why it is not ready.

    A worker gives signs of life before its child has said whether the models are loaded: until then it is not ready.
    """

    name: str
    role: str
    slots: int
    bundle: str
    ready: bool = False
    draining: bool = False
    reason: str = ""


class ClaimRejected(StrEnum):
    """Why a doorbell may not run."""

    OVER = "over"
    HELD = "held"
    OTHER_STAGE = "other_stage"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A lease on a job. attempt is the fencing token: whatever carries an older one has no effect.

    trace: traceparent of the request that submitted the job, if that was traced.
    """

    job: Job
    attempt: int
    trace: str | None = None


class Renewal(StrEnum):
    """What a renewal tells the one who holds a lease. PREVIEW: go on, and somebody wants to see the picture emerge."""

    GO_ON = "go_on"
    PREVIEW = "preview"
    LOST = "lost"
    CANCELED = "canceled"
    DRAINING = "draining"


class ResultClaim(StrEnum):
    """What a holder hears that asked to make the result of its stage.

    MADE: somebody else has just made it, look again. WAIT: somebody makes it now; the lease is given back, and the
    job goes on by itself when the result is there. The others are as for a renewal.
    """

    MAKE = "make"
    MADE = "made"
    WAIT = "wait"
    LOST = "lost"
    CANCELED = "canceled"
    DRAINING = "draining"


class Report(StrEnum):
    """What became of a holder's last word on its lease."""

    DONE = "done"
    LOST = "lost"
    CANCELED = "canceled"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class DispatchedJob:
    """A doorbell to publish: the job, the stage it is due at, and whether it goes before the batch lane."""

    job_id: str
    stage: Stage
    has_priority: bool


@dataclass(frozen=True, kw_only=True)
class QueueDepth:
    """How many messages wait in the Celery queue that a stage's doorbells go through; stages may share a queue."""

    stage: Stage
    queue: str
    messages: int


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """What a child last said: whether its models are loaded, and why not."""

    ready: bool
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What one pass of the reaper did: the jobs whose lease was over, and the doorbells to ring again."""

    lost: tuple[str, ...] = ()
    redispatched: tuple[DispatchedJob, ...] = ()
