"""Who a drawn person is: every parameter that stays the same from one drawing to the next."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from worker.mini.paint import Colour, mix

Kind = Literal["man", "woman", "child"]
KINDS: tuple[Kind, ...] = get_args(Kind)

TRAIN_SEEDS = range(10_000_000)
EVAL_SEEDS = range(10_000_000, 20_000_000)

HAIR_COLOURS: dict[str, Colour] = {
    "black": (38, 32, 40),
    "brown": (112, 70, 42),
    "blond": (236, 196, 96),
    "red": (206, 78, 34),
    "white": (226, 226, 230),
    "blue": (58, 104, 204),
    "pink": (236, 112, 168),
}
HAIR_STYLES: dict[Kind, tuple[str, ...]] = {
    "man": ("short", "side", "curly", "spiky", "mohawk", "fringe", "bald", "long"),
    "woman": ("long", "bob", "bun", "ponytail", "afro", "braids", "side"),
    "child": ("fringe", "pigtails", "spiky", "curly", "side", "bob"),
}
_SKIN: tuple[Colour, ...] = ((255, 226, 202), (246, 203, 164), (222, 168, 122), (172, 117, 78), (112, 74, 54))
_LENSES: tuple[Colour, ...] = ((40, 40, 46), (196, 48, 48), (44, 92, 180), (228, 176, 52), (60, 140, 84))


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A person of the drawn world. Sizes are in half face widths, colours RGB 0..255, slants in radians.

    The discrete choices alone make over 10^5 people, and sixteen parameters beside them are continuous.
    """

    seed: int
    kind: Kind
    skin: Colour
    chin: float
    jaw: float
    hair_style: str
    hair_colour_name: str
    hair: Colour
    eye_spacing: float
    eye_size: float
    eye_height: float
    eye_slant: float
    iris: Colour
    brow_width: float
    brow_slant: float
    brow_lift: float
    nose: Literal["dot", "line", "round"]
    nose_size: float
    mouth_width: float
    lip_fullness: float
    lips: Colour
    ear_size: float
    glasses: Literal["none", "round", "square"]
    lenses: Colour
    beard: Literal["none", "full", "goatee", "moustache"]
    freckles: bool
    blush: bool
    earrings: bool
    mole: Literal["none", "left", "right"]

    @property
    def phrase_traits(self) -> tuple[str, ...]:
        """The words that describe the person, to be put behind "a man" or "the man"."""
        traits = []
        if self.glasses != "none":
            traits.append("with glasses")
        if self.beard in {"full", "goatee"}:
            traits.append("with a beard")
        if self.beard == "moustache":
            traits.append("with a moustache")
        if self.hair_style != "bald":
            traits.append(f"with {self.hair_colour_name} hair")
        return tuple(traits)


def draw_identity(seed: int, *, kind: str | None = None) -> Identity:
    """The person of a seed, of the given kind or of the seed's own.

    Raises ValueError for a seed outside TRAIN_SEEDS and EVAL_SEEDS and for an unknown kind.
    """
    if seed not in TRAIN_SEEDS and seed not in EVAL_SEEDS:
        message = f"identity seed {seed} is in neither the training nor the evaluation seeds"
        raise ValueError(message)
    rng = np.random.default_rng([seed, 1])
    own: Kind = KINDS[int(rng.choice(3, p=(0.4, 0.4, 0.2)))]
    if kind is not None:
        if kind not in KINDS:
            message = f"unknown kind of person {kind!r}: one of {', '.join(KINDS)}"
            raise ValueError(message)
        own = next(known for known in KINDS if known == kind)
    man, woman, child = (own == known for known in KINDS)
    tone = float(rng.uniform(0, len(_SKIN) - 1.001))
    skin = mix(_SKIN[int(tone)], _SKIN[int(tone) + 1], tone % 1)
    colour_name = list(HAIR_COLOURS)[int(rng.choice(7, p=(0.2, 0.2, 0.18, 0.17, 0.09, 0.08, 0.08)))]
    hair = mix(HAIR_COLOURS[colour_name], tuple(rng.uniform(40, 200, 3)), float(rng.uniform(0, 0.14)))
    iris_hue = float(rng.choice((0.07, 0.32, 0.56, 0.62, 0.09))) + float(rng.uniform(-0.03, 0.03))
    iris = colorsys.hsv_to_rgb(iris_hue, float(rng.uniform(0.5, 0.9)), float(rng.uniform(0.35, 0.8)))
    lip_red: Colour = (190, 50, 70) if woman and rng.random() < 0.6 else (176, 92, 84)
    return Identity(
        seed=seed,
        kind=own,
        skin=skin,
        chin=float(rng.uniform(1.08, 1.38) if man else rng.uniform(1.0, 1.28) if woman else rng.uniform(0.92, 1.06)),
        jaw=float(rng.uniform(0.55, 0.95) if man else rng.uniform(0.8, 1.15) if woman else rng.uniform(0.62, 0.85)),
        hair_style=str(rng.choice(HAIR_STYLES[own])),
        hair_colour_name=colour_name,
        hair=hair,
        eye_spacing=float(rng.uniform(0.36, 0.52)),
        eye_size=float(rng.uniform(0.15, 0.24)) * (1.15 if child else 1.0),
        eye_height=float(rng.uniform(-0.1, 0.06)) + (0.12 if child else 0.0),
        eye_slant=float(rng.uniform(-0.22, 0.22)),
        iris=(iris[0] * 255, iris[1] * 255, iris[2] * 255),
        brow_width=float(rng.uniform(0.1, 0.19) if man else rng.uniform(0.05, 0.11)),
        brow_slant=float(rng.uniform(-0.35, 0.35)),
        brow_lift=float(rng.uniform(0.1, 0.22)),
        nose=("dot", "line", "round")[int(rng.integers(3))],
        nose_size=float(rng.uniform(0.7, 1.35)) * (0.75 if child else 1.0),
        mouth_width=float(rng.uniform(0.24, 0.48)),
        lip_fullness=float(rng.uniform(0.06, 0.15)),
        lips=mix(lip_red, skin, float(rng.uniform(0, 0.3))),
        ear_size=float(rng.uniform(0.16, 0.32)),
        glasses=("none", "round", "square")[int(rng.choice(3, p=(0.64, 0.18, 0.18)))],
        lenses=_LENSES[int(rng.integers(len(_LENSES)))],
        beard=("none", "full", "goatee", "moustache")[int(rng.choice(4, p=(0.5, 0.2, 0.15, 0.15)))] if man else "none",
        freckles=bool(rng.random() < (0.45 if child else 0.2)),
        blush=bool(rng.random() < (0.1 if man else 0.45)),
        earrings=bool(woman and rng.random() < 0.4),
        mole=("none", "left", "right")[int(rng.choice(3, p=(0.76, 0.12, 0.12)))],
    )
