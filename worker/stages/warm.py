"""Warm-up: runs every network of a role once, at the bundle's own size, before the first job."""

from __future__ import annotations

import numpy as np
from PIL import Image

from shared.limits import BundleLimits
from shared.orders import Drawing
from worker.models.bundle import Detection, Generation
from worker.models.denoiser import Branch
from worker.models.instantid import EMBEDDING_SIZE, Face
from worker.models.keypoints import draw_keypoints
from worker.stages.render import background_of, start_of

_PHRASE = "a person"


def warm_up_generation(generation: Generation, limits: BundleLimits) -> None:
    """One step of the scene, one of a person, and one decoding. Raises OutOfMemory or torch.OutOfMemoryError."""
    size = {"width_px": limits.width_px, "height_px": limits.height_px}
    drawing = Drawing(
        prompt=_PHRASE,
        negative_prompt="",
        **size,
        steps=1,
        seed=0,
        guidance_scale=limits.guidance_scale,
        scheduler="euler",
    )
    instantid, sdxl = generation.generator.instantid, generation.generator.sdxl
    scene = background_of(generation, drawing)
    solver, x = start_of(generation, drawing)
    embedding = np.zeros((1, EMBEDDING_SIZE), np.float32)
    person = Branch(
        denoiser=scene.denoiser,
        text=scene.text,
        guidance_scale=scene.guidance_scale,
        face=Face(
            tokens=instantid.face_tokens(embedding),
            hint=instantid.hint(draw_keypoints([], **size, style=generation.keypoint_style)),
            identity_scale=limits.identity_scale,
            adapter_scale=limits.adapter_scale,
        ),
    )
    seen = solver.scale(x, 0)
    with scene.denoiser:
        for branch in (scene, person):
            x = branch(seen, solver.timesteps[0])
    sdxl.decode(x.to(seen.dtype))


def warm_up_detection(detection: Detection, limits: BundleLimits) -> None:
    """Detects a phrase and faces in an empty picture."""
    empty = np.full((limits.height_px, limits.width_px, 3), 128, np.uint8)
    detection.faces.find(empty)
    detection.phrases.detect(Image.fromarray(empty), [_PHRASE])
