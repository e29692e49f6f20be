"""What a job asks for, as the drawing that the stages make of it."""

from __future__ import annotations

from typing import TypeVar

from shared.job import Job, JobSpec
from shared.orders import AS_DRAWN, BranchText, Drawing, Finish, PersonalizeOrder
from shared.verification import seed_of_try

T = TypeVar("T")


def spec_of_try(job: Job) -> JobSpec:
    """What was asked for, with the seed of the try that is due. Raises ValueError as `drawing_of`."""
    sampling = job.spec.sampling
    seed = seed_of_try(_filled(sampling.seed), len(job.tries))
    return job.spec.model_copy(update={"sampling": sampling.model_copy(update={"seed": seed})})


def drawing_of(spec: JobSpec) -> Drawing:
    """How the scene is drawn: the sampling that was filled in at submit. Raises ValueError where it was not."""
    sampling = spec.sampling
    return Drawing(
        prompt=spec.prompt,
        negative_prompt=spec.negative_prompt,
        width_px=_filled(sampling.width_px),
        height_px=_filled(sampling.height_px),
        steps=_filled(sampling.steps),
        seed=_filled(sampling.seed),
        guidance_scale=_filled(sampling.guidance_scale),
        guidance_stop=_filled(sampling.guidance_stop),
        scheduler=sampling.scheduler,
    )


def personalize_order_of(
    spec: JobSpec, *, bundle: str, identities: str, template: str, regions: str, finish: Finish = AS_DRAWN
) -> PersonalizeOrder:
    """The drawing of a job whose earlier stages left these digests, as an order. Raises ValueError as `drawing_of`."""
    sampling = spec.sampling
    return PersonalizeOrder(
        bundle=bundle,
        identities=identities,
        template=template,
        regions=regions,
        drawing=drawing_of(spec),
        branches=tuple(
            BranchText(
                prompt=concept.prompt or spec.prompt,
                negative_prompt=spec.negative_prompt if concept.negative_prompt is None else concept.negative_prompt,
            )
            for concept in spec.concepts
        ),
        mode=sampling.mode,
        split=sampling.split,
        keep=_filled(sampling.keep),
        crop_margin=_filled(sampling.crop_margin),
        feather_px=sampling.feather_px,
        identity_scale=_filled(sampling.identity_scale),
        adapter_scale=_filled(sampling.adapter_scale),
        finish=finish,
    )


def _filled(value: T | None) -> T:
    if value is None:
        message = "the job's sampling has empty values: submit fills them in"
        raise ValueError(message)
    return value
