"""Boxes (x1, y1, x2, y2) in pixels: their overlap, and non-maximum suppression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Box = tuple[float, float, float, float]

# Boxes of two people who hug overlap less, two boxes of one person overlap more.
SAME_PERSON_IOU = 0.6


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A box that the detector found for a phrase, in pixels of the picture, and its score in 0..1."""

    box_px: Box
    score: float


def iou(a: Box, b: Box) -> float:
    """Intersection over union in 0..1; 0 if both boxes are empty."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (area(a) + area(b) - shared)


def area(box: Box) -> float:
    """The area in square pixels; 0 if x2 < x1 or y2 < y1."""
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def centre_x(box: Box) -> float:
    """The horizontal centre of the box in pixels."""
    return (box[0] + box[2]) / 2


def distinct(candidates: Iterable[Candidate], *, same_iou: float = SAME_PERSON_IOU) -> list[Candidate]:
    """The best candidate of each person, best first (non-maximum suppression over all classes).

    Equal scores are sorted from left to right, so the order of `candidates` does not matter.
    """
    kept: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda one: (-one.score, one.box_px)):
        if all(iou(candidate.box_px, other.box_px) < same_iou for other in kept):
            kept.append(candidate)
    return kept
