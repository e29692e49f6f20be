"""Identify: the faces of the reference photos, as the embeddings that the generator reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import NoFace
from worker.models.bundle import Detection

OnStep = Callable[[int, int], object]


@dataclass(frozen=True, kw_only=True, eq=False)
class Identities:
    """One identity a concept. embeddings[i]: (photos, 512), raw; warnings: what the person who asked should know."""

    embeddings: tuple[NDArray[np.float32], ...]
    warnings: tuple[str, ...]


def identify(detection: Detection, photos: Sequence[Sequence[NDArray[np.uint8]]], on_step: OnStep) -> Identities:
    """The identities of all concepts. photos[i]: concept i's pictures, each (H, W, 3) RGB.

    Of several faces in a photo the largest is taken, and said so. Raises NoFace.
    """
    total = sum(len(own) for own in photos)
    done = 0
    warnings = []
    identities = []
    for concept, own in enumerate(photos, start=1):
        rows = []
        for place, photo in enumerate(own, start=1):
            on_step(done, total)
            faces = detection.faces.find(photo)
            if not faces:
                message = f"no face was found in photo {place} of concept {concept}"
                raise NoFace(message)
            if len(faces) > 1:
                warnings.append(
                    f"photo {place} of concept {concept} shows {len(faces)} faces; the largest one was taken"
                )
            rows.append(detection.faces.embed(photo, faces[0]))
            done += 1
        identities.append(np.stack(rows))
    on_step(total, total)
    return Identities(embeddings=tuple(identities), warnings=tuple(warnings))
