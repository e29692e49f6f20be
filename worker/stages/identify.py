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

    embeddings[i]: (photos, 512), raw; faces[i]: the faces in these photos; warnings: for the person who sent the job.
    """

    embeddings: tuple[NDArray[np.float32], ...]
    faces: tuple[tuple[PhotoFaces, ...], ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class DetectedFaces:
    """The faces in a photo. count: how many.

    box_px; embedding: (512,), raw: of the largest face, None without a face.
    """

    count: int
    box_px: FaceBoxPx | None
    embedding: NDArray[np.float32] | None


def detect_faces(detection: Detection, photo: NDArray[np.uint8]) -> DetectedFaces:
    """The faces in a photo (H, W, 3) RGB."""
    faces = detection.faces.find(photo)
    if not faces:
        return DetectedFaces(count=0, box_px=None, embedding=None)
    return DetectedFaces(count=len(faces), box_px=faces[0].box_px, embedding=detection.faces.embed(photo, faces[0]))


def identities_of(detected: Sequence[Sequence[DetectedFaces]]) -> Identities:
    """The identities of all concepts. detected[i]: the faces in concept i's photos.

    Of several faces in a photo the largest is used, with a warning. Raises NoFace, which tells what all photos show.
    """
    faces = tuple(
        tuple(PhotoFaces(found=photo.count, box_px=photo.box_px and rounded(photo.box_px)) for photo in own)
        for own in detected
    )
    warnings = []
    identities = []
    for concept, own in enumerate(detected, start=1):
        rows = []
        for place, photo in enumerate(own, start=1):
            if photo.embedding is None:
                message = f"no face was found in photo {place} of concept {concept}"
                raise NoFace(message, faces=faces)
            if photo.count > 1:
                warnings.append(
                    f"photo {place} of concept {concept} shows {photo.count} faces; the largest one was taken"
                )
            rows.append(photo.embedding)
        identities.append(np.stack(rows))
    return Identities(embeddings=tuple(identities), faces=faces, warnings=tuple(warnings))


def identify(detection: Detection, photos: Sequence[Sequence[NDArray[np.uint8]]], on_step: OnStep) -> Identities:
    """The identities of all concepts from their pictures, each (H, W, 3) RGB. Raises NoFace."""
    total = sum(len(own) for own in photos)
    done = 0
    detected = []
    for own in photos:
        faces = []
        for photo in own:
            on_step(done, total)
            faces.append(detect_faces(detection, photo))
            done += 1
        detected.append(faces)
    on_step(total, total)
    return identities_of(detected)
