"""Whose face everybody got in the picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.orders import Region
from shared.verification import Swap, Verification
from worker.concepts.boxes import Box
from worker.models.bundle import Detection
from worker.models.faces import FaceBox
from worker.stages.verify import verify

LEFT, RIGHT = (0.0, 0.0, 60.0, 128.0), (60.0, 0.0, 120.0, 128.0)
LEFT_FACE, RIGHT_FACE = (10.0, 10.04, 50.0, 50.0), (70.0, 10.0, 110.0, 50.0)
BEN, ANNA = np.array([[3.0, 0.0]], np.float32), np.array([[0.0, 2.0], [0.0, -1.0]], np.float32)


class Reads:
    """Finds these faces, and embeds each as told."""

    def __init__(self, faces: dict[Box, tuple[float, float]]) -> None:
        self._faces = faces

    def find(self, _picture: Any) -> list[FaceBox]:
        return [FaceBox(box_px=box, keypoints_px=((0.0, 0.0),) * 5, score=1.0) for box in self._faces]

    def embed(self, _picture: Any, face: FaceBox) -> Any:
        return np.array(self._faces[face.box_px], np.float32)


def look(faces: dict[Box, tuple[float, float]]) -> Verification:
    reader: Any = Reads(faces)
    nobody: Any = None
    steps: list[tuple[int, int]] = []
    found = verify(
        Detection(faces=reader, phrases=nobody, engine="none"),
        np.zeros((128, 120, 3), np.uint8),
        [region(0, LEFT), region(1, RIGHT)],
        [BEN, ANNA],
        lambda i, n: steps.append((i, n)),
    )
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]
    return found


def region(concept: int, box: Box) -> Region:
    return Region(
        concept=concept, phrase="", box_px=box, score=1, explicit=False, face_box_px=box, keypoints_px=((0.0, 0.0),) * 5
    )


def test_everybody_is_scored_by_the_face_in_their_own_region() -> None:
    found = look({RIGHT_FACE: (3.0, 4.0), LEFT_FACE: (4.0, -3.0)})
    assert [(face.concept, face.identity, face.face_box_px) for face in found.faces] == [
        (0, 0.8, (10.0, 10.0, 50.0, 50.0)),
        (1, 0.8, RIGHT_FACE),
    ]
    assert (found.min_identity, found.swaps, found.missing) == (0.8, (), ())


def test_a_face_that_is_nearer_to_somebody_else_is_a_swap() -> None:
    found = look({LEFT_FACE: (0.0, 1.0), RIGHT_FACE: (4.0, 3.0)})
    assert found.swaps == (Swap(concept=0, nearer_to=1), Swap(concept=1, nearer_to=0))
    assert found.min_identity == 0.0


def test_a_region_without_a_face_is_said_and_no_error() -> None:
    found = look({RIGHT_FACE: (0.0, 1.0)})
    assert (found.faces[0].identity, found.faces[0].face_box_px, found.faces[1].identity) == (None, None, 1.0)
    assert (found.min_identity, found.swaps, found.missing) == (None, (), (0,))
    assert look({}).missing == (0, 1)
