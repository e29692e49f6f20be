"""Preservation metrics: the background outside the masks, and the seams along their edges."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.metrics import structural_similarity

# Of equal pictures; the logarithm has no number for them.
SAME_DB = 100.0
Picture = NDArray[np.uint8]


def psnr_db(picture: Picture, template: Picture, where: NDArray[np.bool_]) -> float:
    """Peak signal to noise ratio over the pixels of `where` (H, W), at most SAME_DB. NaN where there is no pixel."""
    if not where.any():
        return float("nan")
    error = float(((picture[where].astype(np.float64) - template[where]) ** 2).mean())
    return min(SAME_DB, 10 * float(np.log10(255**2 / max(error, 1e-12))))


def ssim(picture: Picture, template: Picture, where: NDArray[np.bool_]) -> float:
    """Mean structural similarity over the pixels of `where` (Wang et al. 2004, as scikit-image has it)."""
    if not where.any():
        return float("nan")
    compare: Any = structural_similarity
    _, similarity = compare(picture, template, channel_axis=2, full=True)
    return float(similarity[where].mean())


def seam_ratio(picture: Picture, template: Picture, masks: Picture) -> float:
    """Mean gradient on the masks' edges as a share of the template's there: 1 where no edge shows."""
    edges = edges_of(masks)
    if not edges.any():
        return float("nan")
    return float(_gradient(picture)[edges].mean() / max(_gradient(template)[edges].mean(), 1e-6))


def edges_of(masks: Picture) -> NDArray[np.bool_]:
    """The pixels (H, W) on either side of a border between two areas of a picture of numbered masks."""
    edges = np.zeros(masks.shape, bool)
    down, aside = masks[1:] != masks[:-1], masks[:, 1:] != masks[:, :-1]
    edges[1:] |= down
    edges[:-1] |= down
    edges[:, 1:] |= aside
    edges[:, :-1] |= aside
    return edges


def far_outside(masks: Picture, reach_px: int) -> NDArray[np.bool_]:
    """The pixels further than `reach_px` from every mask, up, down and aside."""
    widened: NDArray[np.bool_] = ndimage.maximum_filter(masks > 0, size=2 * reach_px + 1)
    return ~widened


def _gradient(picture: Picture) -> NDArray[np.float64]:
    grey = picture.astype(np.float64).mean(axis=2)
    return np.asarray(np.hypot(ndimage.sobel(grey, axis=0), ndimage.sobel(grey, axis=1)))
