"""Verify: how much each face in the final picture is its concept's."""

from __future__ import annotations

from shared.job import Job
from shared.orders import VerifyOrder
from shared.stages import Stage
from shared.verification import StageFindings
from worker.runner.assignment import OnStep
from worker.runner.detect import read_regions
from worker.runner.identify import read_identities
from worker.runner.personalize import PICTURE, read_picture
from worker.runner.results import Results
from worker.runner.stage import StageResult, WorkerStage
from worker.stages.verify import verify


class VerifyStage(WorkerStage[VerifyOrder]):
    """The identity of everyone in the final picture."""

    stage = Stage.VERIFY

    def order(self, job: Job) -> VerifyOrder:
        """The picture, and the identities and regions that it should show."""
        return VerifyOrder(
            bundle=self.models.bundle.name,
            identities=job.outputs[Stage.IDENTIFY],
            regions=job.outputs[Stage.DETECT],
            picture=job.outputs[Stage.PERSONALIZE],
        )

    def run(self, order: VerifyOrder, inputs: Results, on_step: OnStep) -> StageResult:
        """One step a concept."""
        found = verify(
            self.models.detection,
            read_picture(inputs, order.picture),
            read_regions(inputs, order.regions),
            read_identities(inputs, order.identities),
            on_step,
        )
        return StageResult(files={}, findings=StageFindings(verification=found))

    def picture_key(self, order: VerifyOrder, inputs: Results) -> str:
        """Key of the picture that was verified."""
        return inputs.key(Stage.PERSONALIZE, order.picture, PICTURE)
