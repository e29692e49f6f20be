"""What a user would try instead: InstantID for all at once, and InstantID for each, cut out and pasted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shared.limits import MINI_LIMITS
from shared.orders import Drawing, Region
from worker.blend.loop import Composition, denoise
from worker.models.bundle import Generation
from worker.models.instantid import Face
from worker.models.keypoints import draw_keypoints
from worker.stages.detect import DetectedRegions
from worker.stages.render import background_of, start_of

Picture = NDArray[np.uint8]


def draw_together(
    generation: Generation, drawing: Drawing, identities: Sequence[NDArray[np.float32]], regions: Sequence[Region]
) -> Picture:
    """InstantID once: one branch with everybody's tokens in one sequence and all landmarks in one drawing, no masks.

    identities[i]: (photos, 512), raw. With one person this is InstantID as published.
    """
    instantid = generation.generator.instantid
    landmarks = draw_keypoints(
        [region.keypoints_px for region in regions],
        width_px=drawing.width_px,
        height_px=drawing.height_px,
        style=generation.keypoint_style,
    )
    face = Face(
        tokens=instantid.face_tokens(np.concatenate(identities)),
        hint=instantid.hint(landmarks),
        identity_scale=MINI_LIMITS.identity_scale,
        adapter_scale=MINI_LIMITS.adapter_scale,
    )
    branch = replace(background_of(generation, drawing), face=face)
    solver, noisy = start_of(generation, drawing)
    return generation.generator.sdxl.decode(denoise(noisy, solver, Composition(background=branch)).latents)


def paste_each(
    generation: Generation,
    drawing: Drawing,
    identities: Sequence[NDArray[np.float32]],
    where: DetectedRegions,
    template: Picture,
) -> Picture:
    """InstantID once a person, and what lies in each one's mask pasted over the template."""
    pasted = template.copy()
    for region, identity in zip(where.regions, identities, strict=True):
        alone = draw_together(generation, drawing, [identity], [region])
        inside = where.masks == region.concept + 1
        pasted[inside] = alone[inside]
    return pasted
