"""What the queue knows of a stage: what its result is called, whether it is there, and how it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.job import Job
from shared.settings import Role, Settings
from shared.stages import Stage
from shared.store.queue.values import DeviceStatus
from shared.verification import ConceptRegion, PhotoFaces, Verification

Show = Callable[[bytes], None]
"""Shows a picture (JPEG), as it is after the step, to whoever watches the job."""
OnStep = Callable[[int, int], Show | None]
"""Called with (step, steps) before every step; raises an Interruption when the work is to stop now.

Gives a way to show the picture as it emerges when somebody wants to see it and a new one is due; most often None.
"""


@dataclass(frozen=True, kw_only=True)
class StageOutput:
    """What a stage left in the blob store. digest: of its order. reused: whether it was there already.

    faces: what each concept's photos show; of identify. regions: where each concept is; of detect.
    picture: key of the picture; of personalize and verify. verification: whose faces it shows; of verify.
    """

    digest: str
    warnings: tuple[str, ...] = ()
    faces: tuple[tuple[PhotoFaces, ...], ...] = ()
    regions: tuple[ConceptRegion, ...] = ()
    picture: str | None = None
    verification: Verification | None = None
    reused: bool = False


class Assignment(Protocol):
    """One stage of one job. Everything but `make` is quick and needs no model."""

    @property
    def digest(self) -> str:
        """Of the stage's order: the name of its result, the same for all jobs that need the same."""

    def find(self) -> StageOutput | None:
        """The result, if it is stored."""

    def missing(self) -> Sequence[str]:
        """Names of parts that the result is put together from, other results share, and the last `find` did not see."""

    def make(self, on_step: OnStep) -> StageOutput:
        """Does the work and stores the result."""


StageFunction = Callable[[Job], Assignment]


def _nothing() -> None:
    """Nothing needs to get warm, and nobody to be reached."""


def _always() -> bool:
    """There is no device that could stop to answer."""
    return True


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A role's stages over loaded models.

    warm_up: runs every network once, so that no job waits for it; raises OutOfMemory. reach: asks the servers that the
    stages work with; raises TransientError. gauge: the device as it is now. answers: whether the device still does;
    some errors of a GPU leave nothing but a new process.
    """

    stages: Mapping[Stage, StageFunction]
    warm_up: Callable[[], None] = _nothing
    reach: Callable[[], None] = _nothing
    gauge: Callable[[], DeviceStatus] = DeviceStatus
    answers: Callable[[], bool] = _always


LoadStages = Callable[[Settings, Role], Loaded]
"""Loads a bundle for a role. Raises BundleError, or TransientError for what another try may find otherwise.

Called in the pool child, and picklable.
"""
