"""Flat shapes on a supersampled sheet: the only place that turns points into pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Colour: TypeAlias = tuple[float, float, float]
Points: TypeAlias = NDArray[np.float64]

SUPERSAMPLING = 4
_SHIFT = 4
_CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 40)), np.sin(np.linspace(0, 2 * np.pi, 40))], axis=1)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour `share` (0..1) of the way from the first to the second."""
    red, green, blue = (a + (b - a) * share for a, b in zip(first, second, strict=True))
    return (red, green, blue)


def shade(colour: Colour, factor: float) -> Colour:
    """The colour made darker (factor under 1) or lighter (over 1), kept within 0..255."""
    red, green, blue = (min(255.0, channel * factor) for channel in colour)
    return (red, green, blue)


def blob(*control: tuple[float, float], samples: int = 6) -> Points:
    """A closed smooth outline (n, 2) through the control points: a uniform Catmull-Rom spline."""
    p1 = np.asarray(control, dtype=np.float64)
    p0, p2, p3 = np.roll(p1, 1, axis=0), np.roll(p1, -1, axis=0), np.roll(p1, -2, axis=0)
    t = (np.arange(samples) / samples)[None, :, None]
    p0, p1, p2, p3 = (p[:, None, :] for p in (p0, p1, p2, p3))
    curve = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    return np.asarray(curve.reshape(-1, 2))


def oval(x: float, y: float, radius_x: float, radius_y: float) -> Points:
    """An ellipse as an outline (40, 2)."""
    return _CIRCLE * (radius_x, radius_y) + (x, y)


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Where a drawing's own coordinates lie in the picture: origin in pixels, pixels per unit, tilt in radians."""

    x_px: float = 0.0
    y_px: float = 0.0
    scale_px: float = 1.0
    tilt: float = 0.0

    def to_pixels(self, points: Points) -> Points:
        """Points (n, 2) of the drawing as points of the picture, in pixels."""
        c, s = np.cos(self.tilt), np.sin(self.tilt)
        turned = np.asarray(points, dtype=np.float64) @ np.array([[c, s], [-s, c]])
        return np.asarray(turned * self.scale_px + (self.x_px, self.y_px))


class Sheet:
    """A picture being drawn, and for each pixel the number of the figure that owns it (0: the place)."""

    def __init__(self, width_px: int, height_px: int) -> None:
        self.width_px, self.height_px = width_px, height_px
        self._pixels = np.zeros((height_px * SUPERSAMPLING, width_px * SUPERSAMPLING, 3), np.uint8)
        self._owner = np.zeros(self._pixels.shape[:2], np.uint8)

    def fill(self, points: Points, colour: Colour, frame: Frame | None = None, owner: int = 0) -> None:
        """Fill a closed outline (n, 2), given in the frame's coordinates, or in pixels without one."""
        at = self._grid(points, frame)
        cv2.fillPoly(self._pixels, [at], colour, cv2.LINE_8, _SHIFT)
        if owner:
            cv2.fillPoly(self._owner, [at], owner, cv2.LINE_8, _SHIFT)

    def stroke(
        self, points: Points, colour: Colour, width: float, frame: Frame | None = None, *, closed: bool = False
    ) -> None:
        """Draw an open or closed line of the given width (in the frame's units) with round ends."""
        thickness = max(1, round(width * (frame.scale_px if frame else 1.0) * SUPERSAMPLING))
        cv2.polylines(self._pixels, [self._grid(points, frame)], closed, colour, thickness, cv2.LINE_8, _SHIFT)

    def ramp(self, top: Colour, bottom: Colour, y1_px: float = 0.0, y2_px: float | None = None) -> None:
        """Fill the full width from y1 to y2 with a vertical gradient."""
        y2_px = self.height_px if y2_px is None else y2_px
        rows = slice(max(0, round(y1_px * SUPERSAMPLING)), max(0, round(y2_px * SUPERSAMPLING)))
        count = self._pixels[rows].shape[0]
        share = np.linspace(0, 1, max(1, count))[:, None]
        self._pixels[rows] = (np.array(top) * (1 - share) + np.array(bottom) * share)[:count, None, :].astype(np.uint8)

    def tint(self, colour: Colour, strength: float) -> None:
        """Multiply everything drawn so far towards a colour of light: strength 0 leaves it, 1 is that light alone."""
        gain = 1 - strength + strength * np.array(colour) / 255
        table = np.clip(np.arange(256)[:, None] * gain, 0, 255).astype(np.uint8)[:, None, :]
        self._pixels = cv2.LUT(cv2.merge([self._pixels]), table.reshape(1, 256, 3)).astype(np.uint8)

    def picture(self) -> NDArray[np.uint8]:
        """The finished picture (H, W, 3), uint8 RGB."""
        small = cv2.resize(self._pixels, (self.width_px, self.height_px), interpolation=cv2.INTER_AREA)
        return np.asarray(small, dtype=np.uint8)

    def owners(self) -> NDArray[np.uint8]:
        """Which figure owns each pixel (H, W), read at the pixel's middle."""
        middle = SUPERSAMPLING // 2
        return self._owner[middle::SUPERSAMPLING, middle::SUPERSAMPLING].copy()

    def _grid(self, points: Points, frame: Frame | None) -> NDArray[np.int32]:
        at = frame.to_pixels(points) if frame else np.asarray(points, dtype=np.float64)
        # A point names a place on the continuous sheet; cv2 counts from the middle of the first sample.
        return np.round((at * SUPERSAMPLING - 0.5) * (1 << _SHIFT)).astype(np.int32)


@dataclass(frozen=True, kw_only=True, eq=False)
class Brush:
    """A sheet, the frame that is drawn in, and the figure that owns what is drawn."""

    sheet: Sheet
    frame: Frame
    owner: int

    def fill(self, points: Points, colour: Colour) -> None:
        """Fill a closed outline (n, 2)."""
        self.sheet.fill(points, colour, self.frame, self.owner)

    def stroke(self, points: Points, colour: Colour, width: float, *, closed: bool = False) -> None:
        """Draw an open or closed line with round ends."""
        self.sheet.stroke(points, colour, width, self.frame, closed=closed)

    def moved(self, frame: Frame) -> Brush:
        """The same brush in another frame."""
        return Brush(sheet=self.sheet, frame=frame, owner=self.owner)
