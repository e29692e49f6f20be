"""What pictures suffer on their way through a small generator, so that the face models have seen it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def degrade(picture: NDArray[np.uint8], rng: np.random.Generator, *, softest_px: int = 40) -> NDArray[np.uint8]:
    """A worse copy of a picture (H, W, 3) uint8: each harm is drawn by chance, and a tenth of the pictures stay whole.

    softest_px: the fewest pixels that the longer side may be squeezed to before it is enlarged again.
    """
    if rng.random() < 0.1:
        return picture
    height, width = picture.shape[:2]
    worse = picture
    if rng.random() < 0.6:
        share = max(float(rng.uniform(0.25, 1.0)), softest_px / max(height, width))
        if share < 1:
            small = cv2.resize(
                worse, (max(8, round(width * share)), max(8, round(height * share))), interpolation=cv2.INTER_AREA
            )
            back = cv2.INTER_LINEAR if rng.random() < 0.7 else cv2.INTER_CUBIC
            worse = cv2.resize(small, (width, height), interpolation=back).astype(np.uint8)
    if rng.random() < 0.3:
        worse = cv2.GaussianBlur(worse, (0, 0), float(rng.uniform(0.4, max(height, width) / 80))).astype(np.uint8)
    if rng.random() < 0.35:
        worse = _warp(worse, rng)
    light = worse.astype(np.float32)
    if rng.random() < 0.8:
        mean = light.mean()
        gain = rng.uniform(0.65, 1.3) * rng.uniform(0.9, 1.1, 3)
        light = (light - mean) * gain.astype(np.float32) + mean + rng.uniform(-24, 24, 3).astype(np.float32)
    if rng.random() < 0.4:
        # Grain of a few pixels, as latents leave it, more than of single ones.
        step = int(rng.integers(1, 5))
        grain = rng.normal(0, rng.uniform(3, 14), (-(-height // step), -(-width // step), 3)).astype(np.float32)
        light += cv2.resize(grain, (width, height), interpolation=cv2.INTER_LINEAR)
    worse = np.clip(light, 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        _, packed = cv2.imencode(".jpg", worse, (cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))))
        worse = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)
    return worse


def cut_out(picture: NDArray[np.uint8], rng: np.random.Generator, *, share: float) -> NDArray[np.uint8]:
    """The picture with one flat patch of up to `share` of each side, in a colour taken from the picture itself."""
    height, width = picture.shape[:2]
    patch_h, patch_w = int(height * rng.uniform(0.05, share)) + 1, int(width * rng.uniform(0.05, share)) + 1
    y, x = int(rng.integers(0, height - patch_h)), int(rng.integers(0, width - patch_w))
    covered = picture.copy()
    covered[y : y + patch_h, x : x + patch_w] = picture[int(rng.integers(height)), int(rng.integers(width))]
    return covered


def _warp(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Move pixels by a smooth random field of about one fiftieth of the picture: outlines that are not quite right."""
    height, width = picture.shape[:2]
    cells = int(rng.integers(4, 9))
    reach = rng.uniform(0.3, 1.0) * max(height, width) / 90
    field = cv2.resize(
        rng.normal(0, reach, (cells, cells, 2)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moved = cv2.remap(picture, x + field[..., 0], y + field[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, dtype=np.uint8)
