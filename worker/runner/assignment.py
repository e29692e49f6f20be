"""What the queue knows about a stage: the name of its result, whether it is stored, and how to make it.

Imports no model library: the supervisor process reads this module, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.job import Job
from shared.settings import Role, Settings
from shared.stages import Stage
from shared.store.queue.values import DeviceStatus
from shared.verification import NO_FINDINGS, StageFindings

Show = Callable[[bytes], None]
"""Shows clients that watch the job a preview (JPEG) of the picture after this step."""
OnStep = Callable[[int, int], Show | None]
"""Called with (step, steps) before every step; raises an Interruption when the stage must stop now.

Returns a function that shows a preview when a client watches the job and a new preview is due, else None.
"""


@dataclass(frozen=True, kw_only=True)
class StageOutput:
    """The result of a stage, as the job's record needs it.

    digest: of the order; it names the result in the blob store. picture: key of the final picture, of the stages that
    have one. reused: whether the result was already stored.
    """

    digest: str
    findings: StageFindings = NO_FINDINGS
    picture: str | None = None
    reused: bool = False


class Assignment(Protocol):
    """One stage of one job. All methods except `make` are quick and need no model."""

    @property
    def digest(self) -> str:
        """Digest of the stage's order. Jobs that need the same result have the same digest."""

    def find(self) -> StageOutput | None:
        """The stored result, None when there is none."""

    def missing(self) -> Sequence[str]:
        """Names of those parts of the result that other results share and that are not stored yet."""

    def make(self, on_step: OnStep) -> StageOutput:
        """Runs the stage and stores its result."""


AssignStage = Callable[[Job], Assignment]
"""Gives a job's assignment for one stage."""


def _do_nothing() -> None:
    """The default where there is nothing to warm up or to wait for."""


def _true() -> bool:
    """The default where there is no device that could fail."""
    return True


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The stages of a role, with their models loaded.

    warm_up: runs every network once, so that no job waits for it; raises OutOfMemory. connect: checks the servers that
    the stages need; raises TransientError. device_status: memory and limits of the device now. device_works: False
    after an error that only a new process recovers from.
    """

    stages: Mapping[Stage, AssignStage]
    warm_up: Callable[[], None] = _do_nothing
    connect: Callable[[], None] = _do_nothing
    device_status: Callable[[], DeviceStatus] = DeviceStatus
    device_works: Callable[[], bool] = _true


LoadStages = Callable[[Settings, Role], Loaded]
"""Loads a bundle for a role. Raises BundleError, or TransientError when a later attempt may succeed.

Runs in the executor process, and must be picklable.
"""
