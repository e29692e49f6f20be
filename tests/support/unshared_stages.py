"""Stages without result sharing: each job has its own result, and no stored result is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from shared.job import Job
from worker.runner.assignment import AssignStage, OnStep, StageOutput

Make = Callable[[Job, OnStep], StageOutput]


@dataclass(frozen=True, kw_only=True)
class UnsharedWork:
    """Work that always runs."""

    job: Job
    work: Make

    @property
    def digest(self) -> str:
        """A digest that no other job has."""
        return self.job.id

    def find(self) -> StageOutput | None:
        """No stored result."""
        return None

    def missing(self) -> tuple[str, ...]:
        """No parts."""
        return ()

    def make(self, on_step: OnStep) -> StageOutput:
        """The output of the work."""
        return self.work(self.job, on_step)


def unshared(work: Make) -> AssignStage:
    """A stage that calls this function. It can be pickled if the function can."""
    return partial(_assign, work)


def _assign(work: Make, job: Job) -> UnsharedWork:
    return UnsharedWork(job=job, work=work)
