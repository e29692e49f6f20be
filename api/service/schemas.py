"""The service as people see it: how busy it is, and whether it is ready. The types also describe it in the document."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from shared.job import Lane
from shared.stages import Stage


class CheckView(BaseModel):
    """One thing the service needs, and how it is."""

    name: str
    ok: bool
    detail: str


class LaneView(BaseModel):
    """One lane of the queue. All but the backlog is the caller's own."""

    depth: int = Field(
        description="What of yours waits for its turn: jobs, and lines of batches that are not jobs yet", examples=[12]
    )
    running: int = Field(description="Jobs of yours that workers have: at work, or next", examples=[2])
    pictures_per_min: float = Field(description="Pictures you get a minute, over the last one or so", examples=[7.5])
    eta_s: float | None = Field(
        description="Until the last of yours that waits is done; null when none waits, or before workers are known",
        examples=[96.0],
    )
    backlog_s: float | None = Field(
        description="How long the ready workers (at least one) need for all that waits here, of everybody; "
        "null before anything was measured",
        examples=[310.0],
    )


class QueueView(BaseModel):
    """How busy the service is, as far as the caller may know."""

    lanes: dict[Lane, LaneView]
    backlog_s: float | None = Field(
        description="The lanes' backlogs together: the number to scale workers on", examples=[310.0]
    )


class WorkView(BaseModel):
    """A job that a worker works on."""

    id: str
    stage: Stage
    step: int
    steps: int


class WorkerView(BaseModel):
    """A worker as it says it is. What it does not know of its device is empty or 0."""

    name: str = Field(examples=["celery@gpu-1.4711"])
    host: str = Field(examples=["gpu-1"])
    role: str
    bundle: str
    device: str = Field("", description="Its name", examples=["NVIDIA H100 80GB HBM3"])
    memory_mb: int = Field(0, description="Memory of the device, in 10^6 bytes")
    free_mb: int = 0
    steps_per_s: float = Field(0.0, description="Denoising steps of its last stages")
    state: Literal["ready", "loading", "broken", "draining"]
    reason: str = Field("", description="Why it is not ready")
    busy: bool
    job: WorkView | None = Field(description="The job it works on, if that is one of yours")


class WorkersView(BaseModel):
    """All workers that give signs of life."""

    workers: tuple[WorkerView, ...]


class AliveView(BaseModel):
    """The process answers."""

    ok: bool
    service: Literal["troupe"] = Field(description="By this a client recognises a Troupe server")


class ReadyView(BaseModel):
    """Whether a job that is submitted now can be served."""

    ready: bool
    checks: tuple[CheckView, ...]
    warnings: tuple[str, ...] = Field(
        description="What the API found at its start that does not stop it, and why it collects no orphans if so; only "
        "for who shows a key, or where none is asked for",
        examples=[["Redis at redis:6379 keeps no append-only file: a crash loses the jobs since its last snapshot"]],
    )
