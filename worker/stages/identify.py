"""Identify: the faces of the reference photos, as the embeddings that the generator reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import NoFace
from shared.verification import FaceBoxPx, PhotoFaces, rounded
from worker.models.bundle import Detection

OnStep = Callable[[int, int], object]


@dataclass(frozen=True, kw_only=True, eq=False)
class Identities:
    """One identity a concept.

    embeddings[i]: (photos, 512), raw; faces[i]: what these photos show; warnings: what who asked should know.
    """

    embeddings: tuple[NDArray[np.float32], ...]
    faces: tuple[tuple[PhotoFaces, ...], ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What a photo shows. faces: how many.

    box_px; embedding: (512,), raw: of the largest one, None where there is no face.
    """

    faces: int
    box_px: FaceBoxPx | None
    embedding: NDArray[np.float32] | None


def look_at(detection: Detection, photo: NDArray[np.uint8]) -> Seen:
    """What a photo (H, W, 3) RGB shows."""
    faces = detection.faces.find(photo)
    if not faces:
        return Seen(faces=0, box_px=None, embedding=None)
    return Seen(faces=len(faces), box_px=faces[0].box_px, embedding=detection.faces.embed(photo, faces[0]))


def identities_of(seen: Sequence[Sequence[Seen]]) -> Identities:
    """The identities of all concepts. seen[i]: what concept i's photos show.

    Of several faces in a photo the largest is taken, and said so. Raises NoFace, which says what the others show.
    """
    faces = tuple(
        tuple(PhotoFaces(found=photo.faces, box_px=photo.box_px and rounded(photo.box_px)) for photo in own)
        for own in seen
    )
    warnings = []
    identities = []
    for concept, own in enumerate(seen, start=1):
        rows = []
        for place, photo in enumerate(own, start=1):
            if photo.embedding is None:
                message = f"no face was found in photo {place} of concept {concept}"
                raise NoFace(message, faces=faces)
            if photo.faces > 1:
                warnings.append(
                    f"photo {place} of concept {concept} shows {photo.faces} faces; the largest one was taken"
                )
            rows.append(photo.embedding)
        identities.append(np.stack(rows))
    return Identities(embeddings=tuple(identities), faces=faces, warnings=tuple(warnings))


def identify(detection: Detection, photos: Sequence[Sequence[NDArray[np.uint8]]], on_step: OnStep) -> Identities:
    """The identities of all concepts from their pictures, each (H, W, 3) RGB. Raises NoFace."""
    total = sum(len(own) for own in photos)
    done = 0
    seen = []
    for own in photos:
        shown = []
        for photo in own:
            on_step(done, total)
            shown.append(look_at(detection, photo))
            done += 1
        seen.append(shown)
    on_step(total, total)
    return identities_of(seen)
