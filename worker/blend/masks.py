"""Masks of the concepts: drawn from boxes, made exclusive, feathered, and scaled to the size of the latents.

The masks of a composition and the background are a partition of unity: masks are >= 0, their sum is at most 1 at every
pixel, and the background is 1 - sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, kw_only=True)
class Area:
    """The area of one concept. box_px: x1, y1, x2, y2 in pixels of the picture; score: the detector's, 0 to 1."""

    box_px: tuple[float, float, float, float]
    score: float

    @property
    def centre_px(self) -> tuple[float, float]:
        """Centre of the box, (x, y) in pixels."""
        x1, y1, x2, y2 = self.box_px
        return (x1 + x2) / 2, (y1 + y2) / 2


def _in_box(area: Area, x: Tensor, y: Tensor) -> Tensor:
    x1, y1, x2, y2 = area.box_px
    return (x >= x1) & (x < x2) & (y >= y1) & (y < y2)


def _in_ellipse(area: Area, x: Tensor, y: Tensor) -> Tensor:
    """The ellipse inscribed in the box."""
    x1, y1, x2, y2 = area.box_px
    centre_x, centre_y = area.centre_px
    return ((x - centre_x) / ((x2 - x1) / 2)) ** 2 + ((y - centre_y) / ((y2 - y1) / 2)) ** 2 <= 1


# For every kind of mask a function that tells whether points (x, y), in pixels, belong to it: (width,) and (height, 1).
MASK_KINDS: Mapping[str, Callable[[Area, Tensor, Tensor], Tensor]] = {"box": _in_box, "ellipse": _in_ellipse}


def draw_mask(area: Area, kind: str, *, width_px: int, height_px: int) -> Tensor:
    """One hard mask, (height, width) float of zeros and ones; a pixel belongs to it if its centre does.

    kind: one of MASK_KINDS. Raises ValueError for a box without an area.
    """
    x1, y1, x2, y2 = area.box_px
    if not (x1 < x2 and y1 < y2):
        message = f"box {area.box_px} has no area: expected x1 < x2 and y1 < y2"
        raise ValueError(message)
    x = torch.arange(width_px, dtype=torch.float64) + 0.5
    y = (torch.arange(height_px, dtype=torch.float64) + 0.5)[:, None]
    return MASK_KINDS[kind](area, x, y).float()


def make_exclusive(masks: Sequence[Tensor], areas: Sequence[Area]) -> list[Tensor]:
    """Masks in which every pixel belongs to at most one concept.

    If several masks contain a pixel, it goes to the higher score; of equal scores, to the nearer centre; of equal
    distances, to the area further left or up. The order of the concepts therefore matters only for two equal areas: the
    first one gets every pixel. Raises ValueError if the numbers of masks and areas differ.
    """
    if len(masks) != len(areas):
        message = f"{len(masks)} masks for {len(areas)} areas"
        raise ValueError(message)
    if not masks:
        return []
    height_px, width_px = masks[0].shape
    x = torch.arange(width_px, dtype=torch.float64) + 0.5
    y = (torch.arange(height_px, dtype=torch.float64) + 0.5)[:, None]
    distances = [torch.hypot(x - area.centre_px[0], y - area.centre_px[1]) for area in areas]
    claims = [mask > 0 for mask in masks]
    exclusive = []
    for i, mask in enumerate(masks):
        owned = claims[i].clone()
        for j in range(len(masks)):
            if j != i:
                claimed_first = _goes_first(areas[j], areas[i], distances[j], distances[i], listed_first=j < i)
                owned &= ~(claims[j] & claimed_first)
        exclusive.append(mask * owned)
    return exclusive


def _goes_first(
    other: Area, this: Area, other_distance: Tensor, this_distance: Tensor, *, listed_first: bool
) -> Tensor:
    """The pixels that `other` gets if both contain them, (height, width) bool."""
    if other.score != this.score:
        return torch.full_like(this_distance, other.score > this.score, dtype=torch.bool)
    other_key, this_key = ((*area.centre_px, *area.box_px) for area in (other, this))
    breaks_tie = other_key < this_key or (other_key == this_key and listed_first)
    return (other_distance < this_distance) | ((other_distance == this_distance) & breaks_tie)


def feather(masks: Sequence[Tensor], width_px: float) -> list[Tensor]:
    """Masks (height, width) with soft edges about `width_px` wide: a Gaussian blur with sigma = width / 4.

    A blur is linear and keeps constants, so the sum of the masks stays at most 1.
    """
    if width_px <= 0:
        return list(masks)
    sigma = width_px / 4
    return [_blur(mask, sigma) for mask in masks]


def _blur(mask: Tensor, sigma: float) -> Tensor:
    radius = max(1, math.ceil(3 * sigma))
    offsets = torch.arange(-radius, radius + 1, dtype=mask.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    rows = functional.pad(mask[None, None], (radius, radius, 0, 0), mode="replicate")
    rows = functional.conv2d(rows, kernel.view(1, 1, 1, -1))
    columns = functional.pad(rows, (0, 0, radius, radius), mode="replicate")
    return functional.conv2d(columns, kernel.view(1, 1, -1, 1))[0, 0].clamp(0, 1)


def shrink(mask: Tensor, rim_px: int) -> Tensor:
    """A mask (height, width) with a soft inner edge: zero outside, rising to its own value over `rim_px` inwards.

    The border of the picture does not count as an edge of the mask.
    """
    half = rim_px // 2
    padded = functional.pad(mask[None, None], (half,) * 4, mode="replicate")
    eroded = -functional.max_pool2d(-padded, 2 * half + 1, stride=1)
    # The blur is as wide as the erosion, so it ends at the edge of the mask.
    return torch.minimum(mask, _blur(eroded[0, 0], half / 3))


def to_latents(masks: Sequence[Tensor], *, width: int, height: int, hard: bool) -> list[Tensor]:
    """Masks (H, W) scaled to the size of the latents, each (1, 1, height, width).

    The value of a latent is the mean of the pixels that it covers. With `hard`, each latent then belongs to the mask or
    background with the largest value; of equal values, to the first concept, and to the background last.
    """
    if not masks:
        return []
    # In float64 the means add up to 1, and equal values stay equal.
    stack = functional.interpolate(torch.stack(list(masks))[None].double(), size=(height, width), mode="area")[0]
    if hard:
        background = 1 - stack.sum(0, keepdim=True)
        owner = torch.cat([stack, background]).round(decimals=6).argmax(0)
        stack = torch.stack([(owner == i).double() for i in range(len(masks))])
    return [mask[None, None].float() for mask in stack]


def in_pixels(areas: Sequence[Area], kind: str, *, size_px: tuple[int, int], feather_px: float = 0.0) -> list[Tensor]:
    """The exclusive, feathered masks of a composition at the size of the picture, each (H, W).

    size_px: (width, height). Without feathering the masks hold zeros and ones only.
    """
    width_px, height_px = size_px
    drawn = [draw_mask(area, kind, width_px=width_px, height_px=height_px) for area in areas]
    return feather(make_exclusive(drawn, areas), feather_px)
