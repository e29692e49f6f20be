"""One person, drawn from the head down to the chest. Units: half face widths, the origin between the eyes' height."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.mini.hair import paint_hair_before, paint_hair_behind
from worker.mini.identity import Identity
from worker.mini.paint import Brush, Colour, Frame, Points, blob, mix, oval, shade

_SHOULDERS = {"man": 1.5, "woman": 1.26, "child": 1.1}
_FOREHEAD_Y = -1.08
_INK: Colour = (46, 36, 44)


@dataclass(frozen=True, kw_only=True)
class Look:
    """What changes from one drawing of a person to the next.

    yaw and nod: -1..1, how far the features slide sideways and down; smile: -1..1; open_mouth: 0..1.
    """

    yaw: float
    nod: float
    smile: float
    open_mouth: float
    clothes: Colour
    collar: str


CLOTHES: tuple[Colour, ...] = (
    (214, 74, 66), (66, 116, 190), (78, 150, 98), (238, 184, 70), (128, 92, 170), (240, 240, 236), (58, 62, 80),
    (232, 130, 84), (82, 170, 176), (214, 120, 160),
)  # fmt: skip


def draw_look(rng: np.random.Generator) -> Look:
    """A pose, an expression and clothes."""
    return Look(
        yaw=float(rng.uniform(-1, 1)),
        nod=float(rng.uniform(-1, 1)),
        smile=float(rng.uniform(-0.3, 1)),
        open_mouth=float(rng.uniform(0.3, 1)) if rng.random() < 0.3 else 0.0,
        clothes=CLOTHES[int(rng.integers(len(CLOTHES)))],
        collar=("round", "shirt", "stripes")[int(rng.integers(3))],
    )


def paint_person(brush: Brush, identity: Identity, look: Look) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Paint the person and say where the face is.

    Returns the five landmarks (5, 2) in insightface's order and the face's outline (n, 2), both in pixels.
    """
    face, frame = face_outline(identity), brush.frame
    paint_hair_behind(brush, identity)
    # The body stays upright under a tilted head.
    _paint_body(brush.moved(Frame(x_px=frame.x_px, y_px=frame.y_px, scale_px=frame.scale_px)), identity, look)
    _paint_head(brush, identity, face)
    # A turned or nodding head shows as features that slide over a face that stays where it is.
    x_px, y_px = frame.to_pixels(np.array([[0.11 * look.yaw, 0.06 * look.nod]]))[0]
    slide = brush.moved(Frame(x_px=x_px, y_px=y_px, scale_px=frame.scale_px, tilt=frame.tilt))
    mouth_y = 0.62 * identity.chin
    _paint_marks(slide, identity)
    _paint_beard(slide, identity, face, mouth_y)
    _paint_mouth(slide, identity, look, mouth_y)
    _paint_nose(slide, identity, mouth_y)
    _paint_eyes(slide, identity)
    paint_hair_before(brush, identity)
    _paint_glasses(slide, identity)
    eye, corner = identity.eye_spacing, identity.mouth_width * 0.96
    corner_y = mouth_y - 0.06 * look.smile
    nose_y = _nose_y(identity, mouth_y)
    own = np.array(
        [(-eye, identity.eye_height), (eye, identity.eye_height), (0, nose_y), (-corner, corner_y), (corner, corner_y)]
    )
    return slide.frame.to_pixels(own), frame.to_pixels(face)


def face_outline(identity: Identity) -> Points:
    """The outline of the bare face (n, 2): a skull above, and a chin of the person's length and squareness below."""
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    cosine, sine = np.cos(angles), np.sin(angles)
    below = np.sign(cosine) * np.abs(cosine) ** identity.jaw
    return np.stack(
        [np.where(sine > 0, below, cosine), np.where(sine > 0, sine * identity.chin, sine * -_FOREHEAD_Y)], 1
    )


