"""What the queue knows of a stage: a function of a job that says how far it is, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.job import Job, Stage
from shared.settings import Role, Settings

OnStep = Callable[[int, int], None]
"""Called with (step, steps) before every step; raises an Interruption when the work is to stop now."""


@dataclass(frozen=True, kw_only=True)
class StageOutput:
    """What a stage left in the blob store. digest: of its order. picture: key of the final picture, last stage only."""

    digest: str
    warnings: tuple[str, ...] = ()
    picture: str | None = None


StageFunction = Callable[[Job, OnStep], StageOutput]
LoadStages = Callable[[Settings, Role], Mapping[Stage, StageFunction]]
"""Loads a bundle and gives the stages of a role. Raises BundleError. Called in the pool child, and picklable."""
