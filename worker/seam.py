"""What the queue knows of a stage: a function of a job that says how far it is, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.job import Job, Stage
from shared.settings import Role, Settings

Show = Callable[[bytes], None]
"""Shows a picture (JPEG), as it is after the step, to whoever watches the job."""
OnStep = Callable[[int, int], Show | None]
"""Called with (step, steps) before every step; raises an Interruption when the work is to stop now.

Gives a way to show the picture as it emerges when somebody wants to see it and a new one is due; most often None.
"""


@dataclass(frozen=True, kw_only=True)
class StageOutput:
    """What a stage left in the blob store. digest: of its order. picture: key of the final picture, last stage only."""

    digest: str
    warnings: tuple[str, ...] = ()
    picture: str | None = None


StageFunction = Callable[[Job, OnStep], StageOutput]
LoadStages = Callable[[Settings, Role], Mapping[Stage, StageFunction]]
"""Loads a bundle and gives the stages of a role. Raises BundleError. Called in the pool child, and picklable."""
