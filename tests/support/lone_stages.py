"""Stages for the queue that share nothing: every job's result is its own, and none is ever found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from shared.job import Job
from worker.runner.assignment import AssignStage, OnStep, StageOutput

Make = Callable[[Job, OnStep], StageOutput]


@dataclass(frozen=True, kw_only=True)
class LoneWork:
    """An assignment that is made whenever it is asked for."""

    job: Job
    work: Make

    @property
    def digest(self) -> str:
        """Nobody else's."""
        return self.job.id

    def find(self) -> StageOutput | None:
        """Nothing is found."""
        return None

    def missing(self) -> tuple[str, ...]:
        """Nothing has parts."""
        return ()

    def make(self, on_step: OnStep) -> StageOutput:
        """What the work gives."""
        return self.work(self.job, on_step)


def lone(work: Make) -> AssignStage:
    """A stage from what it does. It can be pickled if the work can."""
    return partial(_assign, work)


def _assign(work: Make, job: Job) -> LoneWork:
    return LoneWork(job=job, work=work)
