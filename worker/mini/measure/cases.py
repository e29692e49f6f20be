"""What is measured: scenes of the drawn world to be drawn again, each with its cast, all from the evaluation seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.mini.world import EVAL_SEEDS, Figure, Scene, draw_identity, draw_portrait, draw_scene

STRANGERS = 99
_OTHERS = 1_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One job and what is true of it. scene: as the world draws it; phrases and portraits: one a person, in its order.

    seed: of the job's sampling. number, people: what the case follows from, beside the seed of the run.
    """

    number: int
    people: int
    seed: int
    scene: Scene
    phrases: tuple[str, ...]
    portraits: tuple[NDArray[np.uint8], ...]

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of the picture."""
        height_px, width_px = self.scene.picture.shape[:2]
        return width_px, height_px


def draw_case(seed: int, number: int, people: int) -> Case:
    """The case of a run's seed, its number and the count of people."""
    rng = np.random.default_rng([seed, number, people])
    scene = draw_scene(_unseen(rng), people=people)
    return Case(
        number=number,
        people=people,
        seed=int(rng.integers(2**31)),
        scene=scene,
        phrases=tuple(_phrase_for(figure, scene.caption, rng) for figure in scene.figures),
        portraits=tuple(draw_portrait(figure.identity, int(rng.integers(2**31))).picture for figure in scene.figures),
    )


def draw_others(case: Case, seed: int) -> Scene:
    """A scene with as many people, none of whom is of the case."""
    return draw_case(seed, case.number + _OTHERS, case.people).scene


def draw_strangers(seed: int) -> list[NDArray[np.uint8]]:
    """Portraits of people whom no case shows."""
    rng = np.random.default_rng([seed, STRANGERS])
    return [draw_portrait(draw_identity(_unseen(rng)), int(rng.integers(2**31))).picture for _ in range(STRANGERS)]


def _phrase_for(figure: Figure, caption: str, rng: np.random.Generator) -> str:
    """One of the phrases that mean only this person, without traits that the caption leaves open.

    A template shows what its caption says; glasses that only the portrait has cannot be looked for in it.
    """
    said = [phrase for phrase in figure.phrases if " with " not in phrase or phrase[phrase.index(" ") :] in caption]
    return said[int(rng.integers(len(said)))]


def _unseen(rng: np.random.Generator) -> int:
    return int(rng.integers(EVAL_SEEDS.start, EVAL_SEEDS.stop))
