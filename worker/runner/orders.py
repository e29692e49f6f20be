"""What a job asks for, as the drawing that the stages make of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from shared.errors import InvalidField
from shared.job import Job, JobSpec
from shared.orders import AS_DRAWN, AppliedLora, BranchText, Drawing, PersonalizeOrder, Postprocessing
from shared.verification import seed_of_try

T = TypeVar("T")


def spec_of_try(job: Job) -> JobSpec:
    """What was asked for, with the seed of the try that is due. Raises ValueError as `drawing_of`."""
    sampling = job.spec.sampling
    seed = seed_of_try(_filled(sampling.seed), len(job.tries))
    return job.spec.model_copy(update={"sampling": sampling.model_copy(update={"seed": seed})})


def drawing_of(spec: JobSpec, loras: Mapping[str, str] | None = None) -> Drawing:
    """How the scene is drawn: the sampling that was filled in at submit. loras: sha256 of those that are loaded.

    Raises ValueError where values are empty, and InvalidField for a LoRA that is not loaded here.
    """
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
        loras=tuple(
            AppliedLora(name=one.name, sha256=_loaded(one.name, loras or {}), scale=_filled(one.scale))
            for one in sampling.loras
        ),
    )


def personalize_order_of(
    spec: JobSpec,
    *,
    bundle: str,
    identities: str,
    template: str,
    regions: str,
    loras: Mapping[str, str] | None = None,
    finish: Postprocessing = AS_DRAWN,
) -> PersonalizeOrder:
    """The drawing of a job whose earlier stages left these digests, as an order. Raises ValueError as `drawing_of`."""
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
        mode=sampling.mode,
        split=sampling.split,
        keep=_filled(sampling.keep),
        crop_margin=_filled(sampling.crop_margin),
        feather_px=sampling.feather_px,
        identity_scale=_filled(sampling.identity_scale),
        adapter_scale=_filled(sampling.adapter_scale),
        finish=finish,
    )


def _loaded(name: str, loras: Mapping[str, str]) -> str:
    if name not in loras:
        raise InvalidField(f"this worker has no LoRA {name!r}: its list is another than the API's")
    return loras[name]


def _filled(value: T | None) -> T:
    if value is None:
        message = "the job's sampling has empty values: submit fills them in"
        raise ValueError(message)
    return value
