"""The drawing of face keypoints, the condition of IdentityNet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Keypoints = Sequence[tuple[float, float]]
Canvas = NDArray[np.uint8]

# Left eye, right eye, nose, left and right mouth corner in insightface's order, each with its own colour; every stick
# joins one of them to the nose (index 2) in the colour of its first point. Source: InstantID,
# pipeline_stable_diffusion_xl_instantid.py, draw_kps.
_COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255))
_STICKS = ((0, 2), (1, 2), (3, 2), (4, 2))
_STICK_BRIGHTNESS = 0.6


@dataclass(frozen=True, kw_only=True)
class KeypointStyle:
    """Sizes of the drawing in pixels. InstantID was trained with the defaults."""

    stick_width_px: int = 4
    radius_px: int = 10


_TRAINED_STYLE = KeypointStyle()


def draw_keypoints(
    faces: Sequence[Keypoints], *, width_px: int, height_px: int, style: KeypointStyle = _TRAINED_STYLE
) -> Canvas:
    """The keypoints of all faces on black, (height, width, 3) RGB. Each face: five (x, y) in pixels.

    Every face has full brightness. Where two overlap, the later one in the list covers the earlier.
    """
    canvas = np.zeros((height_px, width_px, 3), dtype=np.uint8)
    for face in faces:
        if len(face) != len(_COLOURS):
            message = f"a face has {len(face)} keypoints, expected {len(_COLOURS)}"
            raise ValueError(message)
        drawn = _draw_face(face, width_px=width_px, height_px=height_px, style=style)
        canvas = np.where(drawn.any(axis=2, keepdims=True), drawn, canvas)
    return canvas


def _draw_face(face: Keypoints, *, width_px: int, height_px: int, style: KeypointStyle) -> Canvas:
    canvas = np.zeros((height_px, width_px, 3), dtype=np.uint8)
    for first, second in _STICKS:
        (x1, y1), (x2, y2) = face[first], face[second]
        middle = (int((x1 + x2) / 2), int((y1 + y2) / 2))
        half_length = int(math.hypot(x1 - x2, y1 - y2) / 2)
        angle = int(math.degrees(math.atan2(y1 - y2, x1 - x2)))
        outline = cv2.ellipse2Poly(middle, (half_length, style.stick_width_px), angle, 0, 360, 1)
        cv2.fillConvexPoly(canvas, np.asarray(outline, dtype=np.int32), _COLOURS[first])
    canvas = (canvas * _STICK_BRIGHTNESS).astype(np.uint8)
    for (x, y), colour in zip(face, _COLOURS, strict=True):
        cv2.circle(canvas, (int(x), int(y)), style.radius_px, colour, -1)
    return canvas
