"""How much faces are whose: cosines of recognition embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def likeness(face: NDArray[np.float32], identities: Sequence[NDArray[np.float32]]) -> list[float]:
    """For each identity the cosine of the face (512,) and the most similar of its photos (photos, 512); all raw.

    An identity is as a person's best photo has it: one from another side must not make them a stranger.
    """
    own = _unit(face)
    return [float((_unit(photos) @ own).max()) for photos in identities]


def _unit(raw: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = raw.astype(np.float64)
    return np.asarray(wide / np.maximum(np.linalg.norm(wide, axis=-1, keepdims=True), 1e-12))
