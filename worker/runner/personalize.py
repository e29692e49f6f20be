"""Personalize: the final picture, with everyone in it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shared.job import Job, JobSpec
from shared.orders import AS_DRAWN, BranchText, PersonalizeOrder, Postprocessing
from shared.stages import Stage
from worker.output.metadata import metadata_of
from worker.output.png import pixels
from worker.runner.assignment import OnStep
from worker.runner.detect import read_regions
from worker.runner.identify import read_identities
from worker.runner.orders import drawing_of, filled, spec_of_try
from worker.runner.render import read_predictions
from worker.runner.results import Results
from worker.runner.stage import StageResult, WorkerStage
from worker.stages.personalize import Cast, personalize

PICTURE = "picture.png"


class PersonalizeStage(WorkerStage[PersonalizeOrder]):
    """The template's scene, drawn again with each concept's face in its region."""

    stage = Stage.PERSONALIZE

    def order(self, job: Job) -> PersonalizeOrder:
        """The drawing, with the seed of the current try, and the results that it needs."""
        spec = spec_of_try(job)
        generation = self.models.generation
        metadata = metadata_of(spec, generation.name) if spec.embed_settings else ""
        return personalize_order_of(
            spec,
            bundle=generation.name,
            identities=job.outputs[Stage.IDENTIFY],
            template=job.outputs[Stage.RENDER],
            regions=job.outputs[Stage.DETECT],
            postprocessing=self.models.postprocessor.plan(metadata),
            loras=generation.loras.files,
        )

    def run(self, order: PersonalizeOrder, inputs: Results, on_step: OnStep) -> StageResult:
        """One step a denoising step. Raises UnsafeContent and OutOfMemory."""
        postprocessor = self.models.postprocessor
        cast = Cast(
            identities=read_identities(inputs, order.identities),
            regions=read_regions(inputs, order.regions),
            predictions=read_predictions(inputs, order.template),
        )
        picture = personalize(self.models.generation, order, cast, postprocessor.without_previews(on_step))
        return StageResult(files={PICTURE: postprocessor.encode(picture, order.postprocessing)})

    def picture_key(self, order: PersonalizeOrder, inputs: Results) -> str:
        """Key of the picture that this stage draws."""
        return inputs.key(self.stage, order.digest(), PICTURE)


def personalize_order_of(
    spec: JobSpec,
    *,
    bundle: str,
    identities: str,
    template: str,
    regions: str,
    loras: Mapping[str, str] | None = None,
    postprocessing: Postprocessing = AS_DRAWN,
) -> PersonalizeOrder:
    """The order of a job whose earlier stages have these digests. Raises what `drawing_of` raises."""
    sampling = spec.sampling
    return PersonalizeOrder(
        bundle=bundle,
        identities=identities,
        template=template,
        regions=regions,
        drawing=drawing_of(spec, loras),
        branches=tuple(
            BranchText(
                prompt=concept.prompt or spec.prompt,
                negative_prompt=spec.negative_prompt if concept.negative_prompt is None else concept.negative_prompt,
            )
            for concept in spec.concepts
        ),
        mask=sampling.mask,
        mode=sampling.mode,
        split=sampling.split,
        background_replay=filled(sampling.keep),
        crop_margin=filled(sampling.crop_margin),
        feather_px=sampling.feather_px,
        identity_scale=filled(sampling.identity_scale),
        adapter_scale=filled(sampling.adapter_scale),
        postprocessing=postprocessing,
    )


def read_picture(results: Results, digest: str) -> NDArray[np.uint8]:
    """A final picture (H, W, 3) RGB."""
    return pixels(results.read(Stage.PERSONALIZE, digest, PICTURE))
