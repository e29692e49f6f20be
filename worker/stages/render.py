"""Render: SDXL draws the template, the scene without anyone's identity."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from shared.orders import Drawing
from worker.blend.loop import Composition, denoise
from worker.models.bundle import Generation
from worker.models.denoiser import Branch, Denoiser
from worker.models.schedulers import ScheduledSolver, draw_noise, make_solver
from worker.models.sdxl import Sdxl

OnStep = Callable[[int, int], object]


@dataclass(frozen=True, kw_only=True, eq=False)
class Template:
    """The picture (H, W, 3) RGB, and the guided predictions (steps, c, h, w) that led to it.

    A later run with the same noise can replay the predictions instead of computing them.
    """

    picture: NDArray[np.uint8]
    predictions: Tensor


def render(generation: Generation, drawing: Drawing, on_step: OnStep) -> Template:
    """The template of a drawing. Raises OutOfMemory, and whatever on_step raises."""
    sdxl = generation.generator.sdxl
    generation.loras.apply(drawing.loras)
    background = background_of(generation, drawing)
    solver, noisy = start_of(generation, drawing)

    def without_previews(i: int, n: int) -> None:
        # Clients see the template only when it is complete.
        on_step(i, n)

    # Frees memory for decoding, and for the next job when this one is canceled.
    with background.denoiser:
        denoised = denoise(noisy, solver, Composition(background=background), on_step=without_previews)
    return Template(picture=sdxl.decode(denoised.latents), predictions=denoised.predictions)


def background_of(generation: Generation, drawing: Drawing) -> Branch:
    """The branch of plain SDXL, the same for the template and behind the people."""
    sdxl = generation.generator.sdxl
    denoiser = Denoiser(
        sdxl.unet,
        generation.generator.instantid.identitynet,
        width_px=drawing.width_px,
        height_px=drawing.height_px,
        latent_px=sdxl.latent_px,
        batched=generation.batched,
        cuda_graphs=generation.cuda_graphs,
    )
    timesteps = _solver_of(sdxl, drawing).timesteps
    guided = round(drawing.guidance_stop * len(timesteps))
    return Branch(
        denoiser=denoiser,
        text=sdxl.encode(drawing.prompt, drawing.negative_prompt),
        guidance_scale=drawing.guidance_scale,
        unguided_from_t=float(timesteps[guided]) if guided < len(timesteps) else -math.inf,
    )


def start_of(generation: Generation, drawing: Drawing) -> tuple[ScheduledSolver, Tensor]:
    """A fresh solver, and the job's noise at the first noise level: the same for the template and all branches."""
    sdxl = generation.generator.sdxl
    solver = _solver_of(sdxl, drawing)
    shape = sdxl.latent_shape(width_px=drawing.width_px, height_px=drawing.height_px)
    return solver, solver.noisy(draw_noise(shape, drawing.seed).to(sdxl.device))


def _solver_of(sdxl: Sdxl, drawing: Drawing) -> ScheduledSolver:
    return make_solver(sdxl.pipeline.scheduler.config, drawing.scheduler, steps=drawing.steps, seed=drawing.seed)
