"""Reference faces for the identity training: another drawing of each figure, embedded by the mini recogniser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from worker.mini.train.faces_recogniser import TEMPLATE_PX, alignment
from worker.mini.train.generator_shapes import FACE_WIDTH
from worker.mini.world import draw_identity, draw_portrait

_CROP_PX = 112
_PORTRAIT_PX = 160
_BATCH = 32
# As far off as the detector's own landmarks, in pixels of the portrait.
_LANDMARK_ERROR_PX = 0.8


@dataclass(frozen=True, kw_only=True, eq=False)
class References:
    """embeddings: (F, 512) raw, of portraits; first: (N,) the row of a scene's leftmost figure; the others follow."""

    embeddings: NDArray[np.float32]
    first: NDArray[np.int64]


def reference_faces(labels: list[dict[str, Any]], recogniser: Path, cache: Path) -> References:
    """One reference of every figure of these scenes. Drawn once, in a pose and dress unlike the scene's, and cached."""
    counts = np.array([len(label["figures"]) for label in labels], np.int64)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    if not cache.exists():
        identities = [figure["identity"] for label in labels for figure in label["figures"]]
        session = onnxruntime.InferenceSession(
            recogniser, providers=["CPUExecutionProvider"], sess_options=_one_thread()
        )
        name = session.get_inputs()[0].name
        embeddings = np.empty((len(identities), FACE_WIDTH), np.float32)
        for start in range(0, len(identities), _BATCH):
            crops = np.stack([_crop(seed, start + i) for i, seed in enumerate(identities[start : start + _BATCH])])
            embeddings[start : start + len(crops)] = session.run(None, {name: crops})[0]
        np.save(cache, embeddings)
    return References(embeddings=np.load(cache), first=first)


def _crop(identity_seed: int, number: int) -> NDArray[np.float32]:
    """The aligned face of a new portrait as the recogniser reads it: (3, 112, 112) RGB in -1..1."""
    portrait = draw_portrait(draw_identity(identity_seed), 1000 + number, size_px=_PORTRAIT_PX)
    error = np.random.default_rng([identity_seed, 31]).normal(0, _LANDMARK_ERROR_PX, (5, 2))
    matrix = alignment(portrait.keypoints_px + error, TEMPLATE_PX)
    crop = cv2.warpAffine(portrait.picture, matrix, (_CROP_PX, _CROP_PX))
    return np.asarray((crop.astype(np.float32) - 127.5) / 127.5).transpose(2, 0, 1)


def _one_thread() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return options
