"""What the API answers, as values. A field that a newer server adds is ignored."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from api.client.problems import error_of_code
from shared.job import Failure, Status
from shared.verification import Verification


class Value(BaseModel):
    """What every answer is."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Progress(Value):
    """How far the running stage is; fraction is of this stage, 0 to 1."""

    step: int
    steps: int
    fraction: float


class Place(Value):
    """Where a queued job stands. eta_s: seconds until it is done, None if unknown."""

    lane: str
    position: int
    eta_s: float | None = None


class PhotoFaces(Value):
    """What a photo shows: how many faces, and where the one is that is taken, in pixels of the photo as stored."""

    found: int
    box_px: tuple[float, float, float, float] | None


class Region(Value):
    """Where a concept's person is in the template. explicit: the job gave the box; if not, the phrase found it."""

    concept: int
    phrase: str
    box_px: tuple[float, float, float, float]
    explicit: bool
    score: float


class Try(Value):
    """One picture that the job drew. shortfalls: why it is not good enough."""

    seed: int | None
    min_identity: float | None
    swaps: int
    missing: int
    shortfalls: tuple[str, ...]
    kept: bool


class JobState(Value):
    """A job as its events tell it. previews: addresses of small pictures, when they were asked for."""

    id: str
    status: Status
    done: bool
    stage: str | None
    progress: Progress
    queue: Place | None
    attempt: int
    sequence: int
    error: Failure | None
    warnings: tuple[str, ...]
    timings: dict[str, float]
    reused: tuple[str, ...] = ()
    faces: tuple[tuple[PhotoFaces, ...], ...] = ()
    regions: tuple[Region, ...] = ()
    verification: Verification | None = None
    tries: tuple[Try, ...] = ()
    retry_of: str | None = None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    urls: dict[str, str | None]
    previews: dict[str, str | None] = {}

    def check(self) -> None:
        """Raises the error that the job ended with, by its code; nothing for a job that succeeded or is not done."""
        if self.status is Status.FAILED and self.error is not None:
            raise error_of_code(self.error.code, self.error.message, retryable=self.error.retryable)
        if self.status in {Status.CANCELED, Status.EXPIRED}:
            raise error_of_code(self.status.value, f"job {self.id} is {self.status.value}", retryable=True)


class Job(JobState):
    """A job. spec: what was asked for, with every empty value filled in."""

    spec: dict[str, Any]


class Estimate(Value):
    """What a job or a batch would cost. eta_s: until it would be done, None before the server has measured anything."""

    lane: str
    units: float
    eta_s: float | None


class AuditEntry(Value):
    """Something that was done with one of the tenant's keys. key: its id, "-" where keys are not asked for.

    subject: id of the job, photo or batch, or the tenant's name. detail: which picture or file was read; of a
    retry, the job that is done over. consent: what an upload said of it.
    """

    id: str
    at: datetime
    tenant: str
    key: str
    action: str
    subject: str
    detail: str | None = None
    consent: str | None = None


class AuditPage(Value):
    """Entries of an audit log, the newest first. next: `cursor` of the following page, None at the end."""

    entries: tuple[AuditEntry, ...]
    next: str | None


class LaneLoad(Value):
    """How busy one lane is. All but the backlog is the caller's own; eta_s: until the last job that waits is done."""

    depth: int
    running: int
    pictures_per_min: float
    eta_s: float | None = None
    backlog_s: float | None = None


class Queue(Value):
    """How busy the service is. backlog_s: how long the workers need for all that waits, of everybody."""

    lanes: dict[str, LaneLoad]
    backlog_s: float | None = None


class Work(Value):
    """A job that a worker works on."""

    id: str
    stage: str
    step: int
    steps: int


class Worker(Value):
    """A worker. busy: it works on a job; job: which, if that is one of the caller's own.

    What it does not know of its device is empty or 0; memory in 10^6 bytes. reason: why it is not ready.
    """

    name: str
    host: str
    role: str
    bundle: str
    device: str = ""
    memory_mb: int = 0
    free_mb: int = 0
    steps_per_s: float = 0.0
    state: str
    reason: str = ""
    busy: bool
    job: Work | None = None


class Workers(Value):
    """All workers that give signs of life."""

    workers: list[Worker]