def _paint_body(brush: Brush, identity: Identity, look: Look) -> None:
    wide, top = _SHOULDERS[identity.kind], identity.chin + 0.22
    dark = shade(identity.skin, 0.8)
    body = blob((-0.4, top), (0.4, top), (wide * 0.78, top + 0.2), (wide, top + 0.75), (wide * 1.03, top + 2.6),
                 (-wide * 1.03, top + 2.6), (-wide, top + 0.75), (-wide * 0.78, top + 0.2))  # fmt: skip
    brush.fill(body, look.clothes)
    if look.collar == "stripes":
        for row in (0.62, 1.12, 1.62):
            band = np.array(
                [(-wide * 0.97, top + row), (wide * 0.97, top + row), (wide, top + row + 0.2), (-wide, top + row + 0.2)]
            )
            brush.fill(band, mix(look.clothes, (255, 255, 255), 0.6))
    brush.fill(
        np.array([(-0.36, 0.6), (0.36, 0.6), (0.4, top + 0.1), (0, top + 0.42), (-0.4, top + 0.1)]),
        dark,
    )
    if look.collar == "shirt":
        for side in (-1, 1):
            flap = np.array(
                [(side * 0.36, top - 0.1), (0, top + 0.42), (side * 0.34, top + 0.62), (side * 0.58, top + 0.08)]
            )
            brush.fill(flap, mix(look.clothes, (255, 255, 255), 0.55))


def _paint_head(brush: Brush, identity: Identity, face: Points) -> None:
    dark = shade(identity.skin, 0.86)
    for side in (-1, 1):
        brush.fill(
            oval(side * 1.0, identity.eye_height + 0.16, identity.ear_size * 0.75, identity.ear_size),
            dark,
        )
        if identity.earrings:
            brush.fill(oval(side * 1.06, identity.eye_height + 0.5, 0.1, 0.13), (246, 204, 70))
    brush.fill(face, dark)
    # The lit side: the same face, smaller and moved to the upper left, so that a rim of shade is left on the right.
    brush.fill(face * (0.93, 0.95) + (-0.06, -0.03), identity.skin)


def _paint_marks(brush: Brush, identity: Identity) -> None:
    y = identity.eye_height + 0.42
    if identity.blush:
        for side in (-1, 1):
            brush.fill(oval(side * 0.62, y + 0.02, 0.2, 0.13), mix(identity.skin, (232, 84, 90), 0.42))
    if identity.freckles:
        for side in (-1, 1):
            for x, dy in ((0.4, -0.08), (0.56, 0.0), (0.7, -0.1), (0.47, 0.1), (0.64, 0.12)):
                brush.fill(oval(side * x, y + dy, 0.04, 0.04), mix(shade(identity.skin, 0.62), (150, 70, 30), 0.4))
    if identity.mole != "none":
        brush.fill(oval(-0.5 if identity.mole == "left" else 0.5, 0.6, 0.065, 0.065), shade(identity.skin, 0.36))


def _paint_beard(brush: Brush, identity: Identity, face: Points, mouth_y: float) -> None:
    hair = shade(identity.hair, 0.9)
    if identity.beard == "full":
        lower = face[face[:, 1] > 0.18]
        lower = lower[np.argsort(-lower[:, 0])] * (0.97, 1.02)
        inner = np.array([(-0.72, 0.3), (-0.5, mouth_y - 0.2), (0, mouth_y - 0.16), (0.5, mouth_y - 0.2), (0.72, 0.3)])
        brush.fill(np.concatenate([lower, inner]), hair)
    elif identity.beard == "goatee":
        brush.fill(blob((-0.3, mouth_y + 0.1), (0.3, mouth_y + 0.1), (0.26, identity.chin), (0, identity.chin + 0.1),
                        (-0.26, identity.chin)), hair)  # fmt: skip
    if identity.beard in {"moustache", "full"}:
        brush.fill(blob((0, mouth_y - 0.26), (0.34, mouth_y - 0.18), (0.52, mouth_y - 0.02), (0.2, mouth_y - 0.08),
                        (0, mouth_y - 0.1), (-0.2, mouth_y - 0.08), (-0.52, mouth_y - 0.02), (-0.34, mouth_y - 0.18)),
                   hair)  # fmt: skip


