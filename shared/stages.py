"""The stages of a job, in their order, and the facts that queue, stores, API and page need about each.

How a stage runs is in `worker/runner`: one class a stage.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Self

StageQueue = Literal["detection", "generation"]
Draws = Literal["nothing", "scene", "people"]


@dataclass(frozen=True, kw_only=True)
class StageInfo:
    """Facts about one stage.

    queue: the queue that it waits in, and the role of the workers that run it. label, activity: its name and what it
    does, for people. draws: what it denoises; it decides what a job costs. uses_seed: another seed changes its result,
    so another try runs it again. from_photos: its result holds faces of the reference photos and is erased with them.
    """

    queue: StageQueue
    label: str
    activity: str
    draws: Draws = "nothing"
    uses_seed: bool = True
    from_photos: bool = False


class Stage(StrEnum):
    """The stages of a job, in their order."""

    info: StageInfo

    IDENTIFY = (
        "identify",
        StageInfo(
            queue="detection", label="Faces", activity="Finding faces in the photos", uses_seed=False, from_photos=True
        ),
    )
    RENDER = "render", StageInfo(queue="generation", label="Scene", activity="Drawing the scene", draws="scene")
    DETECT = "detect", StageInfo(queue="detection", label="Regions", activity="Finding the people")
    PERSONALIZE = (
        "personalize",
        StageInfo(queue="generation", label="People", activity="Drawing the people", draws="people"),
    )
    VERIFY = "verify", StageInfo(queue="detection", label="Likeness", activity="Checking the likeness")

    def __new__(cls, name: str, info: StageInfo | None = None) -> Self:
        """A member by its name and its facts; by its name alone the enum finds the member."""
        member = str.__new__(cls, name)
        member._value_ = name
        if info is not None:
            member.info = info
        return member

    def is_before(self, other: Stage) -> bool:
        """Whether a job runs this stage earlier than the other."""
        return STAGES.index(self) < STAGES.index(other)

    def and_later(self) -> tuple[Stage, ...]:
        """This stage and all after it."""
        return STAGES[STAGES.index(self) :]

    def and_earlier(self) -> tuple[Stage, ...]:
        """All stages that a job runs which ends with this one."""
        return STAGES[: STAGES.index(self) + 1]


STAGES: tuple[Stage, ...] = tuple(Stage)
FIRST_STAGE, LAST_STAGE = STAGES[0], STAGES[-1]
SEEDED_STAGES: tuple[Stage, ...] = tuple(stage for stage in STAGES if stage.info.uses_seed)
