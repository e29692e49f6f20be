"""What a job asks for, as the drawing of an order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from shared.errors import InvalidField
from shared.job import Job, JobSpec
from shared.orders import AppliedLora, Drawing
from shared.verification import seed_of_try

T = TypeVar("T")


def spec_of_try(job: Job) -> JobSpec:
    """The job's request with the seed of its current try. Raises ValueError as `drawing_of`."""
    sampling = job.spec.sampling
    seed = seed_of_try(filled(sampling.seed), len(job.tries))
    return job.spec.model_copy(update={"sampling": sampling.model_copy(update={"seed": seed})})


def drawing_of(spec: JobSpec, loras: Mapping[str, str] | None = None) -> Drawing:
    """How to draw the scene, from the sampling that submit filled in. loras: sha256 of the loaded ones, by name.

    Raises ValueError when a value is empty, and InvalidField for a LoRA that is not loaded here.
    """
    sampling = spec.sampling
    return Drawing(
        prompt=spec.prompt,
        negative_prompt=spec.negative_prompt,
        width_px=filled(sampling.width_px),
        height_px=filled(sampling.height_px),
        steps=filled(sampling.steps),
        seed=filled(sampling.seed),
        guidance_scale=filled(sampling.guidance_scale),
        guidance_stop=filled(sampling.guidance_stop),
        scheduler=sampling.scheduler,
        loras=tuple(
            AppliedLora(name=one.name, sha256=_loaded(one.name, loras or {}), scale=filled(one.scale))
            for one in sampling.loras
        ),
    )


def filled(value: T | None) -> T:
    """A value of the sampling. Raises ValueError when it is empty."""
    if value is None:
        message = "the job's sampling has empty values: submit fills them in"
        raise ValueError(message)
    return value


def _loaded(name: str, loras: Mapping[str, str]) -> str:
    if name not in loras:
        raise InvalidField(f"this worker has not loaded LoRA {name!r}: its list of LoRAs differs from the API's")
    return loras[name]