def _paint_mouth(brush: Brush, identity: Identity, look: Look, mouth_y: float) -> None:
    wide, full = identity.mouth_width, identity.lip_fullness
    curve, gape = 0.16 * look.smile, 0.2 * look.open_mouth
    corner = mouth_y - 0.06 * look.smile
    lips = blob((-wide, corner), (0, mouth_y - full + curve * 0.5), (wide, corner), (0, mouth_y + full + curve + gape))
    brush.fill(lips, identity.lips)
    if gape:
        inside = blob((-wide * 0.8, corner + 0.02), (0, mouth_y - full * 0.3 + curve * 0.5),
                      (wide * 0.8, corner + 0.02), (0, mouth_y + full * 0.4 + curve + gape))  # fmt: skip
        brush.fill(inside, (250, 246, 240))
    else:
        line = np.array([(-wide, corner), (-wide * 0.5, mouth_y + curve * 0.6), (0, mouth_y + curve * 0.85),
                         (wide * 0.5, mouth_y + curve * 0.6), (wide, corner)])  # fmt: skip
        brush.stroke(line, shade(identity.lips, 0.55), 0.05)


def _nose_y(identity: Identity, mouth_y: float) -> float:
    return identity.eye_height + (mouth_y - identity.eye_height) * 0.52


def _paint_nose(brush: Brush, identity: Identity, mouth_y: float) -> None:
    tip, size = _nose_y(identity, mouth_y), identity.nose_size
    dark = shade(identity.skin, 0.68)
    if identity.nose == "round":
        brush.fill(oval(0, tip, 0.19 * size, 0.16 * size), mix(shade(identity.skin, 0.84), (220, 90, 80), 0.25))
    elif identity.nose == "line":
        brush.stroke(
            np.array([(0.02, tip - 0.34 * size), (0.12 * size, tip + 0.02), (-0.06 * size, tip + 0.06)]),
            dark,
            0.075,
        )
    else:
        brush.fill(oval(0, tip + 0.02, 0.15 * size, 0.075 * size), dark)


def _paint_eyes(brush: Brush, identity: Identity) -> None:
    size, y = identity.eye_size, identity.eye_height
    brow = shade(identity.hair, 0.72) if identity.hair_colour_name != "white" else (170, 168, 172)
    for side in (-1, 1):
        x = side * identity.eye_spacing
        turn = np.tan(identity.eye_slant) * side
        eye = oval(0, 0, size * 1.12, size * 0.92)
        eye[:, 1] -= eye[:, 0] * turn
        brush.fill(eye + np.array((x, y)), (252, 252, 250))
        brush.fill(oval(x, y + 0.01, size * 0.68, size * 0.72), identity.iris)
        brush.fill(oval(x, y + 0.01, size * 0.34, size * 0.36), (18, 16, 22))
        brush.fill(oval(x - size * 0.24, y - size * 0.26, size * 0.2, size * 0.2), (255, 255, 255))
        lid = eye[20:40]
        brush.stroke(lid + np.array((x, y)), _INK, 0.09 if identity.kind == "woman" else 0.05)
        if identity.kind == "woman":
            tip = np.array([(side * size * 1.05, -0.02), (side * size * 1.5, -size * 0.55)])
            tip[:, 1] -= tip[:, 0] * turn
            brush.stroke(tip + np.array((x, y)), _INK, 0.08)
        lift = y - size - identity.brow_lift
        lean = side * np.tan(identity.brow_slant) * 0.5
        ends = np.array([(-0.24, 0.03 + 0.24 * lean), (0, -0.03), (0.24, 0.03 - 0.24 * lean)])
        brush.stroke(ends + np.array((x, lift)), brow, identity.brow_width)


def _paint_glasses(brush: Brush, identity: Identity) -> None:
    if identity.glasses == "none":
        return
    y, half = identity.eye_height + 0.02, min(0.34, identity.eye_spacing - 0.07)
    for side in (-1, 1):
        x = side * identity.eye_spacing
        if identity.glasses == "round":
            rim = oval(x, y, half, half)
        else:
            rim = np.array(
                [
                    (x - half, y - half * 0.8),
                    (x + half, y - half * 0.8),
                    (x + half * 0.9, y + half * 0.8),
                    (x - half * 0.9, y + half * 0.8),
                ]
            )
        brush.stroke(rim, identity.lenses, 0.085, closed=True)
        brush.stroke(np.array([(x + side * half, y - 0.05), (side * 1.0, y - 0.08)]), identity.lenses, 0.07)
    bridge = identity.eye_spacing - half
    brush.stroke(np.array([(-bridge, y - 0.03), (bridge, y - 0.03)]), identity.lenses, 0.08)
