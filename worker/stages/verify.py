"""Verify: how similar each face in the final picture is to the concept's photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from shared.orders import Region
from shared.verification import Swap, Verification, VerifiedFace
from worker.concepts.likeness import likeness
from worker.concepts.template_faces import faces_of
from worker.models.bundle import Detection

OnStep = Callable[[int, int], object]
# More digits carry no information, and a batch has many of them.
_DIGITS = 4


def verify(
    detection: Detection,
    picture: NDArray[np.uint8],
    regions: Sequence[Region],
    identities: Sequence[NDArray[np.float32]],
    on_step: OnStep,
) -> Verification:
    """The faces that a picture (H, W, 3) RGB shows in the regions. identities[i]: (photos, 512), raw, of concept i.

    A face belongs to a concept when most of it is in the concept's region. A region without a face is no error.
    """
    steps = len(regions) + 1
    on_step(0, steps)
    found = detection.faces.find(picture)
    faces, swaps = [], []
    owned = faces_of([region.box_px for region in regions], [face.box_px for face in found])
    for step, (region, index) in enumerate(zip(regions, owned, strict=True), start=1):
        on_step(step, steps)
        if index is None:
            faces.append(VerifiedFace(concept=region.concept, identity=None, face_box_px=None))
            continue
        alike = likeness(detection.faces.embed(picture, found[index]), identities)
        x1, y1, x2, y2 = (round(side, 1) for side in found[index].box_px)
        identity = round(alike[region.concept], _DIGITS)
        faces.append(VerifiedFace(concept=region.concept, identity=identity, face_box_px=(x1, y1, x2, y2)))
        nearest = int(np.argmax(alike))
        if alike[nearest] > alike[region.concept]:
            swaps.append(Swap(concept=region.concept, nearer_to=nearest))
    on_step(steps, steps)
    return Verification.of(faces, swaps)
