"""Similarity of faces: cosines of recognition embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def likeness(face: NDArray[np.float32], identities: Sequence[NDArray[np.float32]]) -> list[float]:
    """The similarity of a face to each identity: the cosine to the most similar of its photos.

    face: (512,); identities: (photos, 512) each; none is normalized. The maximum is used instead of the mean, because a
    photo from another angle must not lower the similarity.
    """
    own = _unit(face)
    return [float((_unit(photos) @ own).max()) for photos in identities]


def _unit(raw: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = raw.astype(np.float64)
    return np.asarray(wide / np.maximum(np.linalg.norm(wide, axis=-1, keepdims=True), 1e-12))
