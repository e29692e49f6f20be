"""Faces of the reference photos become identities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from shared.errors import NoFace
from shared.verification import PhotoFaces
from worker.models.bundle import Detection
from worker.models.faces import FaceBox
from worker.stages.identify import Identities, identify


class ReadsBrightness:
    """A photo's top left pixel says how many faces it shows; an embedding says which photo and face it is of."""

    def find(self, picture: Any) -> list[FaceBox]:
        return [
            FaceBox(box_px=(0.0, 0.0, 9.0 - i, 9.0 - i), keypoints_px=((0.0, 0.0),) * 5, score=1.0)
            for i in range(int(picture[0, 0, 0]))
        ]

    def embed(self, picture: Any, face: FaceBox) -> Any:
        return np.full(512, float(picture[0, 0, 1]) + face.area_px, np.float32)


def photo(faces: int, person: int = 0) -> Any:
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[0, 0, :2] = faces, person
    return picture


def run(photos: Sequence[Sequence[Any]]) -> tuple[Identities, list[tuple[int, int]]]:
    reader: Any = ReadsBrightness()
    nobody: Any = None
    steps: list[tuple[int, int]] = []
    found = identify(Detection(faces=reader, phrases=nobody, engine="none"), photos, lambda i, n: steps.append((i, n)))
    return found, steps


def test_every_photo_of_a_concept_gives_a_row_of_its_identity() -> None:
    found, steps = run([[photo(1, 3), photo(1, 4)], [photo(1, 5)]])
    assert [rows[:, 0].tolist() for rows in found.embeddings] == [[84.0, 85.0], [86.0]]
    assert found.warnings == ()
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_of_two_faces_the_largest_is_taken_and_the_job_is_warned() -> None:
    found, _ = run([[photo(1)], [photo(1), photo(2)]])
    assert found.embeddings[1][1, 0] == 81.0
    assert found.warnings == ("photo 2 of concept 2 shows 2 faces; the largest one was taken",)


def test_a_photo_without_a_face_says_which_one_it_was() -> None:
    with pytest.raises(NoFace, match="photo 2 of concept 1") as caught:
        run([[photo(1), photo(0)], [photo(2)]])
    box_px = (0.0, 0.0, 9.0, 9.0)
    one, two = PhotoFaces(found=1, box_px=box_px), PhotoFaces(found=2, box_px=box_px)
    assert caught.value.faces == ((one, PhotoFaces(found=0)), (two,))
