"""The base class of all stages: what a job asks of the stage, and how the stage answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from shared.job import Job
from shared.orders import Order
from shared.stages import Stage
from shared.verification import NO_FINDINGS, StageFindings
from worker.runner.assignment import OnStep
from worker.runner.models import Models
from worker.runner.results import Results

StageOrder = TypeVar("StageOrder", bound=Order)


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """What a run of a stage made.

    files: content of the files to store, by name. findings: what the job's record shows. reused: True when the stage
    only assembled parts that were already stored.
    """

    files: Mapping[str, bytes]
    findings: StageFindings = NO_FINDINGS
    reused: bool = False


class WorkerStage(ABC, Generic[StageOrder]):
    """One stage over loaded models. `worker/runner/registry.py` lists all of them.

    The runner stores the result under the digest of the order. Equal orders of different jobs share one result, so
    `run` must read nothing except the order and the results and photos that the order names.
    """

    stage: ClassVar[Stage]

    def __init__(self, models: Models) -> None:
        self.models = models

    @abstractmethod
    def order(self, job: Job) -> StageOrder:
        """The job's order for this stage. The stages before have finished: `job.outputs` has their digests."""

    @abstractmethod
    def run(self, order: StageOrder, inputs: Results, on_step: OnStep) -> StageResult:
        """The result of an order. inputs: results of earlier stages. Raises what the stage and `on_step` raise."""

    def missing_parts(self, order: StageOrder, inputs: Results) -> tuple[str, ...]:  # noqa: ARG002 - most stages have no parts
        """Names of parts that several results share and that are not stored yet. Raises BlobsUnavailable."""
        return ()

    def picture_key(self, order: StageOrder, inputs: Results) -> str | None:  # noqa: ARG002 - most stages have no picture
        """Key of the final picture, None before there is one."""
        return None
