"""Schemas of the queue, the workers and the health checks."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from shared.job import Lane
from shared.stages import Stage


class CheckView(BaseModel):
    """The state of one dependency."""

    name: str
    ok: bool
    detail: str


class LaneView(BaseModel):
    """One lane of the queue. All values except the backlog are the tenant's own."""

    depth: int = Field(description="Waiting jobs and lines of batches of the tenant", examples=[12])
    running: int = Field(description="Jobs of the tenant that workers have claimed", examples=[2])
    pictures_per_min: float = Field(description="Pictures of the tenant in the last minute", examples=[7.5])
    eta_s: float | None = Field(
        description="Seconds until the last waiting job of the tenant is done; null if none waits or no worker lives",
        examples=[96.0],
    )
    backlog_s: float | None = Field(
        description="Seconds that the ready workers (at least one) need for all that waits in this lane; "
        "null before any job was measured",
        examples=[310.0],
    )


class QueueView(BaseModel):
    """The state of the queue for the tenant."""

    lanes: dict[Lane, LaneView]
    backlog_s: float | None = Field(
        description="Sum of the backlogs of all lanes: the value to scale workers on", examples=[310.0]
    )


class WorkView(BaseModel):
    """The job that a worker runs."""

    id: str
    stage: Stage
    step: int
    steps: int


class WorkerView(BaseModel):
    """A worker as it reports itself. Unknown values of its device are empty or 0."""

    name: str = Field(examples=["celery@gpu-1.4711"])
    host: str = Field(examples=["gpu-1"])
    role: str
    bundle: str
    device: str = Field("", description="Name of the device", examples=["NVIDIA H100 80GB HBM3"])
    memory_mb: int = Field(0, description="Memory of the device, in 10^6 bytes")
    free_mb: int = 0
    steps_per_s: float = Field(0.0, description="Denoising steps a second in its last stages")
    state: Literal["ready", "loading", "broken", "draining"]
    reason: str = Field("", description="Why the worker is not ready")
    busy: bool
    job: WorkView | None = Field(description="The job that the worker runs, if it belongs to the tenant")


class WorkersView(BaseModel):
    """All live workers."""

    workers: tuple[WorkerView, ...]


class AliveView(BaseModel):
    """The process is alive."""

    ok: bool
    service: Literal["troupe"] = Field(description="By this a client recognises a Troupe server")


class ReadyView(BaseModel):
    """Whether a job that is submitted now can run."""

    ready: bool
    checks: tuple[CheckView, ...]
    warnings: tuple[str, ...] = Field(
        description="Findings at startup that do not stop the API, and the reason if it collects no orphans; "
        "shown only to callers with a key, or while authentication is off",
        examples=[["Redis at redis:6379 has no append-only file: a crash loses the jobs since its last snapshot"]],
    )
