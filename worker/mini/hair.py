"""Hair in two layers: what hangs behind the head, and the cap over the forehead. Units: half face widths."""

from __future__ import annotations

import numpy as np

from worker.mini.identity import Identity
from worker.mini.paint import Brush, Colour, Points, blob, oval, shade

_SKULL_Y = -1.12
_HAIRLINES: dict[str, tuple[tuple[float, float], ...]] = {
    "short": ((0.97, -0.3), (0.78, -0.62), (0.3, -0.72), (-0.3, -0.72), (-0.78, -0.62), (-0.97, -0.3)),
    "side": ((0.98, -0.12), (0.84, -0.42), (0.3, -0.52), (-0.42, -0.84), (-0.84, -0.5), (-0.98, -0.2)),
    "fringe": ((1.0, 0.0), (0.9, -0.34), (0.4, -0.36), (-0.4, -0.36), (-0.9, -0.34), (-1.0, 0.0)),
    "parted": ((0.99, 0.25), (0.9, -0.32), (0.45, -0.68), (0.0, -0.9), (-0.45, -0.68), (-0.9, -0.32), (-0.99, 0.25)),
}
_HAIRLINE_OF = {
    "short": "short", "side": "side", "curly": "short", "spiky": "short", "fringe": "fringe", "long": "parted",
    "bob": "fringe", "bun": "short", "ponytail": "side", "afro": "short", "braids": "parted", "pigtails": "fringe",
}  # fmt: skip


def _mane(low: float) -> Points:
    """Long hair down to `low`."""
    return blob((0, -1.25), (0.95, -0.9), (1.22, 0), (1.28, low - 0.3), (0.7, low), (-0.7, low), (-1.28, low - 0.3),
                (-1.22, 0), (-0.95, -0.9))  # fmt: skip


_BEHIND: dict[str, tuple[Points, ...]] = {
    "long man": (_mane(1.35),),
    "long woman": (_mane(1.75),),
    "bob": (blob((0, -1.25), (0.98, -0.9), (1.3, 0), (1.34, 0.75), (0.9, 1.0), (-0.9, 1.0), (-1.34, 0.75), (-1.3, 0),
                 (-0.98, -0.9)),),
    "bun": (oval(0, -1.42, 0.44, 0.4),),
    "ponytail": (blob((0.7, -1.2), (1.3, -1.05), (1.62, -0.3), (1.5, 0.7), (1.3, 1.15), (1.15, 0.4), (1.05, -0.5)),),
    "afro": (oval(0, -0.45, 1.5, 1.28),),
    "braids": tuple(
        oval(side * (1.12 + 0.03 * step), 0.1 + 0.34 * step, 0.24 - 0.015 * step, 0.24)
        for side in (-1, 1)
        for step in range(5)
    ),
    "pigtails": (oval(-1.32, -0.5, 0.42, 0.5), oval(1.32, -0.5, 0.42, 0.5)),
}  # fmt: skip
_IN_THE_LIGHT = {"bun", "afro", "pigtails"}


def paint_hair_behind(brush: Brush, identity: Identity) -> None:
    """Paint what hangs or stands behind the head; it comes before neck and clothes."""
    style = identity.hair_style
    colour = identity.hair if style in _IN_THE_LIGHT else shade(identity.hair, 0.82)
    for outline in _BEHIND.get(f"long {identity.kind}" if style == "long" else style, ()):
        brush.fill(outline, colour)


def paint_hair_before(brush: Brush, identity: Identity) -> None:
    """The cap of hair over the skull and the forehead; painted after the face."""
    style, hair = identity.hair_style, identity.hair

    def put(points: Points, colour: Colour = hair) -> None:
        brush.fill(points, colour)

    if style == "bald":
        put(oval(-0.3, -0.8, 0.2, 0.1), shade(identity.skin, 1.1))
        return
    if style == "mohawk":
        put(blob((-0.26, -0.62), (-0.34, -1.2), (-0.2, -1.62), (0.2, -1.62), (0.34, -1.2), (0.26, -0.62)))
        return
    if style in {"curly", "afro"}:
        for angle in np.linspace(np.pi * 0.98, np.pi * 2.02, 9):
            put(oval(np.cos(angle) * 0.98, np.sin(angle) * 0.98 - 0.16, 0.34, 0.32))
    line = np.array(_HAIRLINES[_HAIRLINE_OF[style]])
    put(np.concatenate([_skull(style), line]))
    if style != "spiky":
        put(_shine(), shade(hair, 1.22 if sum(hair) > 240 else 1.7))


def _skull(style: str) -> Points:
    """The outer edge of the cap, left temple over the crown to the right one."""
    angles = np.linspace(np.pi * 0.94, np.pi * 2.06, 25)
    lift = np.full(25, 1.08)
    if style == "spiky":
        lift[1:-1:2] = 1.1
        lift[2:-1:2] = 1.42
    return np.stack([np.cos(angles) * np.minimum(lift, 1.22), np.sin(angles) * lift * -_SKULL_Y - 0.02], axis=1)


def _shine() -> Points:
    """A soft band of light on the upper left of the hair."""
    return blob((-0.72, -0.82), (-0.45, -1.04), (-0.1, -1.12), (-0.14, -1.02), (-0.42, -0.93))
