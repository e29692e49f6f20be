"""Detect: each concept's region in the template, and its mask."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import TypeAdapter

from shared.job import Job
from shared.orders import DetectConcept, DetectOrder, Region
from shared.stages import Stage
from shared.verification import ConceptRegion, StageFindings, rounded
from worker.output.png import png
from worker.runner.assignment import OnStep
from worker.runner.render import read_template
from worker.runner.results import Results
from worker.runner.stage import StageResult, WorkerStage
from worker.stages.detect import detect

MASKS = "masks.png"
_REGIONS = "regions.json"
_REGION_LIST = TypeAdapter(list[Region])
_SCORE_DIGITS = 4


class DetectStage(WorkerStage[DetectOrder]):
    """Everyone's place in the template."""

    stage = Stage.DETECT

    def order(self, job: Job) -> DetectOrder:
        """The concepts, and the template in which to find them."""
        return DetectOrder(
            bundle=self.models.bundle.name,
            engine=self.models.detection.engine,
            template=job.outputs[Stage.RENDER],
            concepts=tuple(DetectConcept(phrase=one.phrase, box_px=one.box_px) for one in job.spec.concepts),
            mask=job.spec.sampling.mask,
        )

    def run(self, order: DetectOrder, inputs: Results, on_step: OnStep) -> StageResult:
        """Three steps: phrases, faces, masks. Raises PhraseNotFound, SamePerson and NoTemplateFace."""
        template = read_template(inputs, order.template)
        found = detect(self.models.detection, template, order.concepts, order.mask, on_step)
        shown = tuple(
            ConceptRegion(box_px=rounded(region.box_px), score=round(region.score, _SCORE_DIGITS))
            for region in found.regions
        )
        return StageResult(
            files={MASKS: png(found.masks), _REGIONS: encode_regions(found.regions)},
            findings=StageFindings(regions=shown),
        )


def encode_regions(regions: Sequence[Region]) -> bytes:
    """The regions as a file."""
    return _REGION_LIST.dump_json(list(regions))


def read_regions(results: Results, digest: str) -> list[Region]:
    """Each concept's region in a template."""
    return _REGION_LIST.validate_json(results.read(Stage.DETECT, digest, _REGIONS))
