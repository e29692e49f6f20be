"""The mini world: drawn scenes and portraits of drawn people, with every label known exactly.

Everything follows from a seed. TRAIN_SEEDS and EVAL_SEEDS are disjoint, for scenes and for identities alike: a scene
of an evaluation seed shows only evaluation identities unless others are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.mini.identity import EVAL_SEEDS, KINDS, TRAIN_SEEDS, Identity, Kind, draw_identity
from worker.mini.paint import Brush, Colour, Frame, Sheet, mix, shade
from worker.mini.person import CLOTHES, draw_look, paint_person
from worker.mini.places import PLACES, paint_place
from worker.mini.words import VOCABULARY, caption_of, phrases_of

__all__ = [
    "EVAL_SEEDS", "KINDS", "PLACES", "TRAIN_SEEDS", "VOCABULARY", "Figure", "Identity", "Portrait", "Scene",
    "draw_identity", "draw_portrait", "draw_scene",
]  # fmt: skip

_NARROWEST_FACE_PX = 36.0
_MOST_PEOPLE = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Figure:
    """One person in a scene.

    phrases: noun phrases that denote only this person. box_px and face_box_px: (x1, y1, x2, y2), box_px of the
    visible part. mask: (H, W) bool, the visible pixels. keypoints_px: (5, 2), insightface's order: the eye and the
    mouth corner at the left of the picture come before those at the right, the nose tip between them.
    """

    identity: Identity
    kind: Kind
    phrases: tuple[str, ...]
    box_px: tuple[float, float, float, float]
    mask: NDArray[np.bool_]
    face_box_px: tuple[float, float, float, float]
    keypoints_px: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """A drawn scene: picture (H, W, 3) uint8 RGB, its caption, and the people in it from left to right."""

    picture: NDArray[np.uint8]
    caption: str
    place: str
    night: bool
    figures: tuple[Figure, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Portrait:
    """A drawn portrait: picture (S, S, 3) uint8 RGB; face_box_px and keypoints_px as in Figure."""

    picture: NDArray[np.uint8]
    face_box_px: tuple[float, float, float, float]
    keypoints_px: NDArray[np.float64]
    identity: Identity


def draw_scene(
    seed: int,
    *,
    people: int | None = None,
    width_px: int | None = None,
    height_px: int = 128,
    identities: Sequence[Identity] | None = None,
) -> Scene:
    """The scene of a seed.

    people: 0 to 5, or None for the seed's own 0 to 2. width_px: by default the height for up to two people, 3/2 of it
    for three, twice it for more. identities: the people, left to right, instead of the seed's own. Raises ValueError
    for a seed of neither range, for more than five people, and for a picture too narrow for faces of 36 px.
    """
    if seed not in TRAIN_SEEDS and seed not in EVAL_SEEDS:
        message = f"scene seed {seed} is in neither the training nor the evaluation seeds"
        raise ValueError(message)
    rng = np.random.default_rng([seed, 2])
    own = int(rng.choice(3, p=(0.04, 0.36, 0.6)))
    place = PLACES[int(rng.integers(len(PLACES)))]
    night = bool(rng.random() < 0.3)
    cast = tuple(identities) if identities is not None else _draw_cast(seed, own if people is None else people, rng)
    if len(cast) > _MOST_PEOPLE:
        message = f"{len(cast)} people in one scene: at most {_MOST_PEOPLE}"
        raise ValueError(message)
    if width_px is None:
        width_px = height_px if len(cast) <= 2 else height_px * 3 // 2 if len(cast) == 3 else height_px * 2
    if width_px < len(cast) * _NARROWEST_FACE_PX * 1.3 or height_px < 2.9 * _NARROWEST_FACE_PX:
        message = f"{width_px} x {height_px} px cannot hold {len(cast)} faces of {_NARROWEST_FACE_PX:.0f} px"
        raise ValueError(message)
    sheet = Sheet(width_px, height_px)
    paint_place(sheet, place, rng, night=night)
    caption = caption_of(cast, place, rng, night=night)
    placed = [_paint_figure(sheet, person, i, len(cast), rng) for i, person in enumerate(cast)]
    if night:
        sheet.tint((132, 132, 196), 0.45)
    owners = sheet.owners()
    figures = []
    for i, (person, phrases, (keypoints, outline)) in enumerate(zip(cast, phrases_of(cast), placed, strict=True)):
        mask = owners == i + 1
        columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
        figures.append(
            Figure(
                identity=person,
                kind=person.kind,
                phrases=phrases,
                box_px=(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)),
                mask=mask,
                face_box_px=_bounds(outline),
                keypoints_px=keypoints,
            )
        )
    return Scene(picture=sheet.picture(), caption=caption, place=place, night=night, figures=tuple(figures))


def draw_portrait(identity: Identity, seed: int, *, size_px: int = 256) -> Portrait:
    """A square portrait of a person: the seed settles pose, expression, light, framing, dress and background."""
    rng = np.random.default_rng([seed, identity.seed, 3])
    sheet = Sheet(size_px, size_px)
    colour = mix(CLOTHES[int(rng.integers(len(CLOTHES)))], (236, 232, 226), float(rng.uniform(0.35, 0.85)))
    sheet.ramp(colour, shade(colour, float(rng.uniform(0.8, 1.0))))
    if rng.random() < 0.3:
        paint_place(sheet, PLACES[int(rng.integers(len(PLACES)))], rng, night=False)
    scale = size_px * float(rng.uniform(0.2, 0.28))
    frame = Frame(
        x_px=size_px * float(rng.uniform(0.46, 0.54)),
        y_px=size_px * 0.47 + scale * float(rng.uniform(-0.1, 0.2)),
        scale_px=scale,
        tilt=float(rng.uniform(-0.14, 0.14)),
    )
    keypoints, outline = paint_person(Brush(sheet=sheet, frame=frame, owner=1), identity, draw_look(rng))
    light: Colour = ((255, 226, 196), (206, 222, 255), (255, 255, 255))[int(rng.integers(3))]
    sheet.tint(shade(light, float(rng.uniform(0.82, 1.0))), float(rng.uniform(0.0, 0.6)))
    return Portrait(picture=sheet.picture(), face_box_px=_bounds(outline), keypoints_px=keypoints, identity=identity)


def _draw_cast(seed: int, people: int, rng: np.random.Generator) -> tuple[Identity, ...]:
    """People of the same range of seeds as the scene."""
    seeds = TRAIN_SEEDS if seed in TRAIN_SEEDS else EVAL_SEEDS
    return tuple(draw_identity(int(rng.integers(seeds.start, seeds.stop))) for _ in range(people))


def _paint_figure(
    sheet: Sheet, person: Identity, index: int, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Paint the person at an even share of the width; landmarks and face outline, in pixels."""
    share = sheet.width_px / count
    # One unit is half a face: by the height, less in a crowd, and never under the narrowest face.
    child = person.kind == "child"
    scale = min(sheet.height_px * (0.154 if child else 0.168), share * 0.36) * float(rng.uniform(0.97, 1.07))
    scale = max(scale, _NARROWEST_FACE_PX / 2 + 0.2)
    frame = Frame(
        x_px=share * (index + 0.5) + share * float(rng.uniform(-0.03, 0.03)),
        y_px=sheet.height_px * ((0.52 if child else 0.43) + float(rng.uniform(-0.015, 0.015))),
        scale_px=scale,
        tilt=float(rng.uniform(-0.08, 0.08)),
    )
    return paint_person(Brush(sheet=sheet, frame=frame, owner=index + 1), person, draw_look(rng))


def _bounds(points: NDArray[np.float64]) -> tuple[float, float, float, float]:
    (x1, y1), (x2, y2) = points.min(axis=0), points.max(axis=0)
    return (float(x1), float(y1), float(x2), float(y2))
