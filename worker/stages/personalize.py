"""Personalize: denoise again from the template's noise, with each concept in its region (Algorithm 1, stage 2)."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from shared.orders import PersonalizeOrder, Region
from worker.blend.loop import Composition, Layer, Plan, Solver, denoise
from worker.blend.masks import in_pixels, shrink, to_latents
from worker.blend.windows import Window, windows_around
from worker.models.bundle import Generation
from worker.models.denoiser import Branch
from worker.models.instantid import Face
from worker.models.keypoints import draw_keypoints
from worker.models.sdxl import Sdxl
from worker.stages.detect import areas_of
from worker.stages.render import background_of, start_of

Show = Callable[[bytes], None]
OnStep = Callable[[int, int], Show | None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Cast:
    """Results of the earlier stages. identities[i]: (photos, 512), raw; predictions: those that led to the template."""

    identities: Sequence[NDArray[np.float32]]
    regions: Sequence[Region]
    predictions: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedRun:
    """The arguments of `denoise`: noise at the first level, a fresh solver, composition and plan.

    inside_px: the union of the masks (H, W), with soft inner edges: the pixels that show people, not background.
    """

    x: Tensor
    solver: Solver
    composition: Composition[Branch]
    plan: Plan
    inside_px: Tensor


def personalize(generation: Generation, order: PersonalizeOrder, cast: Cast, on_step: OnStep) -> NDArray[np.uint8]:
    """The final picture, (H, W, 3) RGB. Raises OutOfMemory, and whatever on_step raises."""
    generation.loras.apply(order.drawing.loras)
    ready = prepare(generation, order, cast)
    sdxl = generation.generator.sdxl
    # Frees memory for decoding, and for the next job when this one is canceled.
    with ready.composition.background.denoiser:
        denoised = denoise(
            ready.x, ready.solver, ready.composition, ready.plan, lambda i, n: _preview(sdxl, on_step(i, n))
        )
    picture = sdxl.decode(denoised.latents)
    if denoised.background is None:
        return picture
    return _inside(ready.inside_px, picture, sdxl.decode(denoised.background))


def prepare(generation: Generation, order: PersonalizeOrder, cast: Cast) -> PreparedRun:
    """The order and the cast as arguments of the loop."""
    sdxl = generation.generator.sdxl
    drawing = order.drawing
    background = background_of(generation, drawing)
    solver, noisy = start_of(generation, drawing)
    _, _, height, width = noisy.shape
    masks_px = in_pixels(
        areas_of(cast.regions),
        order.mask,
        size_px=(drawing.width_px, drawing.height_px),
        feather_px=order.feather_px,
    )
    masks = to_latents(masks_px, width=width, height=height, hard=order.feather_px <= 0)
    windows = windows_around(masks, margin=order.crop_margin, multiple=background.denoiser.multiple)
    people = zip(masks, windows, cast.regions, cast.identities, strict=True)
    layers = tuple(
        Layer(mask=mask.to(sdxl.device), predictor=_branch(generation, order, background, _Person(window, region, own)))
        for mask, window, region, own in people
    )
    return PreparedRun(
        x=noisy,
        solver=solver,
        composition=Composition(background=background, layers=layers, batch_predictor=background.denoiser.predict),
        plan=Plan(
            mode=order.mode, split=order.split, background_replay=order.background_replay, prefix=cast.predictions
        ),
        # Over the width of one latent: the distance over which neighbours influence each other.
        inside_px=shrink(torch.stack(masks_px).sum(0), sdxl.latent_px),
    )


def _inside(masks_px: Tensor, picture: NDArray[np.uint8], background: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture where the masks (H, W) are one and the background where they are zero, both (H, W, 3).

    The pixels of neighbouring latents overlap: the decoder would spread the people some pixels over the edges of their
    masks, into a background whose latents do not contain them.
    """
    share = masks_px.numpy()[..., None].astype(np.float64)
    mixed = share * picture + (1 - share) * background
    return np.rint(mixed).astype(np.uint8)


def _preview(sdxl: Sdxl, show: Show | None) -> Callable[[Tensor], None] | None:
    """A function that shows clean latents as a small picture, None when no client wants one."""
    return None if show is None else lambda latents: show(jpeg(sdxl.preview(latents)))


def jpeg(picture: NDArray[np.uint8]) -> bytes:
    """A picture (H, W, 3) RGB as JPEG."""
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=80)
    return out.getvalue()


@dataclass(frozen=True, eq=False)
class _Person:
    """One concept. window: the part of the picture that its branch predicts."""

    window: Window
    region: Region
    identity: NDArray[np.float32]


def _branch(generation: Generation, order: PersonalizeOrder, background: Branch, person: _Person) -> Branch:
    """One concept's branch: its own text and face, and keypoints at the template's face."""
    drawing, text = order.drawing, order.branches[person.region.concept]
    sdxl, instantid = generation.generator.sdxl, generation.generator.instantid
    same_text = (text.prompt, text.negative_prompt) == (drawing.prompt, drawing.negative_prompt)
    keypoints = draw_keypoints(
        [person.region.keypoints_px],
        width_px=drawing.width_px,
        height_px=drawing.height_px,
        style=generation.keypoint_style,
    )
    face = Face(
        tokens=instantid.face_tokens(person.identity),
        hint=instantid.hint(keypoints, person.window.times(sdxl.latent_px)),
        identity_scale=order.identity_scale,
        adapter_scale=order.adapter_scale,
    )
    return Branch(
        denoiser=background.denoiser,
        text=background.text if same_text else sdxl.encode(text.prompt, text.negative_prompt),
        guidance_scale=background.guidance_scale,
        unguided_from_t=background.unguided_from_t,
        face=face,
        window=person.window,
    )
