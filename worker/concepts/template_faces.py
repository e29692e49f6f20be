"""Assigns the faces of the template to the boxes of the concepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

from worker.concepts.boxes import Box, area

if TYPE_CHECKING:
    from collections.abc import Sequence

# A face can belong to a person if this fraction of it is inside their box.
_INSIDE = 0.6
_IMPOSSIBLE = 1e6


def faces_of(people: Sequence[Box], faces: Sequence[Box]) -> list[int | None]:
    """The index of the face of each person's box, or None. No index occurs twice.

    If several faces are in one box because people stand close, each goes to the box that has it in its upper middle.
    """
    if not people or not faces:
        return [None] * len(people)
    cost = np.array([[_distance(person, face) for face in faces] for person in people])
    rows, columns = linear_sum_assignment(cost)
    found: list[int | None] = [None] * len(people)
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        if cost[row, column] < _IMPOSSIBLE:
            found[row] = column
    return found


def _distance(person: Box, face: Box) -> float:
    """The distance of the face from the middle of the box's top, in sides of the box; less for larger faces."""
    if _share_inside(person, face) < _INSIDE:
        return _IMPOSSIBLE
    width, height = person[2] - person[0], person[3] - person[1]
    aside = abs((face[0] + face[2]) / 2 - (person[0] + person[2]) / 2) / width
    below = max(0.0, (face[1] + face[3]) / 2 - person[1]) / height
    return aside + 0.5 * below - 0.5 * (face[2] - face[0]) / width


def _share_inside(person: Box, face: Box) -> float:
    width = min(person[2], face[2]) - max(person[0], face[0])
    height = min(person[3], face[3]) - max(person[1], face[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / area(face)
